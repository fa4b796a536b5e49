"""Decode a Kafka record into the fact it states, or into the reason for rejecting it."""

from typing import Final

import msgspec

from streamer.events.counting_rules import CountingRules
from streamer.events.envelopes import InvalidEventError, KafkaRecord, unwrap
from streamer.events.event_bodies import SCALES, EventBody
from streamer.events.fact_builders import build_tombstone, customer_id_text, is_deletion
from streamer.events.kinds import KINDS, TOPICS
from streamer.events.models import Event, RejectedEvent
from streamer.privacy.pseudonyms import NO_PSEUDONYMS, Pseudonymizer

__all__ = ["DEAD_LETTER_TOPIC", "REASONS", "SCALES", "TOPICS", "KafkaRecord", "decode"]

DEAD_LETTER_TOPIC: Final = "streamer-dead-letters"
REASONS: Final = (
    "empty",
    "too-large",
    "not-json",
    "envelope",
    "unknown-version",
    "wrong-type",
    "missing",
    "too-long",
    "control-character",
    "unknown-value",
    "off-scale",
    "not-finite",
    "negative",
    "too-much",
    "no-time",
    "future",
    "too-old",
    "wrong-order",
    "other-currency",
)
_KIND_BY_TOPIC: Final = {
    topic: (msgspec.json.Decoder(kind.body), kind.build_fact, kind.letter) for topic, kind in KINDS.items()
}


def decode(
    record: KafkaRecord,
    rules: CountingRules,
    pseudonymizer: Pseudonymizer = NO_PSEUDONYMS,
    topic: str | None = None,
) -> Event | RejectedEvent:
    """Return the fact that a record of one of TOPICS states, or RejectedEvent with one of REASONS. `topic`:
    which of them, if its name on the broker is another.

    Never raises, whatever the bytes. Depends on nothing but the arguments, so that a rebuild decides
    the same: times are compared with the record's timestamp, never with a clock.

    >>> value = b'{"response_id": "r-9", "answered_at": 1795255200, "answers": {"nps": 9}}'
    >>> record = KafkaRecord("survey-completed", 0, 17, 1_795_255_200_000, None, value, ())
    >>> decode(record, CountingRules()).nps
    9
    >>> decode(record._replace(value=value.replace(b"9}", b"11}")), CountingRules()).error
    'answers.nps is 11, expected an integer from 0 to 10'
    """
    decoder, build_fact, letter = _KIND_BY_TOPIC[topic or record.topic]
    try:
        source, data = unwrap(record, decoder)
        _pseudonymize(data, pseudonymizer, record.timestamp)
        if data.deleted is not None and is_deletion(data):
            return build_tombstone(data, source, letter)
        return build_fact(data, source, record.timestamp, rules)
    except InvalidEventError as error:
        return RejectedEvent(error.reason, error.error)


def _pseudonymize(data: EventBody, pseudonymizer: Pseudonymizer, timestamp_ms: int) -> None:
    """Replace the customer's id by its pseudonym. An invalid id is left for its reader to reject."""
    if data.customer_id is None:
        return
    try:
        customer_id = customer_id_text(data)
    except InvalidEventError:
        return
    data.customer_id = (
        customer_id if customer_id is None else pseudonymizer.pseudonym_at(customer_id, timestamp_ms)
    )
