"""Here is how the stays of one caller in one queue are told apart, by what was noted of them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from streamer.events.adapters.source import Note


class Stay(NamedTuple):
    """A stay that has ended. `order` counts those of this caller in this queue, from 1 on; `within` is what
    else was noted of it, in order."""

    order: int
    entry: Note | None
    end: Note
    within: Sequence[Note]


def stays(notes: Iterable[Note], entry: str, ends: frozenset[str]) -> Iterator[Stay]:
    """The finished stays, in order. `notes` are sorted by time, all of one caller and one queue.

    A second end without an entry between is of the same stay, and the first of them holds: a transfer's
    end is not put off by the end of the call. Ends make the stays, so more notes never make fewer: what
    was published by a part of the notes is replaced by what all of them say.
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
    """Of what happened in the same moment, an entry comes first, except while the caller is in the queue."""
    inside = False
    for _, moment in groupby(notes, lambda note: note.at):
        for note in sorted(moment, key=lambda note: (note.kind == entry) is inside):
            inside = note.kind == entry or (inside and note.kind not in ends)
            yield note
