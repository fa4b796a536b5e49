"""Here is how a batch's tallies become what the store adds: fine panes by cell, long panes by row.

The rows of an agent also say under which other rows the agent answered, as counts named by those rows:
so that agents can be counted over hours without keeping every agent's cells.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from streamer.events.models import DIMENSIONS
from streamer.metrics.tally import NUMBER
from streamer.panes.fold import Tallies
from streamer.panes.grid import FINE_MS, LONG_MS, Cell, Grouping, cell_field, groupings, row_field

Row = dict[int | str, int]
Packed = dict[int, dict[bytes, bytes]]
"""By pane and field: msgpack maps."""

_PANES_PER_HOUR: Final = LONG_MS // FINE_MS
_AGENT: Final = DIMENSIONS.index("agent")
_ANSWERED: Final = NUMBER["answered"]
_pack = msgspec.msgpack.Encoder().encode


@lru_cache(maxsize=65536)
def _field(cell: Cell) -> bytes:
    return cell_field(cell)


@lru_cache(maxsize=65536)
def _rows(cell: Cell, kept: tuple[Grouping, ...]) -> tuple[str, ...]:
    return tuple(row_field(by, cell) for by in kept)


def clean(tallies: Tallies) -> Tallies:
    """Without counts that came back to 0."""
    found: Tallies = {}
    for place, tally in tallies.items():
        if 0 in tally.values():
            tally = {number: amount for number, amount in tally.items() if amount}
        if tally:
            found[place] = tally
    return found


def fine(tallies: Tallies) -> Packed:
    panes: Packed = {}
    for (pane, cell), tally in tallies.items():
        panes.setdefault(pane, {})[_field(cell)] = _pack(tally)
    return panes


def long(tallies: Tallies, pairs: tuple[tuple[str, ...], ...]) -> Packed:
    kept = groupings(pairs)
    hours: dict[int, dict[str, Row]] = {}
    for (pane, cell), tally in tallies.items():
        rows = hours.setdefault(pane // _PANES_PER_HOUR, {})
        names = _rows(cell, kept)
        for name in names:
            _add(rows, name, tally)
        answered = tally.get(_ANSWERED)
        if answered and cell[_AGENT] is not None:
            own = row_field(("agent",), cell)
            _add(rows, own, {name: answered for name in names if name != own})
    return {hour: _packed(rows) for hour, rows in hours.items()}


def _add(rows: dict[str, Row], name: str, tally: Mapping[int, int] | Mapping[str, int]) -> None:
    row = rows.setdefault(name, {})
    for number, amount in tally.items():
        row[number] = row.get(number, 0) + amount


def _packed(rows: Mapping[str, Row]) -> dict[bytes, bytes]:
    packed: dict[bytes, bytes] = {}
    for name, tally in rows.items():
        if kept := {number: amount for number, amount in tally.items() if amount}:
            packed[name.encode()] = _pack(kept)
    return packed
