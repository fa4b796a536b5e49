"""Each message is sent once, or held, and none is lost, whatever else changes the alert state."""

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.states import Alert
from streamer.alerts.verdict import Verdict
from streamer.delivery.alert_state import (
    EMPTY_STATE,
    MAX_WAITING,
    Acknowledgement,
    AlertState,
    add_silence,
    apply_evaluation,
    decode_state,
    encode_state,
    give_up_expired,
    mark_sent,
    remove_silence,
    set_acknowledgement,
)
from streamer.events.counting_rules import HOUR, MINUTE
from tests.delivery.alert_samples import NOW, alert, evaluation_round, message, silence

FIRING, RESOLVED = alert(), alert(phase="resolved")
BEGAN, OVER = message(FIRING), message(RESOLVED)


def fired(before: AlertState = EMPTY_STATE, now: int = NOW) -> AlertState:
    return apply_evaluation(before, evaluation_round(FIRING, messages=[BEGAN], now=now))


def resolved(before: AlertState, now: int = NOW + MINUTE) -> AlertState:
    return apply_evaluation(before, evaluation_round(RESOLVED, messages=[OVER], now=now))


def waits(found: AlertState, receiver: str = "desk") -> list[str]:
    return [one.id for one in found.messages_for(receiver)]


def test_what_is_told_waits_for_each_receiver_of_its_rule() -> None:
    assert fired().messages_for("desk") == fired().messages_for("pager") == [BEGAN]
    assert fired().messages_for("nobody") == []
    assert [one.id for one in fired().firing_messages()] == [BEGAN.id]


def test_what_one_receiver_has_the_other_still_waits_for() -> None:
    after = mark_sent(fired(), "desk", [BEGAN.id])
    assert (waits(after), waits(after, "pager")) == ([], [BEGAN.id])


def test_the_same_again_changes_nothing() -> None:
    once = mark_sent(fired(), "desk", [BEGAN.id])
    assert mark_sent(once, "desk", [BEGAN.id]) == once
    assert apply_evaluation(once, evaluation_round(FIRING)) == once


def test_an_end_waits_behind_its_beginning() -> None:
    assert waits(resolved(fired())) == [BEGAN.id, OVER.id]


def test_what_is_silenced_is_held_and_sent_when_the_silence_is_over_and_it_still_holds() -> None:
    held = fired(add_silence(EMPTY_STATE, silence()))
    assert (waits(held), held.held) == ([], (BEGAN.id,))
    assert waits(apply_evaluation(held, evaluation_round(FIRING, now=NOW + HOUR - 1))) == []
    after = apply_evaluation(held, evaluation_round(FIRING, now=NOW + HOUR))
    assert (waits(after), after.held, after.silences) == ([BEGAN.id], (), {})


def test_of_what_began_and_ended_in_silence_nobody_hears() -> None:
    after = resolved(fired(add_silence(EMPTY_STATE, silence())))
    assert (waits(after), after.held) == ([], ())
    assert waits(apply_evaluation(after, evaluation_round(RESOLVED, now=NOW + 2 * HOUR))) == []


def test_who_was_told_the_beginning_is_told_the_end_after_the_silence() -> None:
    told = mark_sent(fired(), "desk", [BEGAN.id])
    quiet = resolved(add_silence(told, silence()))
    assert waits(quiet) == []
    assert waits(apply_evaluation(quiet, evaluation_round(RESOLVED, now=NOW + HOUR))) == [OVER.id]


def test_a_silence_that_is_taken_back_is_over_at_once() -> None:
    held = fired(add_silence(EMPTY_STATE, silence()))
    assert waits(apply_evaluation(remove_silence(held, "s1"), evaluation_round(FIRING))) == [BEGAN.id]


@pytest.mark.parametrize(("key", "covered"), [(None, True), ("billing", True), ("sales", False), ("", False)])
def test_a_silence_covers_its_group_or_all_of_the_rule(key: str | None, covered: bool) -> None:
    assert bool(fired(add_silence(EMPTY_STATE, silence(key=key))).held) is covered
    assert not fired(add_silence(EMPTY_STATE, silence(key=key, rule="csat-drop"))).held


def test_the_silence_that_lasts_longest_is_the_one_that_holds() -> None:
    both = add_silence(
        add_silence(EMPTY_STATE, silence("short", until=NOW + 1)), silence("long", until=NOW + 2)
    )
    assert [_id(both, NOW + ms) for ms in (-1, 0, 1, 2)] == [None, "long", "long", None]


def _id(found: AlertState, now: int) -> str | None:
    one = found.active_silence("nps-drop", "billing", now)
    return one and one.id


def test_an_acknowledgement_lasts_as_long_as_its_alert_is_known() -> None:
    how = Acknowledgement("Ana", NOW, "calling the provider")
    seen = set_acknowledgement(fired(), FIRING.id, how)
    assert seen.acknowledged == {FIRING.id: how}
    assert resolved(seen).acknowledged == {FIRING.id: how}
    assert apply_evaluation(seen, evaluation_round(now=NOW)).acknowledged == {}
    assert set_acknowledgement(seen, FIRING.id, None).acknowledged == {}
    assert set_acknowledgement(fired(), "nobody knows this", how).acknowledged == {}


def test_messages_are_kept_as_long_as_something_leads_to_them() -> None:
    gone = apply_evaluation(fired(), evaluation_round(now=NOW))
    assert waits(gone) == [BEGAN.id]
    both = mark_sent(mark_sent(gone, "desk", [BEGAN.id]), "pager", [BEGAN.id])
    assert apply_evaluation(both, evaluation_round(now=NOW)).messages == {}


def test_what_could_not_be_sent_for_too_long_is_given_up_and_counted() -> None:
    assert give_up_expired(fired(), "desk", NOW) == fired()
    after = give_up_expired(fired(), "desk", NOW + 1)
    assert (waits(after), waits(after, "pager"), after.given_up) == ([], [BEGAN.id], {"desk": 1})
    assert give_up_expired(after, "desk", NOW + 1) == after


def test_of_too_many_the_oldest_are_given_up_and_counted() -> None:
    several = [alert(f"queue-{number}") for number in range(MAX_WAITING + 2)]
    after = apply_evaluation(
        EMPTY_STATE, evaluation_round(*several, messages=[message(one) for one in several])
    )
    assert len(after.waiting["desk"]) == MAX_WAITING
    assert waits(after)[0] == message(several[2]).id
    assert after.given_up == {"desk": 2, "pager": 2}
    assert apply_evaluation(after, evaluation_round(*several)).given_up == after.given_up


def test_a_record_is_read_as_it_was_written() -> None:
    whole = set_acknowledgement(
        add_silence(resolved(fired()), silence()), FIRING.id, Acknowledgement("Ana", NOW)
    )
    assert decode_state(encode_state(whole)) == whole
    assert decode_state(encode_state(EMPTY_STATE)) == EMPTY_STATE


def test_a_state_stored_with_former_kinds_of_rules_is_read() -> None:
    verdict = Verdict(kind="no_data", key="", state="fires", reason="Nothing came.")
    state = AlertState(
        alerts=(replace(FIRING, fired=verdict), replace(FIRING, key="pending", fired=None)),
        messages={BEGAN.id: replace(BEGAN, kind="threshold"), OVER.id: replace(OVER, kind="drop")},
        waiting={"kind": (BEGAN.id,)},
    )
    document = msgspec.to_builtins(state)
    document["alerts"][0]["fired"]["kind"] = "silence"
    document["messages"][BEGAN.id]["kind"] = "target"
    assert decode_state(msgspec.msgpack.encode(document)) == state


def test_a_state_of_unknown_kinds_is_an_error() -> None:
    document = msgspec.to_builtins(AlertState(messages={BEGAN.id: BEGAN}))
    document["messages"][BEGAN.id]["kind"] = "novel"
    with pytest.raises(msgspec.ValidationError):
        decode_state(msgspec.msgpack.encode(document))


class Model:
    """Model of what each receiver is sent, step by step and by the plain rules."""

    def __init__(self) -> None:
        self.record, self.now, self.number = EMPTY_STATE, NOW, 0
        self.alert: Alert | None = None
        self.got: list[str] = []

    def begin(self) -> None:
        if self.alert is None:
            self.number += 1
            self.alert = alert(began=NOW + self.number)
            self._turn(self.alert, [message(self.alert)])

    def end(self) -> None:
        if self.alert is not None:
            over = alert(phase="resolved", began=self.alert.began_at)
            self.alert = None
            self._turn(over, [message(over)])

    def look(self) -> None:
        self.now += 10 * MINUTE
        self._turn(self.alert, [])

    def hush(self) -> None:
        self.record = add_silence(self.record, silence(since=self.now, until=self.now + 30 * MINUTE))

    def speak(self) -> None:
        self.record = remove_silence(self.record, "s1")

    def send(self) -> None:
        ids = [one.id for one in self.record.messages_for("desk")]
        self.got += ids
        self.record = mark_sent(decode_state(encode_state(self.record)), "desk", ids)

    def _turn(self, one: Alert | None, told: list[AlertMessage]) -> None:
        known = (one,) if one else ()
        self.record = apply_evaluation(
            self.record, evaluation_round(*known, messages=told, now=self.now, to=("desk",))
        )


STEPS: list[Callable[[Model], None]] = [
    Model.begin, Model.end, Model.look, Model.hush, Model.speak, Model.send,
]  # fmt: skip


@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_each_message_is_sent_once_and_an_end_only_behind_its_beginning(
    steps: list[Callable[[Model], None]],
) -> None:
    model = Model()
    for one in steps:
        one(model)
    for one in (Model.speak, Model.look, Model.send):  # no silence is left, all is sent
        one(model)
    assert max(Counter(model.got).values(), default=1) == 1
    for name in model.got:
        episode, _, what = name.rpartition("/")
        began = f"{episode}/firing"
        assert what == "firing" or model.got.index(began) < model.got.index(name)
    if model.alert is not None:
        assert f"{model.alert.id}/firing" in model.got
    assert model.record.waiting.get("desk", ()) == model.record.held == ()
