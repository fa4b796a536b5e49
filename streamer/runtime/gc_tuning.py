"""Tune the garbage collector: run rarely, and never look through the objects made at start-up."""

import gc
from typing import Final

GC_THRESHOLDS: Final = (100_000, 20, 20)
"""Batches and readings make many objects and hardly a cycle. With Python's defaults, a full collection
would often stop everything for a tenth of a second or more."""


def freeze_startup_objects() -> None:
    """Exclude all present objects from collection, and collect the rest rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
