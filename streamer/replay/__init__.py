"""Publish files to Kafka: contract events, payloads of known sources, or a center's own tables."""
