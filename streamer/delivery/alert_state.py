"""Alert state of a center: everything about alerts that outlives a process, and every change to it.

Pure functions from one state to the next. The caller stores the result only if nobody else has stored one
since the state was read; else it applies the same change to the newer state.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.states import Alert, Phase
from streamer.alerts.verdict import FORMER_KINDS

NOTIFIED_PHASES: Final[tuple[Phase, ...]] = ("firing", "clearing")
"""Phases of an alert that has fired, was sent to its receivers, and has not resolved."""
MAX_WAITING: Final = 10_000
"""Messages waiting for one receiver; beyond that the oldest are given up."""


class Acknowledgement(msgspec.Struct, frozen=True):
    """Statement of a person, at `at` (ms), that they have seen an alert and are working on it."""

    by: str
    at: int
    comment: str = ""


class AlertSilence(msgspec.Struct, frozen=True, kw_only=True):
    """Mute of a rule from `since` until `until` (ms): no messages are sent meanwhile.

    `key` is the group, None for every group of the rule. `id` is Alertmanager's where there is one.

    >>> silence = AlertSilence(id="s1", rule="nps-drop", key="billing", since=0, until=60_000, by="Ana")
    >>> silence.covers("nps-drop", "billing", 59_999), silence.covers("nps-drop", "billing", 60_000)
    (True, False)
    >>> silence.covers("nps-drop", "sales", 0)
    False
    """

    id: str
    rule: str
    key: str | None
    since: int
    until: int
    by: str
    comment: str = ""

    def covers(self, rule: str, key: str, now_ms: int) -> bool:
        return self.rule == rule and self.key in (None, key) and self.since <= now_ms < self.until


class AlertState(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, their messages and what people did about them, as stored for all servers.

    `messages`: those of alerts still known, by id. `waiting`: ids of messages not yet sent, by receiver,
    oldest first. `held`: ids of messages held back by a silence. `acknowledged`: by episode. `silences`: by
    id. `given_up`: number of messages never sent, by receiver.
    `reports`: the first day of the last report sent, by its kind and place ("daily mail").
    """

    alerts: tuple[Alert, ...] = ()
    messages: dict[str, AlertMessage] = {}
    waiting: dict[str, tuple[str, ...]] = {}
    held: tuple[str, ...] = ()
    acknowledged: dict[str, Acknowledgement] = {}
    silences: dict[str, AlertSilence] = {}
    given_up: dict[str, int] = {}
    reports: dict[str, str] = {}

    def alerts_by_group(self) -> dict[tuple[str, str], Alert]:
        """Return the alerts by rule and key."""
        return {(alert.rule, alert.key): alert for alert in self.alerts}

    def firing_messages(self) -> list[AlertMessage]:
        """Return the firing messages of alerts that have fired and not resolved."""
        candidates = (
            self.messages.get(f"{alert.id}/firing") for alert in self.alerts if alert.phase in NOTIFIED_PHASES
        )
        return [message for message in candidates if message is not None]

    def active_silence(self, rule: str, key: str, now_ms: int) -> AlertSilence | None:
        """Return the silence that covers a group now, of several the one that ends last."""
        silences = [silence for silence in self.silences.values() if silence.covers(rule, key, now_ms)]
        return max(silences, key=lambda silence: silence.until, default=None)

    def messages_for(self, receiver: str) -> list[AlertMessage]:
        """Return the messages that wait for a receiver, oldest first."""
        return [self.messages[message_id] for message_id in self.waiting.get(receiver, ())]


EMPTY_STATE: Final = AlertState()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AlertState).decode


def encode_state(state: AlertState) -> bytes:
    return _encode(state)


def decode_state(encoded: bytes) -> AlertState:
    """Decode a state, which may have been stored with the former names of kinds of rules."""
    try:
        return _decode(encoded)
    except msgspec.ValidationError:
        document = msgspec.msgpack.decode(encoded)
        fired_verdicts = (alert.get("fired") for alert in document.get("alerts", ()))
        for item in (*fired_verdicts, *document.get("messages", {}).values()):
            if item is not None:
                item["kind"] = FORMER_KINDS.get(item["kind"], item["kind"])
        return msgspec.convert(document, AlertState)


StateChange = Callable[[AlertState], AlertState]


class EvaluationRound(NamedTuple):
    """Result of evaluating all rules at a time: alerts by rule and key, new messages, receivers by rule."""

    alerts: Mapping[tuple[str, str], Alert]
    messages: Sequence[AlertMessage]
    receivers: Mapping[str, Sequence[str]]
    now_ms: int


def apply_evaluation(state: AlertState, evaluation: EvaluationRound) -> AlertState:
    """Return the state after an evaluation round.

    New messages are queued for their receivers. Those that a silence covers are held until it ends, and sent
    then if the alert still fires.
    """
    alerts = tuple(evaluation.alerts.values())
    alert_ids = {alert.id for alert in alerts}
    silences = {name: item for name, item in state.silences.items() if item.until > evaluation.now_ms}
    updated = replace(
        state,
        alerts=alerts,
        messages={**state.messages, **{item.id: item for item in evaluation.messages}},
        acknowledged={name: item for name, item in state.acknowledged.items() if name in alert_ids},
        silences=silences,
    )
    return _prune(_queue_messages(updated, evaluation), alert_ids)


def _queue_messages(state: AlertState, evaluation: EvaluationRound) -> AlertState:
    """Queue new messages, and held ones whose silence has ended, for their receivers; hold the others.

    A receiver that was not sent the firing message is not sent the resolved one.
    """
    firing_ids = {f"{alert.id}/firing" for alert in state.alerts if alert.phase in NOTIFIED_PHASES}
    held_messages = [state.messages[name] for name in state.held]
    unsent_ids = {held_message.id for held_message in held_messages if held_message.what == "firing"}
    held_ids: list[str] = []
    waiting = {name: list(ids) for name, ids in state.waiting.items()}
    for message in (*held_messages, *evaluation.messages):
        is_void = message.what == "firing" and message.id not in firing_ids
        if is_void or (message.what == "resolved" and f"{message.episode}/firing" in unsent_ids):
            continue
        if state.active_silence(message.rule, message.key, evaluation.now_ms) is not None:
            held_ids.append(message.id)
            continue
        for receiver in evaluation.receivers.get(message.rule, ()):
            waiting.setdefault(receiver, []).append(message.id)
    return replace(state, held=tuple(held_ids), waiting={name: tuple(ids) for name, ids in waiting.items()})


def _prune(state: AlertState, alert_ids: Iterable[str]) -> AlertState:
    """Drop messages that nothing refers to any more, and the oldest waiting ones beyond the limit."""
    waiting = {name: ids[-MAX_WAITING:] for name, ids in state.waiting.items() if ids}
    lost_counts = {name: len(ids) - MAX_WAITING for name, ids in state.waiting.items()}
    needed_ids = {name for ids in waiting.values() for name in ids}.union(state.held)
    messages = {
        name: message
        for name, message in state.messages.items()
        if message.episode in alert_ids or name in needed_ids
    }
    return replace(
        state, messages=messages, waiting=waiting, given_up=_add_counts(state.given_up, lost_counts)
    )


def _add_counts(counts: Mapping[str, int], increments: Mapping[str, int]) -> dict[str, int]:
    return {
        **counts,
        **{name: counts.get(name, 0) + number for name, number in increments.items() if number > 0},
    }


def mark_sent(state: AlertState, receiver: str, ids: Iterable[str]) -> AlertState:
    """Remove messages that a receiver has accepted from those that wait for it."""
    return _remove_waiting(state, receiver, frozenset(ids))


def give_up_expired(state: AlertState, receiver: str, before_ms: int) -> AlertState:
    """Give up messages to a receiver that are older than `before_ms`, and count them."""
    expired_ids = frozenset(message.id for message in state.messages_for(receiver) if message.at < before_ms)
    if not expired_ids:
        return state
    return replace(
        _remove_waiting(state, receiver, expired_ids),
        given_up=_add_counts(state.given_up, {receiver: len(expired_ids)}),
    )


def _remove_waiting(state: AlertState, receiver: str, ids: frozenset[str]) -> AlertState:
    remaining_ids = tuple(name for name in state.waiting.get(receiver, ()) if name not in ids)
    others = {name: waiting_ids for name, waiting_ids in state.waiting.items() if name != receiver}
    return replace(state, waiting=others | ({receiver: remaining_ids} if remaining_ids else {}))


def set_acknowledgement(
    state: AlertState, episode: str, acknowledgement: Acknowledgement | None
) -> AlertState:
    """Set the acknowledgement of an alert, or remove it (None). An unknown episode changes nothing."""
    others = {name: other for name, other in state.acknowledged.items() if name != episode}
    if acknowledgement is not None and any(alert.id == episode for alert in state.alerts):
        others[episode] = acknowledgement
    return replace(state, acknowledged=others)


def add_silence(state: AlertState, silence: AlertSilence) -> AlertState:
    """Add a silence, or replace the one with its id.

    >>> silence = AlertSilence(id="s1", rule="nps-drop", key=None, since=0, until=60_000, by="Ana")
    >>> list(add_silence(EMPTY_STATE, silence).silences)
    ['s1']
    >>> remove_silence(add_silence(EMPTY_STATE, silence), "s1") == EMPTY_STATE
    True
    """
    return replace(state, silences={**state.silences, silence.id: silence})


def remove_silence(state: AlertState, silence_id: str) -> AlertState:
    return replace(
        state, silences={key: silence for key, silence in state.silences.items() if key != silence_id}
    )
