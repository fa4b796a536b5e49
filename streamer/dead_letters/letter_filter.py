"""Select and group the dead letters that a command is about."""

from collections.abc import AsyncIterable, Iterable, Sequence
from typing import Any, NamedTuple

from streamer.dead_letters.dead_letter import DeadLetter, DeadLetterError, RecordCoordinates
from streamer.events.decoding import REASONS
from streamer.readings.query import QueryError
from streamer.readings.query_times import parse_query_time_ms
from streamer.runtime.choices import expected_choice


class LetterFilter(NamedTuple):
    """Filter by coordinates, reason, topic and earliest time (ms since the epoch). An empty one takes all."""

    coordinates: Sequence[RecordCoordinates] = ()
    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None

    def select(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Return the matching letters. Raise DeadLetterError for coordinates without an open letter."""
        selected = [letter for letter in letters if self.matches(letter)]
        if missing := set(self.coordinates) - {letter.coordinates for letter in selected}:
            raise DeadLetterError(f"{min(missing)}: there is no open dead letter for this record")
        return selected

    def matches(self, letter: DeadLetter) -> bool:
        return (
            (not self.coordinates or letter.coordinates in self.coordinates)
            and self.reason in (None, letter.reason)
            and self.topic in (None, letter.coordinates.topic)
            and (self.since_ms is None or letter.timestamp_ms >= self.since_ms)
        )


def parse_letter_filter(
    coordinates: Sequence[str] = (),
    reason: str | None = None,
    topic: str | None = None,
    since: str | None = None,
) -> LetterFilter:
    """Parse a command's options. Raise QueryError for an invalid one.

    >>> parse_letter_filter(["call-completed:0:17"], reason="too-old").reason
    'too-old'
    """
    if reason is not None and reason not in REASONS:
        raise QueryError(f"reason = {reason!r}: {expected_choice(reason, REASONS)}")
    since_ms = None if since is None else parse_query_time_ms("since", since)
    return LetterFilter([RecordCoordinates.parse(text) for text in coordinates], reason, topic, since_ms)


def require_letter_filter(everything: bool, **chosen: Any) -> LetterFilter:
    """Parse a command's options; no option at all is an error, not all letters. Raise QueryError."""
    if not everything and not any(chosen.values()):
        raise QueryError("nothing selected: give coordinates, --reason, --topic, --since or --all")
    return parse_letter_filter(**chosen)


class LetterGroup(NamedTuple):
    """Letters of one reason and topic: how many, the oldest and the newest."""

    letter_count: int
    first: DeadLetter
    last: DeadLetter

    @property
    def reason(self) -> str:
        return self.last.reason

    @property
    def topic(self) -> str:
        return self.last.coordinates.topic

    def summary(self) -> dict[str, object]:
        return {
            "reason": self.reason,
            "topic": self.topic,
            "letters": self.letter_count,
            "first": self.first.time_utc,
            "last": self.last.time_utc,
            "example": str(self.last.coordinates),
            "error": self.last.error,
        }


async def group_letters(letters: AsyncIterable[DeadLetter]) -> list[LetterGroup]:
    """Group letters by reason and topic, the largest group first."""
    groups: dict[tuple[str, str], LetterGroup] = {}
    async for letter in letters:
        key = (letter.reason, letter.coordinates.topic)
        letter_count, first, last = groups.get(key, (0, letter, letter))
        groups[key] = LetterGroup(
            letter_count + 1, min(first, letter, key=_letter_age), max(last, letter, key=_letter_age)
        )
    return [group for _, group in sorted(groups.items(), key=lambda item: (-item[1].letter_count, item[0]))]


def newest_letter(groups: Iterable[LetterGroup]) -> DeadLetter:
    return max((group.last for group in groups), key=_letter_age)


def _letter_age(letter: DeadLetter) -> tuple[int, RecordCoordinates]:
    return letter.timestamp_ms, letter.coordinates
