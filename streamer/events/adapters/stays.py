"""Split the fragments of one caller in one queue into visits."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from streamer.events.adapters.source import Note


class Stay(NamedTuple):
    """A finished visit of a caller to a queue.

    `visit_number` counts the caller's visits to this queue from 1. `other_fragments` are all but entry and
    end, in order.
    """

    order: int
    entry: Note | None
    end: Note
    within: Sequence[Note]


def stays(notes: Iterable[Note], entry: str, ends: frozenset[str]) -> Iterator[Stay]:
    """Yield the finished visits, in order, from fragments of one caller and queue, sorted by time.

    A second end without an entry in between belongs to the same visit, and the first end holds: the end of
    the call does not delay a transfer's end. Each visit has an end, so more fragments never give fewer
    visits: all fragments together replace what some of them published.

    >>> events = [("in", 1), ("out", 5), ("out", 9)]
    >>> fragments = [Note("c-1", kind, at, {}) for kind, at in events]
    >>> [(visit.entry.at, visit.end.at) for visit in stays(fragments, "in", frozenset({"out"}))]
    [(1, 5)]
    """
    order, opened, ended = 0, None, None
    within: list[Note] = []
    for note in _in_order(notes, entry, ends):
        if note.kind == entry:
            if ended is not None:
                order += 1
                yield Stay(order, opened, ended, within)
            opened, ended, within = note, None, []
        elif note.kind in ends and ended is None:
            ended = note
        else:
            within.append(note)
    if ended is not None:
        yield Stay(order + 1, opened, ended, within)


def _in_order(notes: Iterable[Note], entry: str, ends: frozenset[str]) -> Iterator[Note]:
    """Order fragments of the same time: an entry comes first, unless the caller is already in the queue."""
    inside = False
    for _, moment in groupby(notes, lambda note: note.at):
        for note in sorted(moment, key=lambda note: (note.kind == entry) is inside):
            inside = note.kind == entry or (inside and note.kind not in ends)
            yield note
