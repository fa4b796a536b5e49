"""Plan and execute the retry of rejected records."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from streamer.dead_letters.kafka import Post
from streamer.dead_letters.letter import Letter, LetterError, Place
from streamer.dead_letters.mending import Changes, changed, verdict
from streamer.events.decoding import Record
from streamer.settings import Settings


class Fate(NamedTuple):
    """Outcome of a letter's retry. `record` is what is sent again, None if nothing is."""

    letter: Letter
    record: Record | None
    why: str


GONE = "Kafka no longer has this record, or has another one in its place"


def fates(
    letters: Sequence[Letter],
    found: Mapping[Place, Record],
    changes: Changes,
    force: bool,
    settings: Settings,
) -> Iterator[Fate]:
    for letter in letters:
        if letter.place not in found:
            yield Fate(letter, None, GONE)
            continue
        try:
            record = changed(found[letter.place], changes)
            rejected = verdict(record, settings)
        except LetterError as error:
            yield Fate(letter, None, str(error))
            continue
        if rejected is None:
            yield Fate(letter, record, "would be accepted")
        else:
            why = f"would be rejected: {rejected.reason}: {rejected.error}"
            yield Fate(letter, record if force else None, why)


async def carry_out(fates: Sequence[Fate], to: Post) -> None:
    """Send all records, then close their letters.

    If it breaks off in between, the next retry sends them once more; a record sent twice states the same
    fact and is counted once.
    """
    again = [(fate.letter, fate.record) for fate in fates if fate.record is not None]
    await to.resend([record for _, record in again])
    await to.close([letter for letter, _ in again])
