"""States of a caller in a queue, stay by stay, for sources that report what happens to the caller."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

from streamer.events.adapters.fields import epoch_seconds, known_values
from streamer.events.adapters.source import Fragment, OutgoingEvent
from streamer.events.adapters.timelines import CONTACT_STATE, LIST_MS, RESTART, WAITING_LIST

_LIST_SPREAD_MS: Final = 1_000
"""How much earlier than the head of a list its entries may be dated."""


def numbered_segments(call: str, queue: str) -> Callable[[int], str]:
    """Return the function that names the stays of a call in a queue by their numbers.

    >>> numbered_segments("1700000000.1", "billing")(2)
    '1700000000.1/billing/2'
    """
    return partial("{}/{}/{}".format, call, queue)


class QueueStay:
    """A caller's stays in one queue, up to now: the number of the present stay, and its state.

    >>> stay = QueueStay()
    >>> stay.enter(1_000)
    >>> stay.offer("anna")
    >>> stay.connect("anna")
    >>> stay.number, stay.state, stay.agent_id, stay.queued_ms
    (1, 'connected', 'anna', 1000)
    """

    def __init__(self) -> None:
        self.number = 1
        self.state: str | None = None
        self.agent_id: str | None = None
        self.queued_ms: int | None = None
        self.has_left = False
        self.seen_ms = 0
        self._is_over = False
        self._offers: list[str] = []

    @property
    def is_offered(self) -> bool:
        return bool(self._offers)

    def enter(self, queued_ms: int) -> None:
        """Begin a stay: the next one, if the former is over."""
        number = self.number + 1 if self._is_over else self.number
        self.__init__()  # type: ignore[misc]
        self.number, self.queued_ms, self.state = number, queued_ms, "queued"

    def offer(self, agent_id: str | None) -> None:
        if self.state in (None, "queued", "offered"):
            self._offers = [*(offer for offer in self._offers if offer != agent_id), agent_id or ""]
            self._settle_offers()

    def withdraw_offer(self, agent_id: str | None) -> None:
        """End an agent's offer; the caller waits on, unless others are still offered the contact."""
        if self.state == "offered":
            self._offers = [offer for offer in self._offers if offer != (agent_id or "")]
            self._settle_offers()

    def connect(self, agent_id: str | None) -> None:
        if not self._is_over:
            self.state, self.agent_id, self._offers = "connected", agent_id, []

    def hold(self, is_held: bool) -> None:
        if self.state in ("connected", "held"):
            self.state = "held" if is_held else "connected"

    def disconnect(self) -> None:
        """Return to waiting from a connection that did not come about."""
        if self.state in ("connected", "held"):
            self.state, self.agent_id = "queued", None

    def end(self, *, is_final: bool = True) -> None:
        """End the stay. After one that is final, only a new entry begins another."""
        if self.state in ("queued", "offered"):
            self.agent_id = None
        self.state, self._offers = "ended", []
        self._is_over = self._is_over or is_final

    def _settle_offers(self) -> None:
        self.state = "offered" if self._offers else "queued"
        self.agent_id = (self._offers[-1] or None) if self._offers else None


def stay_states(
    fragments: Sequence[Fragment],
    queue: str,
    segment_id: Callable[[int], str],
    advance: Callable[[QueueStay, Fragment], None],
) -> Iterator[OutgoingEvent]:
    """Yield the state of one caller in one queue at each moment of its fragments, which are in order.

    `segment_id` names a stay by its number; `advance` applies a fragment. A fragment known only later may
    make a stay the second that was thought to be the first: so what a moment may have said of earlier stays
    is taken back.
    """
    stay = QueueStay()
    for at_ms, moment in groupby(fragments, lambda fragment: fragment.at):
        states: dict[str, dict[str, Any]] = {}
        for fragment in moment:
            is_sweep = fragment.kind in (RESTART, WAITING_LIST)
            if is_sweep and not _sweep(stay, fragment):
                continue
            if not is_sweep:
                advance(stay, fragment)
                stay.seen_ms = at_ms
            if stay.state is not None:
                states[segment_id(stay.number)] = _state_data(stay, fragment.contact, queue)
        identifiers = [segment_id(number) for number in range(1, stay.number + 1)]
        for identifier in dict.fromkeys(identifiers if stay.state else ()):
            data = states.get(identifier, {"contact_id": fragment.contact, "deleted": True})
            yield OutgoingEvent(CONTACT_STATE, {"segment_id": identifier, "at": epoch_seconds(at_ms)} | data)


def _sweep(stay: QueueStay, sweep: Fragment) -> bool:
    """End a stay that did not survive a restart, or of which nothing is heard where others still wait. Tell
    whether it did."""
    is_lost = stay.state not in (None, "ended") and (
        sweep.kind == RESTART
        or (stay.state in ("queued", "offered") and stay.seen_ms < sweep.at - LIST_MS - _LIST_SPREAD_MS)
    )
    if is_lost:
        stay.end(is_final=False)
    return is_lost


def _state_data(stay: QueueStay, contact_id: str, queue: str) -> dict[str, Any]:
    data = {
        "contact_id": contact_id,
        "state": stay.state,
        "queue": queue,
        "agent_id": stay.agent_id,
        "queued_at": None if stay.queued_ms is None else epoch_seconds(stay.queued_ms),
    }
    return known_values(data)
