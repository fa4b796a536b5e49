"""Asterisk's queue_log: its lines, and what others got wrong with them."""

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

SOURCE = SOURCES["asterisk-queue-log"]
T = 1_366_720_000
CALLER = "+34915550123"
OTHER = "+34915550199"

# One call answered in billing, put through blindly to sales and answered there; one that gave up.
FIRST = [
    f"{T}|{T}.1|billing|NONE|ENTERQUEUE||{CALLER}|1|Ann Example",
    f"{T + 5}|{T}.1|billing|SIP/8007|RINGNOANSWER|5000",
    f"{T + 12}|{T}.1|billing|SIP/8008|CONNECT|12|{T}.2|3",
    f"{T + 72}|{T}.1|billing|SIP/8008|BLINDTRANSFER|600|from-internal|12|60|1",
    f"{T + 73}|{T}.1|sales|NONE|ENTERQUEUE||{CALLER}|1",
    f"{T + 80}|{T}.1|sales|PJSIP/9001|CONNECT|7|{T}.3|2",
    f"{T + 200}|{T}.1|sales|PJSIP/9001|COMPLETECALLER|7|120|1",
]
SECOND = [
    f"{T + 20}|{T}.9|billing|NONE|ENTERQUEUE||{OTHER}|2",
    f"{T + 50}|{T}.9|billing|NONE|ABANDON|1|2|30",
]
PAYLOADS: list[str] = [
    f"{T - 9}|NONE|NONE|NONE|QUEUESTART|",
    f"{T - 5}|NONE|billing|SIP/8007|ADDMEMBER|",
    *FIRST,
    *SECOND,
    f"{T + 300}|NONE|billing|SIP/8007|PAUSE|lunch",
]


def call_data(*lines: str, **options: Any) -> list[dict[str, Any]]:
    """The data of what is published of lines that are all of one call."""
    return latest_data(SOURCE, lines, options)


def only_call(*lines: str, **options: Any) -> dict[str, Any]:
    (data,) = call_data(*lines, **options)
    return data


def line(seconds: int, event: str, *details: object, queue: str = "billing", agent: str = "NONE") -> str:
    return "|".join(map(str, (T + seconds, f"{T}.1", queue, agent, event, *details)))


ENTERED = line(0, "ENTERQUEUE", "", CALLER, 1)


def test_a_call_put_through_to_another_queue_is_two_segments_of_one_contact() -> None:
    assert call_data(*FIRST) == [
        {
            "contact_id": f"{T}.1",
            "segment_id": f"{T}.1/billing/1",
            "customer_id": CALLER,
            "queue": "billing",
            "agent_id": "SIP/8008",
            "queued_at": T,
            "ended_at": T + 72,
            "wait_s": 12,
            "talk_s": 60,
            "outcome": "answered",
            "transfer": "queue",
            "version": 10,
        },
        {
            "contact_id": f"{T}.1",
            "segment_id": f"{T}.1/sales/1",
            "customer_id": CALLER,
            "queue": "sales",
            "agent_id": "PJSIP/9001",
            "queued_at": T + 73,
            "ended_at": T + 200,
            "wait_s": 7,
            "talk_s": 120,
            "outcome": "answered",
            "version": 10,
        },
    ]


def test_hold_and_after_call_work_are_unknown_and_not_0() -> None:
    for data in call_data(*FIRST):
        assert not {"hold_s", "acw_s"} & data.keys()


def test_the_hold_time_of_connect_is_the_wait_in_the_queue() -> None:
    done = line(72, "COMPLETEAGENT", "", 60, 1, agent="SIP/1")
    assert only_call(ENTERED, line(12, "CONNECT", 12, f"{T}.2", 3, agent="SIP/1"), done)["wait_s"] == 12


def test_what_is_not_in_the_log_stays_unknown() -> None:
    found = only_call(line(72, "COMPLETEAGENT", agent="SIP/1"))
    assert not {"wait_s", "talk_s", "queued_at", "customer_id"} & found.keys()


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (("ABANDON", 1, 2, 30), "abandoned"),
        (("EXITWITHTIMEOUT", 1, 2, 30), "timeout"),
        (("EXITEMPTY", 1, 2, 30), "overflow"),
        (("EXITWITHKEY", 1, 1, 2, 30), "overflow"),
    ],
)
def test_who_was_not_answered_says_how_they_left_and_after_how_long(
    event: tuple[Any, ...], outcome: str
) -> None:
    found = only_call(ENTERED, line(30, *event))
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == (outcome, 30, T + 30)
    assert not {"agent_id", "talk_s", "transfer"} & found.keys()


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (("EXITEMPTY", 1, 2, 30), "timeout"),
        (("EXITWITHKEY", 1, 1, 2, 30), "callback"),
        (("EXITWITHKEY", 2, 1, 2, 30), "overflow"),
    ],
)
def test_what_an_exit_means_can_be_said_by_event_and_by_key(event: tuple[Any, ...], outcome: str) -> None:
    meant = {"EXITEMPTY": "timeout", "EXITWITHKEY 1": "callback"}
    assert only_call(ENTERED, line(30, *event), outcomes=meant)["outcome"] == outcome


def test_an_old_log_without_the_wait_has_it_from_the_times() -> None:
    assert only_call(ENTERED, line(31, "EXITWITHTIMEOUT", 1))["wait_s"] == 31
    assert "wait_s" not in only_call(line(31, "EXITWITHTIMEOUT", 1))


@pytest.mark.parametrize(
    "own",
    [
        ("TRANSFER", 600, "inside", 12, 60, 1),
        ("TRANSFER", 600, "inside", 12, 60),
        ("BLINDTRANSFER", 600, "inside", 12, 60, 1),
        ("ATTENDEDTRANSFER", "BRIDGE", "4cac", 12, 60, 1),
        ("ATTENDEDTRANSFER", "APP", "Dial", 12, 60, 1),
        ("ATTENDEDTRANSFER", "LINK", "Local/1;1", "Local/1;2", 12, 60, 1),
    ],
)
def test_every_kind_of_transfer_ends_the_talk_of_who_put_the_call_through(own: tuple[Any, ...]) -> None:
    over = line(600, "COMPLETECALLER", 12, 588, 1, agent="SIP/1")
    for lines in ([ENTERED, line(72, *own, agent="SIP/1")], [ENTERED, line(72, *own, agent="SIP/1"), over]):
        found = only_call(*lines)
        assert (found["ended_at"], found["wait_s"], found["talk_s"]) == (T + 72, 12, 60)
        assert (found["outcome"], found["transfer"]) == ("answered", "agent")


@pytest.mark.parametrize(("context", "transfer"), [("out", "external"), ("inside", "agent")])
def test_a_transfer_into_a_context_that_leads_outside_is_external(context: str, transfer: str) -> None:
    put_through = line(72, "BLINDTRANSFER", 600, context, 12, 60, 1)
    assert only_call(ENTERED, put_through, external_contexts=["out"])["transfer"] == transfer


def test_a_transfer_that_left_no_line_shows_by_the_next_queue() -> None:
    done = line(72, "COMPLETEAGENT", 12, 60, 1, agent="SIP/1")
    assert "transfer" not in only_call(ENTERED, done)
    entered_again = line(72, "ENTERQUEUE", "", CALLER, 1, queue="sales")
    assert only_call(ENTERED, done, entered_again)["transfer"] == "queue"


def test_who_comes_into_one_queue_twice_was_there_twice() -> None:
    again = [line(30, "ENTERQUEUE", "", CALLER, 1), line(40, "ABANDON", 1, 1, 10)]
    first, second = call_data(ENTERED, line(30, "EXITWITHTIMEOUT", 1, 1, 30), *again)
    assert (first["segment_id"], first["outcome"], first["queued_at"]) == (f"{T}.1/billing/1", "timeout", T)
    assert (second["segment_id"], second["outcome"], second["queued_at"]) == (
        f"{T}.1/billing/2",
        "abandoned",
        T + 30,
    )


def test_who_hangs_up_in_the_second_of_entering_waited_0() -> None:
    found = only_call(ENTERED, line(0, "ABANDON", 1, 1, 0))
    assert (found["wait_s"], found["queued_at"], found["ended_at"]) == (0, T, T)


def test_a_stay_without_an_end_is_not_counted() -> None:
    assert call_data(ENTERED, line(12, "CONNECT", 12, f"{T}.2", 3, agent="SIP/1")) == []


@pytest.mark.parametrize(
    "callerid", ["", "anonymous", "Unknown", "<unknown>", "1001", "0000000000", "asterisk"]
)
def test_a_withheld_number_and_an_extension_are_no_customer(callerid: str) -> None:
    found = only_call(line(0, "ENTERQUEUE", "", callerid, 1), line(30, "ABANDON", 1, 1, 30))
    assert "customer_id" not in found


def test_how_many_digits_make_a_customer_and_whether_any_can_be_said() -> None:
    lines = line(0, "ENTERQUEUE", "", "123456", 1), line(30, "ABANDON", 1, 1, 30)
    assert only_call(*lines, least_digits=6)["customer_id"] == "123456"
    assert "customer_id" not in only_call(*lines, least_digits=7)
    assert "customer_id" not in only_call(ENTERED, line(30, "ABANDON", 1, 1, 30), customers=False)


@pytest.mark.parametrize(
    "passed_over",
    [
        "",
        "   ",
        f"{T}|NONE|NONE|NONE|CONFIGRELOAD|",
        f"{T}|NONE|NONE|SIP/1|PAUSEALL|",
        f"{T}|REALTIME|NONE|SIP/1|ENTERQUEUE||{CALLER}|1",
        line(0, "PENALTY", 5, agent="SIP/1"),
        line(0, "ADDMEMBER"),
    ],
)
def test_what_is_of_no_concern_is_passed_over(passed_over: str) -> None:
    assert read_payload(SOURCE, passed_over, {}) == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("this is no queue_log", "wrong-type"),
        (f"{T}|{T}.1|billing|NONE", "wrong-type"),
        ("2012-07-03 15:27:23.896208|1.1|billing|NONE|ABANDON|1|1|30", "wrong-type"),
        (f"0|{T}.1|billing|NONE|ABANDON|1|1|30", "missing"),
        (line(30, "ABANDON", 1, 1, "soon"), "wrong-type"),
        (line(30, "ABANDON", 1, 1, -1), "negative"),
        (line(30, "ABANDON", 1, 1, "nan"), "not-finite"),
        (line(30, "ABANDON", 1, 1, 30, queue="NONE"), "missing"),
    ],
)
def test_what_cannot_be_meant_is_rejected(wrong: str, reason: str) -> None:
    (found,) = read_payload(SOURCE, wrong, {})
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


def test_the_name_of_the_caller_is_not_read() -> None:
    assert "Example" not in repr([read_payload(SOURCE, payload, {}) for payload in PAYLOADS])


def test_nothing_of_the_caller_shows_in_an_error() -> None:
    (found,) = read_payload(SOURCE, f"ann@example.org|{T}.1|billing|NONE|ENTERQUEUE||{CALLER}|1", {})
    assert isinstance(found, RejectedEvent)
    assert "ann" not in found.error


@given(st.permutations(PAYLOADS), st.lists(st.sampled_from(PAYLOADS), max_size=8))
def test_in_any_order_and_however_often_it_comes_to_the_same(order: list[str], again: list[str]) -> None:
    assert latest_facts(published_events(SOURCE, [*order, *again])) == latest_facts(
        published_events(SOURCE, PAYLOADS)
    )


def test_all_that_is_published_is_accepted() -> None:
    for sent in published_events(SOURCE, PAYLOADS):
        value = msgspec.json.encode(sent.data)
        record = KafkaRecord(sent.topic, 0, 0, (T + 300) * 1000, None, value, ())
        assert isinstance(decode(record, CountingRules()), Segment)
