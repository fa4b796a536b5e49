"""streamer: contact center metrics in real time, from Kafka to numbers one can trust."""
