"""Journeys: a customer's contacts, each with its surveys and evaluations."""
