"""Pane deltas made from tallies, for tests that state the counts they need."""

from collections.abc import Mapping
from itertools import chain

import numpy as np

from streamer.metrics.tally import Tally
from streamer.panes.fold import CommitDelta, Contribution
from streamer.panes.pane_delta import LongSums
from streamer.panes.pane_keys import FINE_MS, Cell, Grouping, PaneHour
from streamer.panes.rollup import Rollup

PaneTallies = dict[tuple[int, Cell], Tally]
"""Tallies by 10 s pane and cell."""


def deltas(tallies: PaneTallies, pairs: tuple[Grouping, ...] = ()) -> dict[PaneHour, bytes]:
    """Return the pane deltas of both families that a commit of these tallies adds."""
    rows = [
        Contribution(pane * FINE_MS, cell, tuple(chain.from_iterable(tally.items())))
        for (pane, cell), tally in tallies.items()
    ]
    return Rollup(pairs).deltas(CommitDelta([], rows, {}))


def row_sums(rows: Mapping[str, Tally]) -> bytes:
    """Return a packed long delta of these rows."""
    sizes = [len(tally) for tally in rows.values()]
    numbers = [number for tally in rows.values() for number in tally]
    amounts = [amount for tally in rows.values() for amount in tally.values()]
    none = np.empty(0, np.int64)
    counts = (
        np.repeat(np.arange(len(sizes)), sizes),
        np.array(numbers, np.int64),
        np.array(amounts, np.int64),
    )
    return LongSums([*rows], *counts, none, none, none).packed()
