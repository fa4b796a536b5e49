"""Ingestion: turns the raw records of supported sources into events of the contract."""
