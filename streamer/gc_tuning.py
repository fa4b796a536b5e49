"""Tuning of Python's search for reference cycles: rarely, and never among the objects of start-up."""

import gc
from typing import Final

THRESHOLDS: Final = (100_000, 20, 20)
"""Batches and readings make many objects and hardly a cycle: looking through all that lives as often as
Python does by default would stop everything for a tenth of a second or more."""


def freeze_startup_objects() -> None:
    """Leave what is there now alone for ever, and look rarely through the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
