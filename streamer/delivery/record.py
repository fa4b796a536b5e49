"""Alert state of a center: everything about alerts that outlives a process, and every change to it.

Pure functions from one state to the next. The caller stores the result only if nobody else has stored one
since the state was read; else it applies the same change to the newer state.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.alerts.message import Message
from streamer.alerts.states import Alert, Phase

TOLD: Final[tuple[Phase, ...]] = ("firing", "clearing")
"""Phases of an alert that has fired, was sent to its receivers, and has not resolved."""
MOST_WAITING: Final = 10_000
"""Messages waiting for one receiver; beyond that the oldest are given up."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """Statement of a person, at `at` (ms), that they have seen an alert and are working on it."""

    by: str
    at: int
    comment: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Mute of a rule from `since` until `until` (ms): no messages are sent meanwhile.

    `key` is the group, None for every group of the rule. `id` is Alertmanager's where there is one.

    >>> silence = Silence(id="s1", rule="nps-drop", key="billing", since=0, until=60_000, by="Ana")
    >>> silence.holds("nps-drop", "billing", 59_999), silence.holds("nps-drop", "billing", 60_000)
    (True, False)
    >>> silence.holds("nps-drop", "sales", 0)
    False
    """

    id: str
    rule: str
    key: str | None
    since: int
    until: int
    by: str
    comment: str = ""

    def holds(self, rule: str, key: str, now: int) -> bool:
        return self.rule == rule and self.key in (None, key) and self.since <= now < self.until


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, their messages and what people did about them, as stored for all servers.

    `messages`: those of alerts still known, by id. `waiting`: ids of messages not yet sent, by receiver,
    oldest first. `held`: ids of messages held back by a silence. `acknowledged`: by episode. `silences`: by
    id. `given_up`: number of messages never sent, by receiver.
    """

    alerts: tuple[Alert, ...] = ()
    messages: dict[str, Message] = {}
    waiting: dict[str, tuple[str, ...]] = {}
    held: tuple[str, ...] = ()
    acknowledged: dict[str, Acknowledgement] = {}
    silences: dict[str, Silence] = {}
    given_up: dict[str, int] = {}

    def by_place(self) -> dict[tuple[str, str], Alert]:
        """Return the alerts by rule and key."""
        return {(alert.rule, alert.key): alert for alert in self.alerts}

    def firing(self) -> list[Message]:
        """Return the firing messages of alerts that have fired and not resolved."""
        told = (self.messages.get(f"{one.id}/firing") for one in self.alerts if one.phase in TOLD)
        return [message for message in told if message is not None]

    def silence(self, rule: str, key: str, now: int) -> Silence | None:
        """Return the silence that covers a group now, of several the one that ends last."""
        found = [one for one in self.silences.values() if one.holds(rule, key, now)]
        return max(found, key=lambda one: one.until, default=None)

    def to(self, receiver: str) -> list[Message]:
        """Return the messages that wait for a receiver, oldest first."""
        return [self.messages[name] for name in self.waiting.get(receiver, ())]


EMPTY: Final = Record()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def written(record: Record) -> bytes:
    return _encode(record)


def read(stored: bytes) -> Record:
    return _decode(stored)


Change = Callable[[Record], Record]


class Turn(NamedTuple):
    """Result of evaluating all rules at a time: alerts by rule and key, new messages, receivers by rule."""

    alerts: Mapping[tuple[str, str], Alert]
    messages: Sequence[Message]
    receivers: Mapping[str, Sequence[str]]
    now: int


def turned(record: Record, turn: Turn) -> Record:
    """Return the state after an evaluation round.

    New messages are queued for their receivers. Those that a silence covers are held until it ends, and sent
    then if the alert still fires.
    """
    alerts = tuple(turn.alerts.values())
    known = {alert.id for alert in alerts}
    silences = {name: one for name, one in record.silences.items() if one.until > turn.now}
    after = replace(
        record,
        alerts=alerts,
        messages={**record.messages, **{one.id: one for one in turn.messages}},
        acknowledged={name: one for name, one in record.acknowledged.items() if name in known},
        silences=silences,
    )
    return _tidy(_queued(after, turn), known)


def _queued(record: Record, turn: Turn) -> Record:
    """Queue new messages, and held ones whose silence has ended, for their receivers; hold the others.

    A receiver that was not sent the firing message is not sent the resolved one.
    """
    firing = {f"{alert.id}/firing" for alert in record.alerts if alert.phase in TOLD}
    before = [record.messages[name] for name in record.held]
    unsent = {one.id for one in before if one.what == "firing"}
    held: list[str] = []
    waiting = {name: list(ids) for name, ids in record.waiting.items()}
    for message in (*before, *turn.messages):
        is_void = message.what == "firing" and message.id not in firing
        if is_void or (message.what == "resolved" and f"{message.episode}/firing" in unsent):
            continue
        if record.silence(message.rule, message.key, turn.now) is not None:
            held.append(message.id)
            continue
        for receiver in turn.receivers.get(message.rule, ()):
            waiting.setdefault(receiver, []).append(message.id)
    return replace(record, held=tuple(held), waiting={name: tuple(ids) for name, ids in waiting.items()})


def _tidy(record: Record, known: Iterable[str]) -> Record:
    """Drop messages that nothing refers to any more, and the oldest waiting ones beyond the limit."""
    waiting = {name: ids[-MOST_WAITING:] for name, ids in record.waiting.items() if ids}
    lost = {name: len(ids) - MOST_WAITING for name, ids in record.waiting.items()}
    wanted = {name for ids in waiting.values() for name in ids}.union(record.held)
    messages = {name: one for name, one in record.messages.items() if one.episode in known or name in wanted}
    return replace(record, messages=messages, waiting=waiting, given_up=_added(record.given_up, lost))


def _added(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**before, **{name: before.get(name, 0) + number for name, number in more.items() if number > 0}}


def sent(record: Record, receiver: str, ids: Iterable[str]) -> Record:
    """Remove messages that a receiver has accepted from those that wait for it."""
    return _without(record, receiver, frozenset(ids))


def expired(record: Record, receiver: str, before: int) -> Record:
    """Give up messages to a receiver that are older than `before_ms`, and count them."""
    old = frozenset(one.id for one in record.to(receiver) if one.at < before)
    if not old:
        return record
    return replace(_without(record, receiver, old), given_up=_added(record.given_up, {receiver: len(old)}))


def _without(record: Record, receiver: str, ids: frozenset[str]) -> Record:
    left = tuple(name for name in record.waiting.get(receiver, ()) if name not in ids)
    others = {name: one for name, one in record.waiting.items() if name != receiver}
    return replace(record, waiting=others | ({receiver: left} if left else {}))


def acknowledged(record: Record, episode: str, how: Acknowledgement | None) -> Record:
    """Set the acknowledgement of an alert, or remove it (None). An unknown episode changes nothing."""
    others = {name: one for name, one in record.acknowledged.items() if name != episode}
    if how is not None and any(alert.id == episode for alert in record.alerts):
        others[episode] = how
    return replace(record, acknowledged=others)


def silenced(record: Record, silence: Silence) -> Record:
    """Add a silence, or replace the one with its id.

    >>> silence = Silence(id="s1", rule="nps-drop", key=None, since=0, until=60_000, by="Ana")
    >>> list(silenced(EMPTY, silence).silences)
    ['s1']
    >>> unsilenced(silenced(EMPTY, silence), "s1") == EMPTY
    True
    """
    return replace(record, silences={**record.silences, silence.id: silence})


def unsilenced(record: Record, name: str) -> Record:
    return replace(record, silences={key: one for key, one in record.silences.items() if key != name})
