"""What belongs together: a customer's contacts with their surveys and evaluations."""
