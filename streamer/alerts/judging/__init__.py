"""How sure it is that something is wrong: what is usual, evidence, targets, silence."""
