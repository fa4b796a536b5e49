"""Twilio TaskRouter's events: both their shapes, any order of them, and what others got wrong with them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import read_payload
from streamer.events.models import RejectedEvent, Segment
from tests.events.adapters.decoded_facts import decoded_fact
from tests.events.adapters.published_events import latest_facts, published_events

SOURCE = SOURCES["twilio"]
OPTIONS = dict(SOURCE.options)
NINE = 1_772_442_000  # 2026-03-02T09:00:00Z
TASK, OTHER = "WT0000000000000000000000000000001", "WT0000000000000000000000000000002"
ONE, TWO = "WR0000000000000000000000000000001", "WR0000000000000000000000000000002"
ATTRIBUTES = {
    "from": "+34915550123",
    "direction": "inbound",
    "call_sid": "CA1",
    "customers": {"external_id": "c-17"},
    "conversations": {"conversation_id": "talk-1", "initiative": "invoice", "language": "es"},
}
Event = dict[str, Any]


def clock(seconds: float) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"2026-03-02T09:{whole // 60:02}:{whole % 60:02}.{ms:03}Z"


def event(kind: str, seconds: float, task: str = TASK, **payload: Any) -> Event:
    """Return an event as Event Streams sends it."""
    return {
        "specversion": "1.0",
        "type": f"com.twilio.taskrouter.{kind}",
        "source": "/2010-04-01/Accounts/AC0/TaskRouter",
        "id": f"EV-{task}-{kind}-{seconds}",
        "dataschema": "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4",
        "datacontenttype": "application/json",
        "time": clock(seconds),
        "data": {
            "name": kind,
            "timestamp": clock(seconds),
            "payload": {
                "eventtype": kind,
                "timestamp": clock(seconds),
                "workspace_sid": "WS1",
                "task_sid": task,
                "task_attributes": json.dumps(ATTRIBUTES),
                "task_date_created": clock(0),
                "task_channel_unique_name": "voice",
                **payload,
            },
        },
    }


BILLING = {"task_queue_sid": "WQ1", "task_queue_name": "Billing"}
SALES = {"task_queue_sid": "WQ2", "task_queue_name": "Sales"}
MARIA = {
    "worker_sid": "WK1",
    "worker_name": "maria",
    "worker_attributes": json.dumps({"team_name": "Madrid", "email": "maria@example.org"}),
    "reservation_sid": ONE,
    **BILLING,
}
JOANA = {
    "worker_sid": "WK2",
    "worker_name": "joana",
    "worker_attributes": json.dumps({"team_name": "Lisbon"}),
    "reservation_sid": TWO,
    **SALES,
}
START = [
    event("task.created", 0.25),
    event("task-queue.entered", 0.5, **BILLING),
    event("reservation.created", 20, **MARIA),
    event("reservation.accepted", 32.75, **MARIA),
]
ANSWERED = [
    *START,
    event("task.wrapup", 300, **BILLING),
    event("reservation.wrapup", 300, **MARIA),
    event("reservation.completed", 330, **MARIA),
    event("task.completed", 330.5, **BILLING, task_completed_reason="done"),
]
TO_SALES = {"transfer_to": "WQ2", "transfer_mode": "COLD", "transfer_initiating_reservation_sid": ONE}
TRANSFERRED = [
    *START,
    event("task.transfer-initiated", 300, **BILLING, **TO_SALES),
    event("reservation.wrapup", 301, **MARIA),
    event("reservation.completed", 330, **MARIA),
    event("reservation.accepted", 310, **JOANA),
    event("task.transfer-completed", 311, **SALES, **TO_SALES),
    event("reservation.wrapup", 900, **JOANA),
    event("reservation.completed", 940, **JOANA),
    event("task.completed", 941, **SALES),
]
AWAY = event("worker.activity.update", 400, **MARIA, worker_activity_name="Lunch")
GAVE_UP = [
    event("task.created", 60, OTHER, task_date_created=clock(60)),
    event("task-queue.entered", 60, OTHER, **BILLING, task_date_created=clock(60)),
    event("reservation.created", 70, OTHER, **MARIA, task_date_created=clock(60)),
    event(
        "task.canceled", 95.5, OTHER, **BILLING, task_canceled_reason="hangup", task_date_created=clock(60)
    ),
]
PAYLOADS = [*TRANSFERRED, *GAVE_UP, AWAY]

# What holds in the end, written down by hand from the story above.
FIRST_STAY = {
    "contact_id": "talk-1",
    "segment_id": TASK,
    "customer_id": "+34915550123",
    "agent_id": "maria",
    "team": "Madrid",
    "queue": "Billing",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 0.25,
    "ended_at": NINE + 330.0,
    "wait_s": 32.5,
    "acw_s": 29.0,
    "outcome": "answered",
    "transfer": "queue",
}
SECOND_STAY = {
    "contact_id": "talk-1",
    "segment_id": f"{TASK}:{TWO}",
    "customer_id": "+34915550123",
    "agent_id": "joana",
    "team": "Lisbon",
    "queue": "Sales",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 300.0,
    "ended_at": NINE + 940.0,
    "wait_s": 10.0,
    "acw_s": 40.0,
    "outcome": "answered",
    "transfer": "none",
}


def latest_data(payloads: Sequence[Event], **options: Any) -> list[Event]:
    """Return the latest data, in the order of time, without versions."""
    lines = [json.dumps(payload) for payload in payloads]
    facts = latest_facts(published_events(SOURCE, lines, OPTIONS | options)).values()
    unversioned = [{name: fact[name] for name in fact if name != "version"} for fact in facts]
    return sorted(unversioned, key=lambda fact: (fact["ended_at"], fact["segment_id"]))


def only_data(payloads: Sequence[Event], **options: Any) -> Event:
    (data,) = latest_data(payloads, **options)
    return data


def callback(payload: Event) -> Event:
    """The same as the workspace's callback posts it: one level, all of it text."""
    body = payload["data"]["payload"]
    fields = {"".join(word.title() for word in name.split("_")): str(value) for name, value in body.items()}
    seconds = NINE + int(body["timestamp"][14:16]) * 60 + float(body["timestamp"][17:-1])
    del fields["Eventtype"], fields["TaskDateCreated"]
    times = {"Timestamp": str(int(seconds)), "TimestampMs": str(round(seconds * 1000))}
    return fields | times | {"EventType": body["eventtype"], "ResourceType": "task"}


@given(st.permutations(TRANSFERRED), st.lists(st.sampled_from(TRANSFERRED), max_size=6))
def test_any_order_and_any_doubles_say_the_same(order: list[Event], again: list[Event]) -> None:
    assert latest_data([*order, *again]) == [FIRST_STAY, SECOND_STAY]
    assert latest_data([*again, *order]) == [FIRST_STAY, SECOND_STAY]


@given(st.lists(st.sampled_from(PAYLOADS), unique_by=id))
def test_whatever_is_lost_the_order_of_the_rest_does_not_matter(some: list[Event]) -> None:
    assert latest_data(some) == latest_data(
        [payload for payload in PAYLOADS if any(payload is one for one in some)]
    )


@given(st.lists(st.sampled_from(PAYLOADS), unique_by=id))
def test_whatever_is_lost_what_is_published_would_be_counted(some: list[Event]) -> None:
    for sent in published_events(SOURCE, [json.dumps(payload) for payload in some], OPTIONS):
        assert isinstance(decoded_fact(sent, SOURCE.name), Segment)


def test_a_task_that_one_agent_handled_is_one_segment() -> None:
    assert only_data(ANSWERED) == FIRST_STAY | {"acw_s": 30, "transfer": "none"}


def test_the_callbacks_of_the_workspace_say_the_same() -> None:
    assert latest_data([callback(payload) for payload in TRANSFERRED]) == [FIRST_STAY, SECOND_STAY]


def test_a_callback_without_ms_is_of_its_second() -> None:
    bare = [callback(payload) for payload in ANSWERED]
    for payload in bare:
        del payload["TimestampMs"]
    assert only_data(bare)["wait_s"] == 32


def test_the_tasks_own_end_is_its_only_agents() -> None:
    lost = ("reservation.wrapup", "reservation.completed")
    found = only_data([payload for payload in ANSWERED if not payload["type"].endswith(lost)])
    assert (found["acw_s"], found["ended_at"]) == (30.5, NINE + 330.5)


def test_a_transfer_does_not_lengthen_the_first_agents_time() -> None:
    first, second = latest_data(TRANSFERRED, talk_with_hold=True)
    assert (first["talk_s"], second["talk_s"]) == (268.25, 590)
    assert first["ended_at"] == NINE + 330


def test_an_agent_whose_end_was_lost_was_done_when_the_next_took_over() -> None:
    lost = [payload for payload in TRANSFERRED if not payload["type"].endswith("reservation.completed")]
    assert latest_data(lost)[0]["ended_at"] == NINE + 310
    assert latest_data(lost)[1]["ended_at"] == NINE + 941


def test_each_of_three_agents_has_an_own_wait_and_an_own_transfer() -> None:
    third = JOANA | {"reservation_sid": "WR3", "worker_name": "pau"}
    onward = {"transfer_to": "WK3", "transfer_initiating_reservation_sid": TWO}
    unnamed = {"transfer_to": "WK3"}
    ends = [event("reservation.accepted", 820, **third), event("reservation.completed", 960, **third)]
    for told in (onward, unnamed):
        found = latest_data([*ends, event("task.transfer-initiated", 800, **told), *TRANSFERRED])
        assert [fact["wait_s"] for fact in found] == [32.5, 10, 20]
        assert [fact["transfer"] for fact in found] == ["queue", "agent", "none"]


def test_clocks_that_differ_make_no_negative_wait() -> None:
    assert "wait_s" not in only_data([event("task.created", 33), *START[1:], event("task.completed", 90)])


@pytest.mark.parametrize("to", ["WK2", "WORKER"])
def test_a_transfer_to_a_worker_goes_to_an_agent(to: str) -> None:
    moved = event("task.transfer-completed", 311, transfer_to=to, transfer_initiating_reservation_sid=ONE)
    assert only_data([*ANSWERED, moved])["transfer"] == "agent"


def test_a_transfer_that_led_to_nobody_is_none() -> None:
    failed = [
        event("task.transfer-initiated", 200, **TO_SALES),
        event("task.transfer-failed", 220, **TO_SALES),
    ]
    assert only_data([*ANSWERED, *failed])["transfer"] == "none"


def test_a_transfer_that_does_not_name_who_began_it_is_of_who_had_the_task() -> None:
    unsaid = [event("task.transfer-initiated", 300, transfer_to="WQ2")]
    kept = [payload for payload in TRANSFERRED if "transfer" not in payload["type"]]
    assert [fact["transfer"] for fact in latest_data([*kept, *unsaid])] == ["queue", "none"]


def test_a_canceled_task_that_nobody_accepted_is_abandoned() -> None:
    found = only_data(GAVE_UP)
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == ("abandoned", 35.5, NINE + 95.5)
    assert not {"agent_id", "talk_s", "hold_s", "acw_s"} & found.keys()


def test_a_canceled_task_that_was_accepted_is_answered() -> None:
    canceled = event("task.canceled", 200, **BILLING, task_canceled_reason="hangup")
    assert (only_data([canceled, *START])["outcome"], only_data([canceled, *START])["ended_at"]) == (
        "answered",
        NINE + 200,
    )


@pytest.mark.parametrize(
    ("reason", "options", "outcome"),
    [
        ("Task TTL Exceeded", {}, "timeout"),
        ("task ttl exceeded", {}, "timeout"),
        ("left a message", {"outcomes": {"Left a message": "voicemail"}}, "voicemail"),
        ("Task TTL Exceeded", {"outcomes": {}}, "abandoned"),
        (None, {}, "abandoned"),
    ],
)
def test_what_the_reason_of_canceling_means(reason: str | None, options: Event, outcome: str) -> None:
    canceled = event("task.canceled", 95, OTHER, **BILLING, task_canceled_reason=reason)
    assert only_data([canceled], **options)["outcome"] == outcome


def test_who_left_before_any_queue_is_not_published() -> None:
    assert (
        latest_data([event("task.created", 0), event("task.canceled", 9, task_canceled_reason="hangup")])
        == []
    )


def test_nothing_is_published_before_the_end() -> None:
    assert latest_data(START) == []


def test_hold_and_talk_are_unknown_and_never_0() -> None:
    assert not {"hold_s", "talk_s"} & only_data(ANSWERED).keys()
    assert only_data(ANSWERED, talk_with_hold=True)["talk_s"] == 267.25
    assert "hold_s" not in only_data(ANSWERED, talk_with_hold=True)


def test_without_a_wrap_up_its_length_is_unknown() -> None:
    kept = [payload for payload in ANSWERED if not payload["type"].endswith("wrapup")]
    assert not {"acw_s", "talk_s"} & only_data(kept, talk_with_hold=True).keys()


def test_attributes_tell_what_the_options_name() -> None:
    named = {
        "customer_attribute": "customers.external_id",
        "reason_attribute": "conversations.initiative",
        "language_attribute": "conversations.language",
        "team_attribute": "email",
    }
    found = only_data(ANSWERED, **named)
    assert (found["customer_id"], found["reason"], found["language"]) == ("c-17", "invoice", "es")
    assert found["team"] == "maria@example.org"
    assert "customer_id" not in only_data(ANSWERED, customer_attribute="nobody")


def test_an_outbound_task_is_of_whom_was_called() -> None:
    out = json.dumps({"direction": "outbound", "from": "+34910000000", "outbound_to": "+34915550123"})
    accepted = event("reservation.accepted", 1, **MARIA, task_attributes=out)
    found = only_data([accepted, event("task.completed", 90, task_attributes=out)])
    assert (found["direction"], found["customer_id"], found["contact_id"]) == (
        "outbound",
        "+34915550123",
        TASK,
    )


@pytest.mark.parametrize("number", ["anonymous", "+266696687", "", None])
def test_callers_who_hide_their_number_are_not_one_customer(number: str | None) -> None:
    hidden = {"task_attributes": json.dumps({"from": number})}
    assert "customer_id" not in only_data([event("task.canceled", 9, **BILLING, **hidden)])


@pytest.mark.parametrize(
    ("unique_name", "options", "channel"),
    [
        ("Voice", {}, "voice"),
        ("sms", {}, "sms"),
        ("default", {}, "other"),
        ("kiosk", {"channels": {"Kiosk": "video"}}, "video"),
    ],
)
def test_channels(unique_name: str, options: Event, channel: str) -> None:
    canceled = event("task.canceled", 9, **BILLING, task_channel_unique_name=unique_name)
    assert only_data([canceled], **options)["channel"] == channel


@pytest.mark.parametrize(
    "payload",
    [
        event("worker.attributes.update", 9),
        {"specversion": "1.0", "type": "com.twilio.voice.insights.call-summary.complete", "data": {}},
        {"EventType": "activity.created", "Timestamp": "1772442000"},
    ],
)
def test_what_is_of_no_concern_is_passed_over(payload: Event) -> None:
    assert read_payload(SOURCE, json.dumps(payload), OPTIONS) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "missing"),
        (event("task.canceled", 9, task_sid=None), "missing"),
        (event("task.canceled", 9, timestamp=None), "no-time"),
        (event("task.canceled", 9, timestamp="soon"), "no-time"),
        (event("task.canceled", 9, task_attributes="{not json"), "not-json"),
        (event("task.canceled", 9, task_attributes="[1]"), "wrong-type"),
        (event("task.canceled", 9, task_channel_unique_name="kiosk"), "unknown-value"),
        (event("task.canceled", 9) | {"data": "text"}, "missing"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: Event, reason: str) -> None:
    (found,) = read_payload(SOURCE, json.dumps(payload), OPTIONS)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


@pytest.mark.parametrize(
    "options",
    [{"channels": {"voice": "telepathy"}}, {"outcomes": {"hangup": "answered"}}, {"outcomes": "hangup"}],
)
def test_a_setting_that_cannot_be_meant_is_named(options: Event) -> None:
    (found,) = read_payload(SOURCE, json.dumps(GAVE_UP[-1]), OPTIONS | options)
    assert isinstance(found, RejectedEvent)
    assert f"the setting {next(iter(options))}" in found.error
