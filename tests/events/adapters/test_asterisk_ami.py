"""Asterisk's manager events: their shapes, and what others got wrong with them."""

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

SOURCE = SOURCES["asterisk-ami"]
T = 1_700_000_000
CALLER = "+34915550123"
CALL, OTHER = f"{T}.1", f"{T}.9"


def event(name: str, seconds: float, **headers: str) -> dict[str, Any]:
    """Return an event as a bridge sends it: every value is a string, and most headers are irrelevant."""
    common = {"Privilege": "agent,all", "Timestamp": f"{T + seconds:.6f}", "ChannelStateDesc": "Up"}
    return {"Event": name, **common, "Uniqueid": CALL, "Linkedid": CALL, "Queue": "billing", **headers}


def transfer(name: str, seconds: float, **headers: str) -> dict[str, Any]:
    """The headers of a transfer are named by role; there is no Linkedid, Uniqueid or Queue."""
    roles = {"TransfererUniqueid": f"{T}.2", "TransfereeUniqueid": CALL, "TransfereeLinkedid": CALL}
    time = {"Timestamp": f"{T + seconds:.6f}"}
    return {"Event": name, "Result": "Success", "IsExternal": "No", **time, **roles, **headers}


JOINED = event("QueueCallerJoin", 0, CallerIDNum=CALLER, CallerIDName="Ann Example", Position="1")
LEFT = event("QueueCallerLeave", 12, Count="0", Position="1")
AGENT = {"Interface": "PJSIP/8008", "MemberName": "Bob Example"}
CONNECTED = event("AgentConnect", 12.001, **AGENT, HoldTime="12", RingTime="3000")
COMPLETE = event("AgentComplete", 72.1, **AGENT, HoldTime="12", TalkTime="60", Reason="caller")
BLIND = transfer("BlindTransfer", 72.0, Context="from-internal", Extension="600")

# One call answered in billing, put through blindly to sales and answered there; one that gave up.
FIRST = [
    JOINED,
    event("AgentCalled", 9, **AGENT),
    LEFT,
    CONNECTED,
    BLIND,
    COMPLETE | {"Reason": "transfer"},
    event("QueueCallerJoin", 73, Queue="sales", CallerIDNum=CALLER, Position="1"),
    event("QueueCallerLeave", 80, Queue="sales"),
    event("AgentConnect", 80.001, Queue="sales", Interface="PJSIP/9001", HoldTime="7"),
    event("AgentComplete", 200, Queue="sales", Interface="PJSIP/9001", HoldTime="7", TalkTime="120"),
]
SECOND = [
    event("QueueCallerJoin", 20, Uniqueid=OTHER, Linkedid=OTHER, CallerIDNum="+34915550199"),
    event("QueueCallerAbandon", 50, Uniqueid=OTHER, Linkedid=OTHER, HoldTime="30", Position="1"),
    event("QueueCallerLeave", 50.001, Uniqueid=OTHER, Linkedid=OTHER),
]
PAYLOADS: list[dict[str, Any]] = [
    {"Event": "FullyBooted", "Status": "Fully Booted"},
    *FIRST,
    *SECOND,
    event("QueueMemberPause", 300, Interface="PJSIP/8008", Paused="1"),
]


def lines(payloads: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def call_data(*payloads: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    return latest_data(SOURCE, lines([*payloads]), options)


def only_call(*payloads: dict[str, Any], **options: Any) -> dict[str, Any]:
    (data,) = call_data(*payloads, **options)
    return data


def test_a_call_put_through_to_another_queue_is_two_segments_of_one_contact() -> None:
    first, second = call_data(*FIRST)
    assert first == {
        "contact_id": CALL,
        "segment_id": f"{CALL}/billing/1",
        "customer_id": CALLER,
        "queue": "billing",
        "agent_id": "PJSIP/8008",
        "queued_at": T,
        "ended_at": T + 72.1,
        "wait_s": 12,
        "talk_s": 60,
        "outcome": "answered",
        "transfer": "queue",
        "version": 10,
    }
    assert second == {
        "contact_id": CALL,
        "segment_id": f"{CALL}/sales/1",
        "customer_id": CALLER,
        "queue": "sales",
        "agent_id": "PJSIP/9001",
        "queued_at": T + 73,
        "ended_at": T + 200,
        "wait_s": 7,
        "talk_s": 120,
        "outcome": "answered",
        "version": 10,
    }


def test_hold_and_after_call_work_are_unknown_and_not_0() -> None:
    for data in call_data(*FIRST):
        assert not {"hold_s", "acw_s"} & data.keys()


def test_who_gave_up_was_abandoned_once_though_the_queue_also_tells_that_they_left() -> None:
    (found,) = call_data(*SECOND)
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == ("abandoned", 30, T + 50)


def test_who_leaves_the_queue_for_an_agent_did_not_overflow() -> None:
    assert call_data(JOINED, LEFT) == []
    assert call_data(JOINED, LEFT, CONNECTED) == []
    assert only_call(JOINED, LEFT, CONNECTED, COMPLETE)["outcome"] == "answered"


def test_who_leaves_without_an_agent_and_comes_into_another_queue_overflowed() -> None:
    found = only_call(JOINED, LEFT, event("QueueCallerJoin", 13, Queue="sales"))
    assert (found["queue"], found["outcome"], found["ended_at"]) == ("billing", "overflow", T + 12)
    assert "transfer" not in found


@pytest.mark.parametrize(
    ("told", "transfer"),
    [
        ([COMPLETE], None),
        ([COMPLETE | {"Reason": "transfer"}], "agent"),
        ([COMPLETE, BLIND], "agent"),
        ([COMPLETE, BLIND | {"Context": "out"}], "external"),
        ([COMPLETE, BLIND | {"IsExternal": "Yes"}], "agent"),
        ([COMPLETE, BLIND | {"Result": "Fail", "Context": "out"}], None),
        ([COMPLETE, BLIND | {"TransfereeUniqueid": OTHER, "Context": "out"}], None),
        ([COMPLETE, transfer("AttendedTransfer", 74.1)], "agent"),
        ([COMPLETE, transfer("AttendedTransfer", 74.101)], None),
        ([COMPLETE, event("QueueCallerJoin", 73, Queue="sales")], "queue"),
    ],
)
def test_how_a_call_was_put_through(told: list[dict[str, Any]], transfer: str | None) -> None:
    assert only_call(JOINED, CONNECTED, *told, external_contexts=["out"]).get("transfer") == transfer


def test_an_attended_transfer_may_name_the_call_by_its_transferer_alone() -> None:
    roles = {"TransfereeUniqueid": "", "TransfereeLinkedid": "", "OrigTransfererLinkedid": CALL}
    assert only_call(JOINED, COMPLETE, transfer("AttendedTransfer", 72, **roles))["transfer"] == "agent"


def test_a_consultation_call_in_a_queue_belongs_to_the_contact_that_it_was_joined_to() -> None:
    own = f"{T}.5"  # the agent's own channel, which then takes the caller's Linkedid
    joined = event("QueueCallerJoin", 60, Uniqueid=own, Linkedid=own, Queue="sales", CallerIDNum="8008")
    ended = event("AgentComplete", 200, Uniqueid=own, Queue="sales", HoldTime="5", TalkTime="90")
    first, second = call_data(JOINED, joined, COMPLETE | {"Reason": "transfer"}, ended)
    assert {first["contact_id"], second["contact_id"]} == {CALL}
    assert {first["customer_id"], second["customer_id"]} == {CALLER}
    assert (second["segment_id"], second["wait_s"]) == (f"{own}/sales/1", 5)


def test_who_comes_into_one_queue_twice_was_there_twice() -> None:
    gave_up = event("QueueCallerAbandon", 40, HoldTime="30")
    again = event("QueueCallerJoin", 50), event("QueueCallerAbandon", 60, HoldTime="10")
    first, second = call_data(JOINED, gave_up, *again)
    assert (first["segment_id"], first["wait_s"]) == (f"{CALL}/billing/1", 30)
    assert (second["segment_id"], second["wait_s"]) == (f"{CALL}/billing/2", 10)


def test_the_agent_is_named_by_the_interface_which_is_an_id() -> None:
    assert only_call(COMPLETE)["agent_id"] == "PJSIP/8008"
    assert only_call(COMPLETE | {"Interface": ""})["agent_id"] == "Bob Example"


@pytest.mark.parametrize("number", ["", "<unknown>", "Anonymous", "8008", "0000000000"])
def test_a_withheld_number_and_an_extension_are_no_customer(number: str) -> None:
    assert "customer_id" not in only_call(JOINED | {"CallerIDNum": number}, COMPLETE)


def test_that_callers_are_no_customers_can_be_said() -> None:
    assert only_call(JOINED, COMPLETE)["customer_id"] == CALLER
    assert "customer_id" not in only_call(JOINED, COMPLETE, customers=False)
    assert "customer_id" not in only_call(JOINED, COMPLETE, least_digits=12)


@pytest.mark.parametrize(
    ("changed", "reason", "word"),
    [
        ({"Timestamp": None}, "no-time", "timestampevents"),
        ({"Timestamp": "yesterday"}, "wrong-type", "Timestamp"),
        ({"Linkedid": None}, "missing", "Linkedid"),
        ({"Uniqueid": ""}, "missing", "Uniqueid"),
        ({"Queue": None}, "missing", "Queue"),
        ({"HoldTime": "-1"}, "negative", "HoldTime"),
        ({"TalkTime": "long"}, "wrong-type", "TalkTime"),
        ({"TalkTime": ["1"]}, "wrong-type", "TalkTime"),
    ],
)
def test_what_cannot_be_meant_is_rejected_with_what_to_change(
    changed: dict[str, Any], reason: str, word: str
) -> None:
    (found,) = read_payload(SOURCE, json.dumps(COMPLETE | changed), {})
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason
    assert word in found.error


def test_names_of_people_are_not_read() -> None:
    found = [item for payload in FIRST for item in read_payload(SOURCE, json.dumps(payload), {})]
    assert "Example" not in repr(found)


@given(st.permutations(lines(PAYLOADS)), st.lists(st.sampled_from(lines(PAYLOADS)), max_size=8))
def test_in_any_order_and_however_often_it_comes_to_the_same(order: list[str], again: list[str]) -> None:
    assert latest_facts(published_events(SOURCE, [*order, *again])) == latest_facts(
        published_events(SOURCE, lines(PAYLOADS))
    )


def test_all_that_is_published_is_accepted() -> None:
    for sent in published_events(SOURCE, lines(PAYLOADS)):
        record = KafkaRecord(sent.topic, 0, 0, (T + 300) * 1000, None, msgspec.json.encode(sent.data), ())
        assert isinstance(decode(record, CountingRules()), Segment)
