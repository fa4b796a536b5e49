"""Plan and execute the retry of rejected records."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from streamer.dead_letters.dead_letter import DeadLetter, DeadLetterError, RecordCoordinates
from streamer.dead_letters.edit import FieldEdits, edit_record, recheck_record
from streamer.dead_letters.kafka import RetryProducer
from streamer.events.decoding import KafkaRecord
from streamer.settings import Settings

RetryResult = Literal["sent", "would be rejected", "impossible"]


class RetryOutcome(NamedTuple):
    """Outcome of a letter's retry. `record` is what is sent again, None if nothing is."""

    letter: DeadLetter
    record: KafkaRecord | None
    explanation: str

    @property
    def result(self) -> RetryResult:
        if self.record is not None:
            return "sent"
        return "would be rejected" if self.explanation.startswith("would be rejected") else "impossible"


RECORD_GONE = "Kafka no longer has this record, or has another one in its place"


def plan_retries(
    letters: Sequence[DeadLetter],
    originals_by_coordinates: Mapping[RecordCoordinates, KafkaRecord],
    edits: FieldEdits,
    force: bool,
    settings: Settings,
) -> Iterator[RetryOutcome]:
    for letter in letters:
        if letter.coordinates not in originals_by_coordinates:
            yield RetryOutcome(letter, None, RECORD_GONE)
            continue
        try:
            record = edit_record(originals_by_coordinates[letter.coordinates], edits, settings.kafka.names)
            rejected = recheck_record(record, settings)
        except DeadLetterError as error:
            yield RetryOutcome(letter, None, str(error))
            continue
        if rejected is None:
            yield RetryOutcome(letter, record, "would be accepted")
        else:
            explanation = f"would be rejected: {rejected.reason}: {rejected.error}"
            yield RetryOutcome(letter, record if force else None, explanation)


async def execute_retries(outcomes: Sequence[RetryOutcome], retry_producer: RetryProducer) -> None:
    """Send all records, then close their letters.

    If it breaks off in between, the next retry sends them once more; a record sent twice states the same
    fact and is counted once.
    """
    resent = [(outcome.letter, outcome.record) for outcome in outcomes if outcome.record is not None]
    await retry_producer.resend([record for _, record in resent])
    await retry_producer.close([letter for letter, _ in resent])
