"""Plain counters of arrivals: results by topic, and facts stated for the first time. They never decrease,
whatever is corrected later."""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from streamer.events.counting_rules import UNKNOWN
from streamer.events.models import QUESTIONS, Event, Segment, SurveyResponse
from streamer.journeys.journey import NO_RECORD, Key, last_segment
from streamer.journeys.working_set import WorkingSet
from streamer.metrics.counters import COUNTER_SEPARATOR
from streamer.metrics.tally import HANDLE_LIMITS_S
from streamer.panes.fold import handle_ms

_HANDLE_LIMITS_MS: Final = [limit * 1000 for limit in HANDLE_LIMITS_S]
_BUCKET_LABELS: Final = [*map(str, HANDLE_LIMITS_S), "+Inf"]


class ArrivalCounters:
    """Amounts that one commit adds to the counters.

    >>> counters = ArrivalCounters("call-completed")
    >>> for result in ("applied", "applied", "unchanged"):
    ...     counters.count_result(result)
    >>> list(counters.by_name().values())
    [2, 1]
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, *name: str, amount: int = 1) -> None:
        """Add to the counter whose name consists of these parts."""
        self._counts[name] = self._counts.get(name, 0) + amount

    def count_result(self, result: str, amount: int = 1) -> None:
        """Count records by their result: applied, unchanged or rejected."""
        self.add("events", self._topic, result, amount=amount)

    def by_name(self) -> Mapping[str, int]:
        """Return the amounts to add, by counter name; zeros are left out."""
        return {COUNTER_SEPARATOR.join(name): amount for name, amount in self._counts.items() if amount}

    def count_first_statement(self, event: Event, key: Key, documents: WorkingSet) -> None:
        """Count a fact that was never stated before. `key` is the key of its identity record."""
        if isinstance(event, Segment):
            self._count_segment(event)
        elif isinstance(event, SurveyResponse) and not event.excluded:
            self._count_response(event, _contact_queue(key, documents) or event.queue or UNKNOWN)

    def _count_segment(self, segment: Segment) -> None:
        queue = segment.queue or UNKNOWN
        self.add("segments", queue, segment.channel or UNKNOWN, segment.outcome)
        if segment.direction == "inbound" and segment.outcome == "answered" and segment.talk_ms is not None:
            duration_ms = handle_ms(segment)
            self.add("handle", queue, _BUCKET_LABELS[bisect_left(_HANDLE_LIMITS_MS, duration_ms)])
            self.add("handle_ms", queue, amount=duration_ms)

    def _count_response(self, response: SurveyResponse, queue: str) -> None:
        for question in QUESTIONS:
            answer = getattr(response, question)
            if answer is not None:
                self.add("answers", queue, question, str(answer).lower())


def _contact_queue(key: Key, documents: WorkingSet) -> str | None:
    """Return the queue of the contact that a response belongs to; None while that is unknown."""
    group_key = documents.records.get(key, NO_RECORD).group_key(key)
    journey_key = documents.records.get(group_key, NO_RECORD).journey
    journey = documents.journeys_after.get(journey_key) if journey_key is not None else None
    group = journey.groups.get(group_key) if journey is not None else None
    segment = last_segment(group.facts.segments) if group is not None else None
    return segment.queue if segment is not None else None
