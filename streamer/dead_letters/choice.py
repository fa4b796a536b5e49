"""Select and group the dead letters that a command is about."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from streamer.dead_letters.letter import Letter, LetterError, Place
from streamer.events.decoding import REASONS
from streamer.readings.query import QueryError
from streamer.readings.times import milliseconds


class Choice(NamedTuple):
    """Filter by coordinates, reason, topic and earliest time (ms since the epoch). An empty one takes all."""

    places: Sequence[Place] = ()
    reason: str | None = None
    topic: str | None = None
    since: int | None = None

    def of(self, letters: Iterable[Letter]) -> list[Letter]:
        """Return the matching letters. Raise DeadLetterError for coordinates without an open letter."""
        found = [letter for letter in letters if self._is_of(letter)]
        if missing := set(self.places) - {letter.place for letter in found}:
            raise LetterError(f"{min(missing)}: there is no open dead letter for this record")
        return found

    def _is_of(self, letter: Letter) -> bool:
        return (
            (not self.places or letter.place in self.places)
            and self.reason in (None, letter.reason)
            and self.topic in (None, letter.place.topic)
            and (self.since is None or letter.at >= self.since)
        )


def choice(
    coordinates: Sequence[str] = (),
    reason: str | None = None,
    topic: str | None = None,
    since: str | None = None,
) -> Choice:
    """Parse a command's options. Raise QueryError for an invalid one.

    >>> choice(["call-completed:0:17"], reason="too-old").reason
    'too-old'
    """
    if reason is not None and reason not in REASONS:
        raise QueryError(f"reason = {reason!r}: expected one of {', '.join(REASONS)}")
    from_ms = None if since is None else milliseconds("since", since)
    return Choice([Place.of(text) for text in coordinates], reason, topic, from_ms)


def some(everything: bool, **chosen: Any) -> Choice:
    """Parse a command's options; no option at all is an error, not all letters. Raise QueryError."""
    if not everything and not any(chosen.values()):
        raise QueryError("nothing selected: give coordinates, --reason, --topic, --since or --all")
    return choice(**chosen)


class Group(NamedTuple):
    """Letters of one reason and topic, oldest first."""

    reason: str
    topic: str
    letters: Sequence[Letter]

    def told(self) -> dict[str, object]:
        first, last = self.letters[0], self.letters[-1]
        return {
            "reason": self.reason,
            "topic": self.topic,
            "letters": len(self.letters),
            "first": first.time,
            "last": last.time,
            "example": str(last.place),
            "error": last.error,
        }


def grouped(letters: Sequence[Letter]) -> list[Group]:
    """Group letters by reason and topic, the largest group first."""
    sizes = Counter((letter.reason, letter.place.topic) for letter in letters)
    return [
        Group(reason, topic, [one for one in letters if (one.reason, one.place.topic) == (reason, topic)])
        for (reason, topic), _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]
