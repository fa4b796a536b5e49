"""Here is the record of alerts: all that outlives a process, in one piece, and each way in which it changes.

Pure: a change is a record made of a record. Who changes it stores it only if nobody else did since it was
read, else does the same to what is there now.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.alerts.message import Message
from streamer.alerts.states import Alert, Phase

TOLD: Final[tuple[Phase, ...]] = ("firing", "clearing")
"""The phases in which somebody was told, and it is not over."""
MOST_WAITING: Final = 10_000
"""Messages to one receiver: of more the oldest are given up."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody has seen an alert, at `at` (ms), and does something about it."""

    by: str
    at: int
    comment: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` until `until` (ms) nobody is sent anything of a rule; `key` None: of any of its groups.
    `id` is Alertmanager's where there is one."""

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
    """`messages`: of the alerts that are still known, by id. `waiting`: ids of those a receiver is still to
    be sent, by its name, the oldest first. `held`: ids of those kept back by a silence. `acknowledged` by
    episode. `given_up`: how many messages a receiver was never sent, by its name."""

    alerts: tuple[Alert, ...] = ()
    messages: dict[str, Message] = {}
    waiting: dict[str, tuple[str, ...]] = {}
    held: tuple[str, ...] = ()
    acknowledged: dict[str, Acknowledgement] = {}
    silences: dict[str, Silence] = {}
    given_up: dict[str, int] = {}

    def by_place(self) -> dict[tuple[str, str], Alert]:
        return {(alert.rule, alert.key): alert for alert in self.alerts}

    def firing(self) -> list[Message]:
        """Of the alerts that somebody was told of and that are not over: what they were told."""
        told = (self.messages.get(f"{one.id}/firing") for one in self.alerts if one.phase in TOLD)
        return [message for message in told if message is not None]

    def silence(self, rule: str, key: str, now: int) -> Silence | None:
        """The one of those that hold which does so longest."""
        found = [one for one in self.silences.values() if one.holds(rule, key, now)]
        return max(found, key=lambda one: one.until, default=None)

    def to(self, receiver: str) -> list[Message]:
        """What it is still to be sent."""
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
    """What came of looking at all rules: alerts as they are now, what is to be said, whom each rule tells."""

    alerts: Mapping[tuple[str, str], Alert]
    messages: Sequence[Message]
    receivers: Mapping[str, Sequence[str]]
    now: int


def turned(record: Record, turn: Turn) -> Record:
    """After a turn. What a silence covers is held until it is over; then it is sent, if it still holds."""
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
    """What is new, and what was held and is no longer, goes to its receivers, or is held. Who was not sent
    that something began is not sent that it is over."""
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
    """Without messages that nothing leads to any more, and with no more of them waiting than may be."""
    waiting = {name: ids[-MOST_WAITING:] for name, ids in record.waiting.items() if ids}
    lost = {name: len(ids) - MOST_WAITING for name, ids in record.waiting.items()}
    wanted = {name for ids in waiting.values() for name in ids}.union(record.held)
    messages = {name: one for name, one in record.messages.items() if one.episode in known or name in wanted}
    return replace(record, messages=messages, waiting=waiting, given_up=_added(record.given_up, lost))


def _added(before: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {**before, **{name: before.get(name, 0) + number for name, number in more.items() if number > 0}}


def sent(record: Record, receiver: str, ids: Iterable[str]) -> Record:
    """A receiver has these."""
    return _without(record, receiver, frozenset(ids))


def expired(record: Record, receiver: str, before: int) -> Record:
    """What it could not be sent since before then (ms) is given up."""
    old = frozenset(one.id for one in record.to(receiver) if one.at < before)
    if not old:
        return record
    return replace(_without(record, receiver, old), given_up=_added(record.given_up, {receiver: len(old)}))


def _without(record: Record, receiver: str, ids: frozenset[str]) -> Record:
    left = tuple(name for name in record.waiting.get(receiver, ()) if name not in ids)
    others = {name: one for name, one in record.waiting.items() if name != receiver}
    return replace(record, waiting=others | ({receiver: left} if left else {}))


def acknowledged(record: Record, episode: str, how: Acknowledgement | None) -> Record:
    """None: taken back. Of an alert that nobody knows nothing changes."""
    others = {name: one for name, one in record.acknowledged.items() if name != episode}
    if how is not None and any(alert.id == episode for alert in record.alerts):
        others[episode] = how
    return replace(record, acknowledged=others)


def silenced(record: Record, silence: Silence) -> Record:
    return replace(record, silences={**record.silences, silence.id: silence})


def unsilenced(record: Record, name: str) -> Record:
    return replace(record, silences={key: one for key, one in record.silences.items() if key != name})
