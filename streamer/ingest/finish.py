"""Last step before an event is stored or published: pseudonymizes the customer, redacts the comment, and adds
the team and site of the agent at that time."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from streamer.events.adapters.source import Note, Sent
from streamer.events.directory import Directory
from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected
from streamer.events.outgoing import Outgoing, happened_ms, outgoing
from streamer.events.rules import MINUTE
from streamer.events.scrubbing import discreet
from streamer.events.veil import Veil

_EARLY_MS: Final = 5 * MINUTE


class Finish:
    """Enriches events and fragments; the result depends only on the event and the record it came in.

    An event later than its record is rejected here: a published record has the event's own time, so that no
    later step could notice.
    """

    def __init__(self, veil: Veil, directory: Directory) -> None:
        self._veil = veil
        self._directory = directory

    def outgoing(self, sent: Sent, source: str, record_ms: int) -> Outgoing | Rejected:
        """Return the event ready to be published, or why it is rejected. `record_ms`: time of its record."""
        try:
            at = happened_ms(sent)
        except WrongError as error:
            return Rejected(error.reason, error.error)
        discreet = Sent(sent.topic, self._discreet(sent.data, at))
        return _early(at, record_ms) or outgoing(self._directory.completed(discreet), source)

    def note(self, note: Note, record_ms: int) -> Note | Rejected:
        return _early(note.at, record_ms) or replace(note, data=self._discreet(note.data, note.at))

    def _discreet(self, data: Mapping[str, Any], at: int) -> dict[str, Any]:
        found = dict(data)
        if (customer := found.get("customer_id")) not in (None, ""):
            found["customer_id"] = self._veil.customer(str(customer), at)
        if isinstance(comment := found.get("comment"), str):
            found["comment"] = discreet(comment)
        return found


def _early(at: int, record_ms: int) -> Rejected | None:
    if at - record_ms <= _EARLY_MS:
        return None
    what = f"the event's time {at} (in ms) lies after its record's timestamp {record_ms}"
    return Rejected("future", f"{what}, expected at most 5 minutes after")
