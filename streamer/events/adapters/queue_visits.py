"""Split the fragments of one caller in one queue into visits."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from streamer.events.adapters.source import Fragment


class QueueVisit(NamedTuple):
    """A finished visit of a caller to a queue.

    `visit_number` counts the caller's visits to this queue from 1. `other_fragments` are all but entry and
    end, in order.
    """

    visit_number: int
    entry: Fragment | None
    end: Fragment
    other_fragments: Sequence[Fragment]


def queue_visits(
    fragments: Iterable[Fragment], entry_kind: str, end_kinds: frozenset[str]
) -> Iterator[QueueVisit]:
    """Yield the finished visits, in order, from fragments of one caller and queue, sorted by time.

    A second end without an entry in between belongs to the same visit, and the first end holds: the end of
    the call does not delay a transfer's end. Each visit has an end, so more fragments never give fewer
    visits: all fragments together replace what some of them published.

    >>> events = [("in", 1), ("out", 5), ("out", 9)]
    >>> fragments = [Fragment("c-1", kind, at, {}) for kind, at in events]
    >>> [(visit.entry.at, visit.end.at) for visit in queue_visits(fragments, "in", frozenset({"out"}))]
    [(1, 5)]
    """
    visit_count, entry_fragment, end_fragment = 0, None, None
    other_fragments: list[Fragment] = []
    for fragment in order_entries(fragments, entry_kind, end_kinds):
        if fragment.kind == entry_kind:
            if end_fragment is not None:
                visit_count += 1
                yield QueueVisit(visit_count, entry_fragment, end_fragment, other_fragments)
            entry_fragment, end_fragment, other_fragments = fragment, None, []
        elif fragment.kind in end_kinds and end_fragment is None:
            end_fragment = fragment
        else:
            other_fragments.append(fragment)
    if end_fragment is not None:
        yield QueueVisit(visit_count + 1, entry_fragment, end_fragment, other_fragments)


def order_entries(
    fragments: Iterable[Fragment], entry_kind: str, end_kinds: frozenset[str]
) -> Iterator[Fragment]:
    """Order the fragments of one caller and queue that have the same time.

    An entry comes first, unless the caller is already in the queue.
    """
    is_waiting = False
    for _, simultaneous in groupby(fragments, lambda fragment: fragment.at):
        for fragment in sorted(
            simultaneous, key=lambda fragment: (fragment.kind == entry_kind) is is_waiting
        ):
            is_waiting = fragment.kind == entry_kind or (is_waiting and fragment.kind not in end_kinds)
            yield fragment
