"""FreeSWITCH's mod_callcenter: its events, and what others got wrong with them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import read_payload
from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import RejectedEvent, Segment
from tests.events.adapters.published_events import latest_data, latest_facts, published_events

SOURCE = SOURCES["freeswitch"]
T = 1_700_000_000
CALLER = "+34915550123"
MEMBER, SECOND_MEMBER, SESSION = "0415f741-m1", "0415f741-m2", "7c1b22d0-s1"


def event(action: str, seconds: float, **headers: str) -> dict[str, Any]:
    """Headers with _ for -; times in seconds after T, which are written as FreeSWITCH does."""
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "Event-Name": "CUSTOM",
        "Event-Subclass": "callcenter::info",
        "Event-Date-Timestamp": str(round((T + seconds) * 1_000_000)),
        "CC-Queue": "billing@default",
        "CC-Action": action,
        "CC-Member-UUID": MEMBER,
        "CC-Member-Session-UUID": SESSION,
        "CC-Member-CID-Name": "Ann Example",
        "CC-Member-CID-Number": CALLER,
        **own,
    }


AGENT = {"CC_Agent": "1001@default", "CC_Agent_System": "single_box"}
TIMES = {
    "CC_Agent_Called_Time": str(T + 9),
    "CC_Agent_Answered_Time": str(T + 12),
    "CC_Member_Joined_Time": str(T),
}
START = event("member-queue-start", 0.4)
BRIDGED = event("bridge-agent-start", 12.2, **AGENT, **TIMES)
UNBRIDGED = event("bridge-agent-end", 72.3, **AGENT, **TIMES, CC_Bridge_Terminated_Time=str(T + 72))
ENDED = event(
    "member-queue-end", 72.4, **AGENT, **TIMES, CC_Cause="Terminated", CC_Member_Leaving_Time=str(T + 73)
)


def cancelled(seconds: int, reason: str, **headers: str) -> dict[str, Any]:
    times = {"CC_Member_Joined_Time": str(T), "CC_Member_Leaving_Time": str(T + seconds)}
    cause = {"CC_Cause": "Cancel", "CC_Cancel_Reason": reason}
    return event("member-queue-end", seconds + 0.2, **times, **cause, **headers)


AGAIN = {"CC_Member_UUID": SECOND_MEMBER, "CC_Queue": "sales@default"}
OTHER = {"CC_Member_UUID": "99-m3", "CC_Member_Session_UUID": "99-s3", "CC_Member_CID_Number": "+34915550199"}
PAYLOADS: list[dict[str, Any]] = [
    START,
    {"Event-Subclass": "callcenter::info", "CC-Queue": "billing@default", "CC-Action": "members-count"},
    event("agent-offering", 9, **AGENT),
    BRIDGED,
    UNBRIDGED,
    ENDED,
    event("member-queue-start", 73, **AGAIN),
    cancelled(90, "TIMEOUT", **AGAIN) | {"CC-Member-Joined-Time": str(T + 73)},
    event("member-queue-start", 20.1, **OTHER),
    cancelled(50, "BREAK_OUT", **OTHER) | {"CC-Member-Joined-Time": str(T + 20)},
]


def lines(payloads: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def call_data(*payloads: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    return latest_data(SOURCE, lines([*payloads]), options)


def only_call(*payloads: dict[str, Any], **options: Any) -> dict[str, Any]:
    (data,) = call_data(*payloads, **options)
    return data


def test_a_stay_in_a_queue_is_a_segment_of_its_session() -> None:
    assert only_call(START, BRIDGED, UNBRIDGED, ENDED) == {
        "contact_id": SESSION,
        "segment_id": MEMBER,
        "customer_id": CALLER,
        "queue": "billing@default",
        "agent_id": "1001@default",
        "queued_at": T,
        "ended_at": T + 72,
        "wait_s": 12,
        "talk_s": 60,
        "outcome": "answered",
        "version": 4,
    }


@pytest.mark.parametrize("told", [[ENDED], [UNBRIDGED]])
def test_one_end_is_enough(told: list[dict[str, Any]]) -> None:
    found = only_call(*told)
    assert (found["outcome"], found["wait_s"], found["talk_s"]) == (
        "answered",
        12,
        60 if told == [UNBRIDGED] else 61,
    )


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("BREAK_OUT", "abandoned"),
        ("TIMEOUT", "timeout"),
        ("NO_AGENT_TIMEOUT", "overflow"),
        ("EXIT_WITH_KEY", "overflow"),
        ("NONE", "abandoned"),
    ],
)
def test_who_was_not_answered_says_how_they_left_and_after_how_long(reason: str, outcome: str) -> None:
    found = only_call(START, cancelled(30, reason))
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == (outcome, 30, T + 30)
    assert not {"agent_id", "talk_s", "transfer"} & found.keys()


def test_what_a_cancel_reason_means_can_be_said() -> None:
    meant = {"EXIT_WITH_KEY": "callback"}
    assert only_call(cancelled(30, "EXIT_WITH_KEY"), outcomes=meant)["outcome"] == "callback"
    assert only_call(cancelled(30, "TIMEOUT"), outcomes=meant)["outcome"] == "timeout"


def test_a_time_of_0_means_that_it_never_happened() -> None:
    never = {"CC-Agent-Answered-Time": "0", "CC-Agent-Called-Time": "0"}
    found = only_call(ENDED | never)
    assert not {"wait_s", "talk_s"} & found.keys()
    assert "wait_s" not in only_call(cancelled(30, "BREAK_OUT") | {"CC-Member-Joined-Time": "0"})


def test_who_hangs_up_at_once_did_not_wait_less_than_0() -> None:
    found = only_call(START, cancelled(0, "BREAK_OUT") | {"CC-Member-Joined-Time": "0"})
    assert (found["queued_at"], found["wait_s"]) == (T, 0)


def test_hold_and_after_call_work_are_unknown_and_not_0() -> None:
    assert not {"hold_s", "acw_s"} & only_call(START, BRIDGED, UNBRIDGED, ENDED).keys()


def test_who_enters_another_queue_after_an_agent_was_put_through() -> None:
    answered, gave_up = call_data(*PAYLOADS[:8])
    assert (answered["segment_id"], answered["transfer"]) == (MEMBER, "queue")
    assert (gave_up["segment_id"], gave_up["outcome"]) == (SECOND_MEMBER, "timeout")
    assert answered["contact_id"] == gave_up["contact_id"] == SESSION


def test_who_was_not_answered_before_another_queue_was_not_put_through() -> None:
    first, _ = call_data(START, cancelled(30, "TIMEOUT"), *PAYLOADS[6:8])
    assert "transfer" not in first


def test_who_was_in_another_queue_before_the_agent_was_not_put_through() -> None:
    assert "transfer" not in only_call(event("member-queue-start", -60, **AGAIN), START, ENDED)


def test_a_bridge_that_has_not_ended_is_no_segment_yet() -> None:
    assert call_data(START, BRIDGED) == []


def test_who_calls_again_and_keeps_the_place_waited_since_the_second_call() -> None:
    second = {"CC-Member-Session-UUID": "second-call", "CC-Agent-Answered-Time": str(T + 310)}
    resumed = event("member-queue-resume", 300.5) | second
    ended = UNBRIDGED | second | {"CC-Bridge-Terminated-Time": str(T + 400)}
    found = only_call(START, cancelled(30, "BREAK_OUT"), resumed, BRIDGED | second, ended)
    assert (found["contact_id"], found["outcome"]) == ("second-call", "answered")
    assert (found["queued_at"], found["wait_s"], found["talk_s"]) == (T + 300, 10, 90)


@pytest.mark.parametrize("number", ["", "anonymous", "Unknown", "1001", "0000000000"])
def test_a_withheld_number_and_an_extension_are_no_customer(number: str) -> None:
    assert "customer_id" not in only_call(ENDED | {"CC-Member-CID-Number": number})


def test_that_callers_are_no_customers_can_be_said() -> None:
    assert only_call(ENDED)["customer_id"] == CALLER
    assert "customer_id" not in only_call(ENDED, customers=False)
    assert "customer_id" not in only_call(ENDED, least_digits=12)


@pytest.mark.parametrize("action", ["members-count", "agent-add", "agent-state-get", "", None])
def test_what_is_of_no_concern_is_passed_over(action: str | None) -> None:
    assert read_payload(SOURCE, json.dumps(START | {"CC-Action": action}), {}) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"CC-Member-UUID": None}, "missing"),
        ({"CC-Member-Session-UUID": ""}, "missing"),
        ({"CC-Queue": None}, "missing"),
        ({"CC-Agent-Answered-Time": "soon"}, "wrong-type"),
        ({"CC-Member-Leaving-Time": str(T * 1000)}, "no-time"),
        ({"Event-Date-Timestamp": str(T * 1_000_000_000)}, "too-much"),
        ({"CC-Agent": {"name": "ann@example.org"}}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(changed: dict[str, Any], reason: str) -> None:
    (found,) = read_payload(SOURCE, json.dumps(ENDED | changed), {})
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason
    assert "ann" not in found.error


def test_without_the_time_of_the_event_that_of_what_it_tells_will_do() -> None:
    assert only_call(ENDED | {"Event-Date-Timestamp": None})["ended_at"] == T + 73


def test_names_of_people_are_not_read() -> None:
    assert "Example" not in repr([read_payload(SOURCE, line, {}) for line in lines(PAYLOADS)])


@given(st.permutations(lines(PAYLOADS)), st.lists(st.sampled_from(lines(PAYLOADS)), max_size=8))
def test_in_any_order_and_however_often_it_comes_to_the_same(order: list[str], again: list[str]) -> None:
    assert latest_facts(published_events(SOURCE, [*order, *again])) == latest_facts(
        published_events(SOURCE, lines(PAYLOADS))
    )


def test_all_that_is_published_is_accepted() -> None:
    for sent in published_events(SOURCE, lines(PAYLOADS)):
        record = KafkaRecord(sent.topic, 0, 0, (T + 300) * 1000, None, msgspec.json.encode(sent.data), ())
        assert isinstance(decode(record, CountingRules()), Segment)
