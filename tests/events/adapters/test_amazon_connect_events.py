"""Amazon Connect's contact events: their shape, and any order, doubles and losses of them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload
from streamer.events.adapters.timelines import assemble_events
from streamer.events.models import RejectedEvent, Segment
from tests.events.adapters.decoded_facts import decoded_fact
from tests.events.adapters.published_events import latest_facts, published_events

SOURCE = SOURCES["amazon-connect-events"]
OPTIONS = dict(SOURCE.options)
ARN = "arn:aws:connect:eu-central-1:111122223333:instance/0000"
FIRST, SECOND, THIRD, FOURTH = (f"bbbb0000-0000-4000-8000-00000000000{number}" for number in range(1, 5))
NINE = 1_772_442_000  # 2026-03-02T09:00:00Z


def clock(seconds: float) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"2026-03-02T09:{whole // 60:02}:{whole % 60:02}.{ms:03}Z"


def event(kind: str, seconds: float, contact: str = FIRST, **detail: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"{contact}-{kind}",
        "detail-type": "Amazon Connect Contact Event",
        "source": "aws.connect",
        "account": "111122223333",
        "time": clock(int(seconds))[:-5] + "Z",
        "region": "eu-central-1",
        "resources": [f"{ARN}/contact/{contact}", ARN],
        "detail": {
            "eventType": kind,
            "contactId": contact,
            "channel": "VOICE",
            "instanceArn": ARN,
            "initiationMethod": "INBOUND",
            "customerEndpoint": {"address": "+34915550123", "type": "TELEPHONE_NUMBER"},
            **detail,
        },
    }


def queued(name: str, seconds: float, kind: str = "STANDARD") -> dict[str, Any]:
    return {"queueArn": f"{ARN}/queue/{name}", "queueType": kind, "enqueueTimestamp": clock(seconds)}


def connected(name: str, seconds: float, **more: Any) -> dict[str, Any]:
    groups = {"level1": {"arn": f"{ARN}/agent-group/1"}, "level2": {"arn": f"{ARN}/agent-group/2"}}
    return {
        "agentArn": f"{ARN}/agent/{name}",
        "connectedToAgentTimestamp": clock(seconds),
        "hierarchyGroups": groups,
        **more,
    }


BILLING = {"queueInfo": queued("billing", 15.5)}
MARIA = BILLING | {"agentInfo": connected("maria", 50.75)}
ENDED = {"disconnectTimestamp": clock(320), "disconnectReason": "CUSTOMER_DISCONNECT"}
WORKED = {
    "agentInfo": connected(
        "maria",
        50.75,
        agentInitiatedHoldDuration=12,
        afterContactWorkStartTimestamp=clock(320),
        afterContactWorkEndTimestamp=clock(350),
        afterContactWorkDuration=30,
    )
}
ANSWERED = [
    event("INITIATED", 0, initiationTimestamp=clock(0)),
    event("QUEUED", 15.5, **BILLING),
    event("CONNECTED_TO_AGENT", 50.75, **MARIA, channel="Voice"),
    event("CONTACT_DATA_UPDATED", 60, **MARIA, updatedProperties=["UserDefinedAttributes"]),
    event("DISCONNECTED", 320, **MARIA, **ENDED),
    event("COMPLETED", 350, **BILLING, **ENDED, **WORKED),
]
MOVED_ON = {
    "initialContactId": FIRST,
    "previousContactId": FIRST,
    "initiationMethod": "TRANSFER",
    "initiationTimestamp": clock(310),
}
JOANA = {"queueInfo": queued("joana", 311, "AGENT"), "agentInfo": connected("joana", 315)}
TRANSFER = [
    event("INITIATED", 310, SECOND, **MOVED_ON),
    event("QUEUED", 311, SECOND, **MOVED_ON, queueInfo=queued("joana", 311, "AGENT")),
    event("CONNECTED_TO_AGENT", 315, SECOND, **MOVED_ON, **JOANA),
    event("DISCONNECTED", 900, SECOND, **MOVED_ON, **JOANA, disconnectTimestamp=clock(900)),
]
WAITED = {"queueInfo": queued("billing", 400) | {"dequeueTimestamp": clock(430)}}
GAVE_UP = [
    event("INITIATED", 390, THIRD),
    event("QUEUED", 400, THIRD, queueInfo=queued("billing", 400)),
    event("DISCONNECTED", 431, THIRD, **WAITED, disconnectTimestamp=clock(431)),
]
BACK = {"initialContactId": THIRD, "previousContactId": THIRD, "initiationMethod": "CALLBACK"}
CALLED_BACK = [
    event("INITIATED", 432, FOURTH, **BACK, initiationTimestamp=clock(432)),
    event("QUEUED", 432, FOURTH, **BACK, queueInfo=queued("billing", 432)),
    event("CONNECTED_TO_AGENT", 1_200, FOURTH, **BACK, agentInfo=connected("maria", 1_200)),
    event("DISCONNECTED", 1_500, FOURTH, **BACK, disconnectTimestamp=clock(1_500)),
]
MENU = [event("INITIATED", 0, "menu"), event("DISCONNECTED", 30, "menu", disconnectTimestamp=clock(30))]
PAYLOADS = [*ANSWERED, *TRANSFER, *GAVE_UP, *CALLED_BACK, *MENU]

# What holds in the end, written down by hand from the story above.
FIRST_STAY = {
    "contact_id": FIRST,
    "segment_id": FIRST,
    "customer_id": "+34915550123",
    "agent_id": f"{ARN}/agent/maria",
    "team": f"{ARN}/agent-group/2",
    "queue": f"{ARN}/queue/billing",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 15.5,
    "ended_at": NINE + 350.0,
    "wait_s": 35.25,
    "hold_s": 12,
    "acw_s": 30,
    "outcome": "answered",
    "transfer": "agent",
}
SECOND_STAY = {
    "contact_id": FIRST,
    "segment_id": SECOND,
    "customer_id": "+34915550123",
    "agent_id": f"{ARN}/agent/joana",
    "team": f"{ARN}/agent-group/2",
    "queue": f"{ARN}/queue/joana",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 311.0,
    "ended_at": NINE + 900.0,
    "wait_s": 4.0,
    "outcome": "answered",
    "transfer": "none",
}


def lines(payloads: Sequence[dict[str, Any]]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def latest_by_segment(payloads: Sequence[dict[str, Any]], **options: Any) -> dict[str, dict[str, Any]]:
    """Return the latest data by segment, without versions."""
    facts = latest_facts(published_events(SOURCE, lines(payloads), OPTIONS | options)).values()
    return {fact["segment_id"]: {name: fact[name] for name in fact if name != "version"} for fact in facts}


def only_segment(payloads: Sequence[dict[str, Any]], **options: Any) -> dict[str, Any]:
    (data,) = latest_by_segment(payloads, **options).values()
    return data


@given(st.permutations([*ANSWERED, *TRANSFER]), st.lists(st.sampled_from([*ANSWERED, *TRANSFER]), max_size=6))
def test_any_order_and_any_doubles_say_the_same(
    order: list[dict[str, Any]], again: list[dict[str, Any]]
) -> None:
    assert latest_by_segment([*order, *again]) == {FIRST: FIRST_STAY, SECOND: SECOND_STAY}
    assert latest_by_segment([*again, *order]) == {FIRST: FIRST_STAY, SECOND: SECOND_STAY}


@given(st.permutations([*GAVE_UP, *CALLED_BACK]))
def test_a_callback_is_known_in_any_order(order: list[dict[str, Any]]) -> None:
    found = latest_by_segment(order)
    assert (found[THIRD]["outcome"], found[THIRD]["channel"], found[THIRD]["wait_s"]) == (
        "callback",
        "voice",
        30,
    )
    assert (found[FOURTH]["outcome"], found[FOURTH]["channel"]) == ("answered", "callback")
    assert found[FOURTH]["contact_id"] == THIRD
    assert "wait_s" not in found[FOURTH]


@given(st.lists(st.sampled_from(PAYLOADS), unique_by=id))
def test_whatever_is_lost_the_order_of_the_rest_does_not_matter(some: list[dict[str, Any]]) -> None:
    assert latest_by_segment(some) == latest_by_segment(
        [payload for payload in PAYLOADS if any(payload is one for one in some)]
    )


@given(st.lists(st.sampled_from(PAYLOADS), unique_by=id))
def test_whatever_is_lost_what_is_published_would_be_counted(some: list[dict[str, Any]]) -> None:
    for sent in published_events(SOURCE, lines(some), OPTIONS):
        assert isinstance(decoded_fact(sent, SOURCE.name), Segment)


def test_a_later_version_is_published_whenever_more_is_known() -> None:
    notes = [
        note
        for line in lines(ANSWERED)
        for note in read_payload(SOURCE, line, OPTIONS)
        if isinstance(note, Fragment)
    ]
    versions = [assemble_events(SOURCE, notes[:count], OPTIONS)[0].data["version"] for count in (4, 5)]
    assert versions == [4, 5]
    assert assemble_events(SOURCE, [*notes, *notes], OPTIONS) == assemble_events(SOURCE, notes, OPTIONS)


@pytest.mark.parametrize("count", range(len(ANSWERED) - 1))
def test_nothing_is_published_before_the_disconnect(count: int) -> None:
    before = [
        event for event in ANSWERED if event["detail"]["eventType"] not in ("DISCONNECTED", "COMPLETED")
    ]
    assert latest_by_segment(before[:count]) == {}


def test_talk_is_unknown_and_hold_and_after_contact_work_until_completed() -> None:
    found = only_segment(ANSWERED[:-1])
    assert not {"talk_s", "hold_s", "acw_s"} & found.keys()
    assert found["ended_at"] == NINE + 320
    assert (only_segment(ANSWERED)["hold_s"], only_segment(ANSWERED)["acw_s"]) == (12, 30)
    assert "talk_s" not in only_segment(ANSWERED)


def test_a_disconnect_alone_tells_of_the_agent_who_was_connected() -> None:
    found = only_segment([ANSWERED[4]])
    assert (found["outcome"], found["wait_s"]) == ("answered", 35.25)


def test_an_event_without_times_happened_when_it_was_sent() -> None:
    bare = [
        event("QUEUED", 10, queueInfo={"queueArn": "q"}),
        event("CONNECTED_TO_AGENT", 22, agentInfo={"agentArn": "a"}),
        event("DISCONNECTED", 100),
    ]
    found = only_segment(bare)
    assert (found["queued_at"], found["wait_s"], found["ended_at"]) == (NINE + 10, 12, NINE + 100)


def test_a_queue_without_an_agent_is_abandoned_and_its_wait_ends_with_the_queue() -> None:
    found = only_segment(GAVE_UP)
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == ("abandoned", 30, NINE + 431)
    found = only_segment([GAVE_UP[1], event("DISCONNECTED", 431, THIRD, disconnectTimestamp=clock(431))])
    assert (found["outcome"], found["wait_s"]) == ("abandoned", 31)


def test_who_was_moved_to_another_queue_has_not_abandoned() -> None:
    onward = {"previousContactId": THIRD, "initiationMethod": "QUEUE_TRANSFER"}
    found = latest_by_segment([event("INITIATED", 430, FOURTH, **onward), *GAVE_UP])
    assert found[THIRD]["outcome"] == "overflow"


def test_a_transfer_without_a_word_on_the_kind_of_queue_goes_to_a_queue() -> None:
    assert latest_by_segment([*ANSWERED, TRANSFER[0]])[FIRST]["transfer"] == "queue"
    assert latest_by_segment(ANSWERED)[FIRST]["transfer"] == "none"


def test_what_a_successor_tells_again_is_the_same_note() -> None:
    notes = [item for line in lines(TRANSFER) for item in read_payload(SOURCE, line, OPTIONS)]
    told = {note.encode() for note in notes if isinstance(note, Fragment) and note.contact == FIRST}
    assert len(told) == 2  # before its queue was known, and after


def test_a_callback_that_the_agent_arranged_is_no_transfer() -> None:
    back = {"previousContactId": FIRST, "initiationMethod": "CALLBACK"}
    found = latest_by_segment([*ANSWERED, event("INITIATED", 400, SECOND, **back)])[FIRST]
    assert (found["outcome"], found["transfer"]) == ("answered", "none")


def test_a_survey_flow_after_the_call_is_no_transfer() -> None:
    after = {"previousContactId": FIRST, "initiationMethod": "DISCONNECT"}
    assert (
        latest_by_segment([*ANSWERED, event("INITIATED", 321, SECOND, **after)])[FIRST]["transfer"] == "none"
    )


def test_who_left_from_the_menu_is_not_published() -> None:
    assert latest_by_segment(MENU) == {}


@pytest.mark.parametrize("method", ["MONITOR", "EXTERNAL_OUTBOUND"])
def test_nobodys_contact_is_not_published(method: str) -> None:
    assert latest_by_segment([event("DISCONNECTED", 320, **MARIA, **ENDED, initiationMethod=method)]) == {}


def test_an_outbound_contact_has_no_queue_of_its_own() -> None:
    out = {"initiationMethod": "OUTBOUND", "agentInfo": connected("maria", 50)}
    dialled = [event("DISCONNECTED", 320, **out, **ENDED)]
    assert (only_segment(dialled)["queue"], only_segment(dialled)["direction"]) == ("outbound", "outbound")
    assert only_segment(dialled, outbound_queue="campaign")["queue"] == "campaign"


def test_clocks_that_differ_make_no_negative_wait() -> None:
    found = only_segment(
        [event("DISCONNECTED", 320, queueInfo=queued("q", 60), agentInfo=connected("a", 59), **ENDED)]
    )
    assert "wait_s" not in found
    late = event("DISCONNECTED", 320, queueInfo=queued("q", 321), **ENDED)
    assert not {"queued_at", "wait_s"} & only_segment([late]).keys()


@pytest.mark.parametrize(
    "payload",
    [
        event("AMD_DISABLED", 10),
        event("SOMETHING_NEW", 10),
        event("QUEUED", 10) | {"detail-type": "Contact Lens Post Call Rules Matched"},
    ],
)
def test_what_is_of_no_concern_is_passed_over(payload: dict[str, Any]) -> None:
    assert read_payload(SOURCE, json.dumps(payload), OPTIONS) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (event("QUEUED", 10) | {"time": None}, "no-time"),
        (event("QUEUED", 10) | {"detail": "QUEUED"}, "wrong-type"),
        (event("QUEUED", 10, contactId=None), "missing"),
        (event("QUEUED", 10, channel="TELEPATHY"), "unknown-value"),
        (event("QUEUED", 10, initiationMethod="SEANCE"), "unknown-value"),
        (event("QUEUED", 10, queueInfo={"enqueueTimestamp": "soon"}), "no-time"),
    ],
)
def test_what_cannot_be_meant_is_rejected(payload: dict[str, Any], reason: str) -> None:
    (found,) = read_payload(SOURCE, json.dumps(payload), OPTIONS)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason
