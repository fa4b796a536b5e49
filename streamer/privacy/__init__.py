"""Pseudonyms of customers, and the redaction of comments."""
