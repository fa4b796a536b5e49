"""From what known sources send to events of the contract."""
