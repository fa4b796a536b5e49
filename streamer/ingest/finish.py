"""Here is what every event gets before it is kept or published: a veil over the customer, a comment without
what is nobody's business, and the team and site that its agent had."""

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
    """Depends on an event and the record it came in alone. What happened later than the record says is
    refused here: what goes out bears the event's own time, by which nobody could tell any more."""

    def __init__(self, veil: Veil, directory: Directory) -> None:
        self._veil = veil
        self._directory = directory

    def outgoing(self, sent: Sent, source: str, record_ms: int) -> Outgoing | Rejected:
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
