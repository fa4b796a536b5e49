"""Here is what one commit adds to one pane: a posting, as bytes that the store keeps as they are.

A pane is the sum of its postings. The store adds nothing up: it files a posting under the commit's
sequence number, a reader sums what is new to it, and `merge` makes one posting of many.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from operator import itemgetter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streamer.events.models import DIMENSIONS
from streamer.journeys.journey import KEY_BYTES, Key
from streamer.metrics.tally import NUMBER, NUMBERS, Tally
from streamer.panes.fold import Tallies
from streamer.panes.grid import FINE_MS, LONG_MS, Cell, Grouping, cell_field, groupings, row_field

Integers = NDArray[np.int64]
Posted = dict[int, bytes]
"""Postings by pane."""

_PANES_PER_HOUR: Final = LONG_MS // FINE_MS
_AGENT: Final = DIMENSIONS.index("agent")
_ANSWERED: Final = NUMBER["answered"]


class Posting(msgspec.Struct, array_like=True, gc=False):
    """Fields are cells or group rows; the first `sizes[0]` numbers and amounts are of the first field,
    and so on. `linked` amounts say how many answered segments of the agent's row `agents[i]` (a place
    in `fields`) lie under the row `under[i]`: so that agents can be counted over hours. `journeys` are
    the keys (KEY_BYTES each) of those that count here: the way back from a number to its contacts."""

    fields: list[str]
    sizes: list[int]
    numbers: list[int]
    amounts: list[int]
    agents: list[int] = []
    under: list[int] = []
    linked: list[int] = []
    journeys: bytes = b""

    def tallies(self) -> Iterable[tuple[str, Tally]]:
        """Field by field; for who is not in a hurry."""
        at = 0
        for field, size in zip(self.fields, self.sizes, strict=True):
            yield field, dict(zip(self.numbers[at : at + size], self.amounts[at : at + size], strict=True))
            at += size


pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final[Callable[[bytes], Posting]] = msgspec.msgpack.Decoder(Posting).decode


def clean(tallies: Tallies) -> Tallies:
    """Without counts that came back to 0."""
    found: Tallies = {}
    for place, tally in tallies.items():
        if 0 in tally.values():
            tally = {number: amount for number, amount in tally.items() if amount}
        if tally:
            found[place] = tally
    return found


def fine(tallies: Tallies, journeys: Mapping[int, Sequence[Key]], oldest: int = 0) -> Posted:
    """By 10 s and cell, from the pane `oldest` on. `journeys` by pane: also where nothing is added, but
    another journey's it is now."""
    panes: dict[int, list[tuple[Cell, Tally]]] = {pane: [] for pane in journeys if pane >= oldest}
    for (pane, cell), tally in tallies.items():
        if pane >= oldest:
            panes.setdefault(pane, []).append((cell, tally))
    return {pane: _cells(found, b"".join(journeys.get(pane, ()))) for pane, found in panes.items()}


def _cells(found: Sequence[tuple[Cell, Tally]], journeys: bytes) -> bytes:
    fields = [cell_field(cell).decode() for cell, _ in found]
    tallies = [tally for _, tally in found]
    numbers, amounts = chain.from_iterable(tallies), chain.from_iterable(t.values() for t in tallies)
    return pack(Posting(fields, [*map(len, tallies)], [*numbers], [*amounts], journeys=journeys))


def journeys(packed: Iterable[bytes]) -> list[Key]:
    """Those that some postings name, each once, the last one first."""
    named = [key for one in packed for key in _keys(unpack(one).journeys)]
    return list(dict.fromkeys(reversed(named)))


def _keys(joined: bytes) -> list[Key]:
    return [joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES)]


class Roller:
    """Rolls cells up to the group rows of all groupings that are kept."""

    def __init__(self, pairs: tuple[tuple[str, ...], ...]) -> None:
        self._groupings: tuple[Grouping, ...] = groupings(pairs)
        self._agent = self._groupings.index(("agent",))
        self._names: list[str] = []
        self._codes: list[dict[Hashable, int]] = [{} for _ in self._groupings]
        self._values = [_values_of(by) for by in self._groupings]

    def long(self, tallies: Tallies) -> Posted:
        """By hour and group row. All hours at once: of history a commit holds many, with little in each."""
        if not tallies:
            return {}
        hours, hour = np.unique([pane // _PANES_PER_HOUR for pane, _ in tallies], return_inverse=True)
        sizes = [*map(len, tallies.values())]
        numbers = np.fromiter(chain.from_iterable(tallies.values()), np.int64, sum(sizes))
        amounts = np.fromiter(chain.from_iterable(map(dict.values, tallies.values())), np.int64, sum(sizes))
        rows = np.array([self._rows_of(cell) for _, cell in tallies], np.int64)
        of, width = np.repeat(np.arange(len(sizes)), sizes), len(self._names)
        postings, places = [Posting([], [], [], []) for _ in hours], []
        filled = np.zeros(len(hours), np.int64)
        for codes in rows.T:  # one by one: what is summed at a time then fits a cache
            used, local = np.unique(hour * width + codes, return_inverse=True)
            first = np.searchsorted(used, np.arange(len(hours) + 1) * width)
            places.append(local - first[hour] + filled[hour])
            filled += np.diff(first)
            fields = [self._names[code] for code in (used % width).tolist()]
            _extend(postings, first, fields, local[of], numbers, amounts)
        self._linked(postings, hour, tallies, np.array(places))
        return dict(zip(hours.tolist(), map(pack, postings), strict=True))

    def _rows_of(self, cell: Cell) -> list[int]:
        rows = []
        for place, (codes, values_of) in enumerate(zip(self._codes, self._values, strict=True)):
            code = codes.get(values_of(cell))
            rows.append(self._code(place, cell) if code is None else code)
        return rows

    def _code(self, place: int, cell: Cell) -> int:
        self._names.append(row_field(self._groupings[place], cell))
        code = self._codes[place][self._values[place](cell)] = len(self._names) - 1
        return code

    def _linked(self, postings: list[Posting], hour: Integers, tallies: Tallies, places: Integers) -> None:
        """Add the links of these cells, of which `places` says by grouping in which fields they lie."""
        answered = np.array(
            [cell[_AGENT] is not None and tally.get(_ANSWERED, 0) for (_, cell), tally in tallies.items()]
        )
        of = np.flatnonzero(answered)
        agents, under = places[self._agent, of], np.delete(places[:, of], self._agent, axis=0)
        hour, agents, amounts = (
            np.broadcast_to(part, under.shape).ravel() for part in (hour[of], agents, answered[of])
        )
        _link(postings, hour, agents, under.ravel(), amounts)


def _values_of(by: Grouping) -> Callable[[Cell], Hashable]:
    """A cell's values in these dimensions."""
    if not by:
        return lambda cell: None
    return itemgetter(*(DIMENSIONS.index(name) for name in by))


def _extend(
    postings: Sequence[Posting],
    first: Integers,
    fields: list[str],
    of: Integers,
    numbers: Integers,
    amounts: Integers,
) -> None:
    """Add fields with one amount for each field and number; those that are 0 are left out. `of`: places in
    `fields`, of which each posting gets those from its own `first` up to that of the next."""
    used = np.zeros(NUMBERS, np.int64)
    used[numbers] = 1
    known = np.flatnonzero(used)
    used[known] = np.arange(len(known))
    width = max(len(known), 1)
    sums = _sums(of * width + used[numbers], amounts, len(fields) * width)
    kept = np.flatnonzero(sums)
    sizes = np.bincount(kept // width, minlength=len(fields))
    begins = np.concatenate(([0], np.cumsum(sizes)))[first]
    columns = sizes.tolist(), known[kept % width].tolist(), sums[kept].tolist()
    bounds = zip(pairwise(first.tolist()), pairwise(begins.tolist()), strict=True)
    for posting, (own, counted) in zip(postings, bounds, strict=True):
        posting.fields.extend(fields[slice(*own)])
        posting.sizes.extend(columns[0][slice(*own)])
        posting.numbers.extend(columns[1][slice(*counted)])
        posting.amounts.extend(columns[2][slice(*counted)])


def _sums(places: Integers, amounts: Integers, size: int) -> Integers:
    if np.abs(amounts).sum() < 2**53:  # sums in floating point are exact, and five times as fast
        return np.bincount(places, amounts, size).astype(np.int64)
    sums = np.zeros(size, np.int64)
    np.add.at(sums, places, amounts)
    return sums


def _link(
    postings: Sequence[Posting], of: Integers, agents: Integers, under: Integers, amounts: Integers
) -> None:
    """Add these links, those between the same fields as one, none that is 0. `of`: whose each is."""
    width = max(len(one.fields) for one in postings) + 1
    links, which = np.unique((of * width + agents) * width + under, return_inverse=True)
    linked = _sums(which, amounts, len(links))
    kept = np.flatnonzero(linked)
    first = np.searchsorted(links[kept], np.arange(len(postings) + 1) * width * width)
    pairs = links[kept] % (width * width)
    columns = (pairs // width).tolist(), (pairs % width).tolist(), linked[kept].tolist()
    for posting, own in zip(postings, pairwise(first.tolist()), strict=True):
        posting.agents, posting.under, posting.linked = (column[slice(*own)] for column in columns)


def merge(packed: Iterable[bytes]) -> bytes:
    """One posting that says the same as all of these. Array by array: others run in between."""
    postings = [unpack(one) for one in packed]
    codes: dict[str, int] = {}
    places = [_array([codes.setdefault(field, len(codes)) for field in one.fields]) for one in postings]
    both = list(zip(places, postings, strict=True))
    merged = Posting([], [], [], [])
    _extend(
        [merged],
        _array([0, len(codes)]),
        list(codes),
        np.concatenate([np.repeat(place, one.sizes) for place, one in both]),
        np.concatenate([_array(one.numbers) for one in postings]),
        np.concatenate([_array(one.amounts) for one in postings]),
    )
    agents = np.concatenate([place[_array(one.agents)] for place, one in both])
    under = np.concatenate([place[_array(one.under)] for place, one in both])
    linked = np.concatenate([_array(one.linked) for one in postings])
    _link([merged], np.zeros_like(agents), agents, under, linked)
    merged.journeys = b"".join(dict.fromkeys(key for one in postings for key in _keys(one.journeys)))
    return pack(merged)


def _array(numbers: Sequence[int]) -> Integers:
    return np.array(numbers, np.int64)
