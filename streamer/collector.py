"""Here is when Python looks for cycles: rarely, and never among what is there for good."""

import gc
from typing import Final

THRESHOLDS: Final = (100_000, 20, 20)
"""Batches and readings make many objects and hardly a cycle: looking through all that lives, as often as
Python does by itself, would stop everything for a tenth of a second or more."""


def calm() -> None:
    """From now on; what is there now is left alone for ever."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
