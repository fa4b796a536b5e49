"""Last step before an event is stored or published: pseudonymizes the customer, redacts the comment, and adds
the team and site of the agent at that time."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from streamer.events.adapters.source import Fragment, OutgoingEvent
from streamer.events.adapters.timelines import AGENT_STATE, is_expected
from streamer.events.agent_directory import AgentDirectory
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.events.envelopes import InvalidEventError
from streamer.events.models import RejectedEvent
from streamer.events.outgoing_records import OutgoingRecord, event_time_ms, outgoing_record
from streamer.privacy.pseudonyms import Pseudonymizer
from streamer.privacy.redaction import redact_comment

_EARLY_MS: Final = 5 * MINUTE
_EXPECTED_MS: Final = HOUR
"""How long after its record a moment may lie at which an agent's state is expected to change: when wrap-up
ends, which no source reports when it happens."""


class Enricher:
    """Enriches events and fragments; the result depends only on the event and the record it came in.

    An event later than its record is rejected here: a published record has the event's own time, so that no
    later step could notice.
    """

    def __init__(self, pseudonyms: Pseudonymizer, directory: AgentDirectory) -> None:
        self._pseudonyms = pseudonyms
        self._directory = directory

    def enrich_event(
        self, event: OutgoingEvent, source: str, record_ms: int
    ) -> OutgoingRecord | RejectedEvent:
        """Return the event ready to be published, or why it is rejected. `record_ms`: time of its record."""
        try:
            at_ms = event_time_ms(event)
        except InvalidEventError as error:
            return RejectedEvent(error.reason, error.error)
        redacted = OutgoingEvent(event.topic, self._redact(event.data, at_ms))
        early_ms = _EXPECTED_MS if event.topic == AGENT_STATE else _EARLY_MS
        return _reject_future(at_ms, record_ms, early_ms) or outgoing_record(
            self._directory.with_membership(redacted), source
        )

    def enrich_fragment(self, fragment: Fragment, record_ms: int) -> Fragment | RejectedEvent:
        early_ms = _EXPECTED_MS if is_expected(fragment) else _EARLY_MS
        return _reject_future(fragment.at, record_ms, early_ms) or replace(
            fragment, data=self._redact(fragment.data, fragment.at)
        )

    def _redact(self, data: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
        fields = dict(data)
        if (customer := fields.get("customer_id")) not in (None, ""):
            fields["customer_id"] = self._pseudonyms.pseudonym_at(str(customer), at_ms)
        if isinstance(comment := fields.get("comment"), str):
            fields["comment"] = redact_comment(comment)
        return fields


def _reject_future(at_ms: int, record_ms: int, early_ms: int) -> RejectedEvent | None:
    if at_ms - record_ms <= early_ms:
        return None
    problem = f"the event's time {at_ms} (in ms) lies after its record's timestamp {record_ms}"
    return RejectedEvent("future", f"{problem}, expected at most {early_ms // MINUTE} minutes after")
