"""Genesys Cloud's detail events: their shape, any order of them, and what others got wrong with them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import read_payload
from streamer.events.models import RejectedEvent, Segment, Tombstone
from tests.events.adapters.decoded_facts import decoded_fact
from tests.events.adapters.published_events import latest_facts, published_events

SOURCE = SOURCES["genesys-cloud"]
OPTIONS = dict(SOURCE.options)
NINE = 1_772_442_000  # 2026-03-02T09:00:00Z
CALL, OTHER, THIRD = (f"cccc0000-0000-4000-8000-00000000000{number}" for number in range(1, 4))
Event = dict[str, Any]


def event(kind: str, seconds: float, who: str, conversation: str = CALL, **body: Any) -> Event:
    """Return an event as EventBridge sends it, of a participant with one session."""
    topic = f"v2.detail.events.conversation.{conversation}.{kind}"
    return {
        "version": "0",
        "id": "e-1",
        "detail-type": "v2.detail.events.conversation.{id}." + kind,
        "source": "aws.partner/genesys.com/cloud/org/streamer",
        "time": "2026-03-02T09:59:00Z",
        "detail": {
            "topicName": topic,
            "version": "2",
            "timestamp": "2026-03-02T09:59:00.000Z",
            "metadata": {"CorrelationId": "1"},
            "eventBody": {
                "eventTime": round((NINE + seconds) * 1000),
                "conversationId": conversation,
                "participantId": f"p-{who}",
                "sessionId": f"s-{who}",
                "mediaType": "VOICE",
                "provider": "Edge",
                "direction": "INBOUND",
                "ani": "tel:+34915550123",
                "dnis": "tel:+34910000000",
                **body,
            },
        },
    }


BILLING = {"queueId": "q-billing", "divisionId": "d-home"}
SALES = {"queueId": "q-sales", "divisionId": "d-home"}
MARIA = {"userId": "u-maria", "queueId": "q-billing", "divisionId": "d-madrid"}
JOANA = {"userId": "u-joana", "queueId": "q-sales", "divisionId": "d-lisbon"}
TOOK = {"disconnectType": "TRANSFER", "acdOutcome": "ANSWERED"}  # so it says when an agent has taken the call
ANSWERED = [
    event("customer.start", 0, "customer", externalContactId="x-17"),
    event("acd.start", 10, "acd", **BILLING),
    event("user.start", 40, "maria", **MARIA),
    event("acd.end", 45.5, "acd", **BILLING, **TOOK, answeredUserId="u-maria", connectedDurationMs=35_500),
    event("user.end", 300, "maria", **MARIA, disconnectType="CONSULT_TRANSFER", interactingDurationMs=224_500,
          heldDurationMs=30_000, alertingDurationMs=5_500),
    event("acw", 325, "maria", queueId="q-billing", wrapupCode="w-1", wrapupDurationMs=25_000),
    event("wrapup", 326, "maria", queueId="q-billing", wrapupCode="w-1", wrapupDurationMs=25_000),
]  # fmt: skip
MOVED = [
    event("acd.start", 280, "acd2", **SALES),
    event("user.start", 281, "joana", **JOANA),
    event("acd.end", 290, "acd2", **SALES, **TOOK, answeredUserId="u-joana", connectedDurationMs=10_000),
    event("user.end", 900, "joana", **JOANA, disconnectType="ENDPOINT", interactingDurationMs=610_000),
    event("customer.end", 900, "customer", disconnectType="PEER"),
]
LOST = {"disconnectType": "PEER", "acdOutcome": "ABANDON"}
GAVE_UP = [
    event("customer.start", 0, "customer", OTHER, ani="tel:+34915550199"),
    event("acd.start", 5, "acd", OTHER, **BILLING, ani="tel:+34915550199"),
    event("user.start", 20, "maria", OTHER, **MARIA),  # it rang, and nobody took it
    event("user.end", 28, "maria", OTHER, **MARIA, disconnectType="CLIENT", alertingDurationMs=8_000),
    event("acd.end", 35.25, "acd", OTHER, **BILLING, **LOST, connectedDurationMs=30_250),
    event("customer.end", 35.25, "customer", OTHER, disconnectType="ENDPOINT"),
]
MENU = [event("customer.start", 0, "customer", THIRD), event("customer.end", 30, "customer", THIRD)]
PAYLOADS = [*ANSWERED, *MOVED, *GAVE_UP, *MENU, event("flow.end", 9, "flow", OTHER)]

# What holds in the end, written down by hand from the story above.
FIRST_STAY = {
    "contact_id": CALL,
    "segment_id": f"{CALL}:p-acd:s-acd",
    "customer_id": "+34915550123",
    "agent_id": "u-maria",
    "team": "d-madrid",
    "queue": "q-billing",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 10.0,
    "ended_at": NINE + 325.0,
    "wait_s": 35.5,
    "talk_s": 224.5,
    "hold_s": 30.0,
    "acw_s": 25.0,
    "outcome": "answered",
    "transfer": "queue",
}
SECOND_STAY = {
    "contact_id": CALL,
    "segment_id": f"{CALL}:p-acd2:s-acd2",
    "customer_id": "+34915550123",
    "agent_id": "u-joana",
    "team": "d-lisbon",
    "queue": "q-sales",
    "channel": "voice",
    "direction": "inbound",
    "queued_at": NINE + 280.0,
    "ended_at": NINE + 900.0,
    "wait_s": 10.0,
    "talk_s": 610.0,
    "outcome": "answered",
}


def lines(payloads: Sequence[Event]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def latest_data(payloads: Sequence[Event], **options: Any) -> list[Event]:
    """Return the latest data, in the order of time, without versions."""
    facts = latest_facts(published_events(SOURCE, lines(payloads), OPTIONS | options)).values()
    unversioned = [{name: fact[name] for name in fact if name != "version"} for fact in facts]
    alive = [fact for fact in unversioned if "deleted" not in fact]
    return sorted(alive, key=lambda fact: (fact["ended_at"], fact["segment_id"]))


def only_data(payloads: Sequence[Event], **options: Any) -> Event:
    (data,) = latest_data(payloads, **options)
    return data


def with_body_changes(events: Sequence[Event], kind: str, **body: Any) -> list[Event]:
    """Return the events, with other fields in those of a kind."""
    changed_events = []
    for event in events:
        detail = event["detail"]
        if detail["topicName"].endswith(kind):
            detail = detail | {"eventBody": detail["eventBody"] | body}
        changed_events.append(event | {"detail": detail})
    return changed_events


def without_kinds(events: Sequence[Event], *kinds: str) -> list[Event]:
    return [event for event in events if not event["detail"]["topicName"].endswith(kinds)]


@given(st.permutations([*ANSWERED, *MOVED]), st.lists(st.sampled_from([*ANSWERED, *MOVED]), max_size=6))
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
    for sent in published_events(SOURCE, lines(some), OPTIONS):
        assert isinstance(decoded_fact(sent, SOURCE.name), Segment | Tombstone)


def test_a_transfer_does_not_lengthen_the_first_agents_talk_time() -> None:
    first, second = latest_data([*ANSWERED, *MOVED])
    assert (first["talk_s"], second["talk_s"]) == (224.5, 610)
    assert latest_data(ANSWERED)[0]["talk_s"] == 224.5


def test_that_an_agent_took_the_call_is_no_transfer() -> None:
    assert "transfer" not in only_data(with_body_changes(ANSWERED, "user.end", disconnectType="ENDPOINT"))
    assert "transfer" not in only_data(
        with_body_changes(ANSWERED, "user.end", disconnectType="TRANSPORT_FAILURE")
    )


def test_a_transfer_goes_to_whoever_comes_next() -> None:
    assert only_data(ANSWERED)["transfer"] == "external"
    assert (
        latest_data([*ANSWERED, event("user.start", 250, "joana", userId="u-joana")])[0]["transfer"]
        == "agent"
    )
    assert latest_data([*ANSWERED, MOVED[0]])[0]["transfer"] == "queue"


def test_who_rang_before_the_answer_is_not_whom_it_was_transferred_to() -> None:
    assert only_data([*ANSWERED, event("user.start", 12, "joana", **JOANA)])["transfer"] == "external"


def test_who_was_rung_at_and_did_not_answer_has_not_handled_the_contact() -> None:
    found = only_data(GAVE_UP)
    assert (found["outcome"], found["wait_s"], found["ended_at"]) == ("abandoned", 30.25, NINE + 35.25)
    assert found["customer_id"] == "+34915550199"
    assert not {"agent_id", "talk_s", "hold_s", "acw_s"} & found.keys()


def test_an_end_without_an_outcome_and_without_an_agent_is_abandoned() -> None:
    assert only_data(with_body_changes(GAVE_UP, "acd.end", acdOutcome=None))["outcome"] == "abandoned"
    unsaid = with_body_changes(without_kinds(ANSWERED, "acd.end"), "none")
    assert only_data(
        [*unsaid, event("acd.end", 45.5, "acd", **BILLING, disconnectType="TRANSFER")]
    ) == FIRST_STAY | {"transfer": "external"}


UNSAID = event("acd.end", 45.5, "acd", **BILLING, disconnectType="PEER")
TALKED = {"disconnectType": "PEER", "interactingDurationMs": 60_000}


def test_who_hung_up_while_it_rang_has_abandoned() -> None:
    rang = [event("user.start", 40, "maria", **MARIA), event("user.end", 45.5, "maria", **MARIA)]
    found = only_data([ANSWERED[1], UNSAID, *rang])
    assert (found["outcome"], found["team"]) == ("abandoned", "d-home")
    assert "agent_id" not in found


def test_an_end_without_a_word_is_abandoned_until_an_agent_is_known_to_have_talked() -> None:
    rang = event("user.start", 40, "maria", **MARIA)
    assert only_data([ANSWERED[1], UNSAID, rang])["outcome"] == "abandoned"
    assert (
        only_data([ANSWERED[1], UNSAID, rang, event("user.end", 300, "maria", **MARIA, **TALKED)])["talk_s"]
        == 60
    )


@pytest.mark.parametrize(
    "elsewhere",
    [
        [event("user.start", 40, "joana", **JOANA), event("user.end", 300, "joana", **JOANA, **TALKED)],
        [event("user.start", 100, "maria", **MARIA), event("user.end", 300, "maria", **MARIA, **TALKED)],
        [event("user.end", 30, "maria", **MARIA, **TALKED)],
        [event("user.end", 300, "maria", **MARIA | {"queueId": None}, **TALKED)],
    ],
    ids=["of another queue", "later", "earlier", "of a queue unknown"],
)
def test_an_agent_of_another_stay_has_not_taken_the_call(elsewhere: list[Event]) -> None:
    assert only_data([UNSAID, *elsewhere])["outcome"] == "abandoned"


def test_whom_the_queue_names_has_answered_also_where_nothing_else_is_known_of_it() -> None:
    named = event("acd.end", 45.5, "acd", **BILLING, disconnectType="TRANSFER", answeredUserId="u-maria")
    found = only_data([ANSWERED[1], named, event("customer.end", 300, "customer")])
    assert (found["outcome"], found["agent_id"]) == ("answered", "u-maria")


def test_a_queue_that_was_left_before_is_not_where_the_contact_went() -> None:
    first = [event("acd.start", 0, "a", **SALES), event("acd.end", 9, "a", **SALES, acdOutcome="FLOW_OUT")]
    second = [ANSWERED[1], event("acd.end", 45.5, "acd", **BILLING, disconnectType="TRANSFER")]
    assert only_data([*first, *second])["queue"] == "q-sales"


def test_a_second_session_of_the_agent_is_not_whom_it_was_transferred_to() -> None:
    screen = event("user.start", 60, "maria", **MARIA, sessionId="s-screen", mediaType="SCREENSHARE")
    assert only_data([*ANSWERED, screen])["transfer"] == "external"


def test_a_transfer_out_of_the_queue_waits_for_a_word_where_to() -> None:
    out = [ANSWERED[1], event("acd.end", 45.5, "acd", **BILLING, disconnectType="TRANSFER")]
    assert latest_data(out) == []
    assert latest_data([*out, event("acd.start", 46, "acd2", **SALES)])[0]["outcome"] == "overflow"


def test_a_flow_out_is_an_overflow_and_a_callback_where_one_is_queued() -> None:
    out = [GAVE_UP[1], event("acd.end", 35, "acd", OTHER, **BILLING, acdOutcome="FLOW_OUT")]
    assert only_data(out)["outcome"] == "overflow"
    back = event("acd.start", 36, "back", OTHER, **BILLING, mediaType="CALLBACK")
    assert latest_data([*out, back])[0]["outcome"] == "callback"


CALLBACK = {"mediaType": "CALLBACK", **BILLING}
BACK = [
    event("acd.start", 5, "acd", OTHER, **BILLING),
    event("acd.end", 35, "acd", OTHER, **BILLING, acdOutcome="FLOW_OUT"),
    event("acd.start", 36, "back", OTHER, **CALLBACK),
    event("user.start", 1_000, "maria", OTHER, **MARIA | CALLBACK),
    event("acd.end", 1_005, "back", OTHER, **CALLBACK, acdOutcome="ANSWERED", answeredUserId="u-maria"),
    event("user.start", 1_006, "maria", OTHER, **MARIA, direction="OUTBOUND", sessionId="s-call"),
    event("user.end", 1_200, "maria", OTHER, **MARIA, direction="OUTBOUND", sessionId="s-call",
          interactingDurationMs=180_000),
    event("user.end", 1_210, "maria", OTHER, **MARIA | CALLBACK, interactingDurationMs=205_000),
]  # fmt: skip


@given(st.permutations(BACK))
def test_a_callbacks_own_call_is_not_a_contact_beside_it(order: list[Event]) -> None:
    first, second = latest_data(order)
    assert first["outcome"] == "callback"
    assert (second["outcome"], second["channel"], second["talk_s"]) == ("answered", "callback", 205)
    assert "wait_s" not in second


def test_what_is_taken_back_is_a_tombstone_of_what_was_published() -> None:
    events = lines(BACK)
    found = [
        decoded_fact(sent, SOURCE.name) for sent in published_events(SOURCE, [events[6], *events], OPTIONS)
    ]
    calls = [fact for fact in found if str(fact.identity.id).endswith("s-call")]
    assert isinstance(calls[0], Segment)
    assert isinstance(calls[-1], Tombstone)
    assert calls[-1].version > calls[0].version


def test_an_outbound_call_for_a_queue_is_a_segment_of_whom_was_called() -> None:
    out = {"direction": "OUTBOUND", "ani": "tel:+34910000000", "dnis": "tel:+34915550123"}
    dialled = [event("user.end", 90, "maria", **MARIA, **out, interactingDurationMs=60_000)]
    found = only_data(dialled)
    assert (found["direction"], found["outcome"], found["customer_id"]) == (
        "outbound",
        "answered",
        "+34915550123",
    )
    assert (
        only_data(with_body_changes(dialled, "user.end", interactingDurationMs=None))["outcome"] == "timeout"
    )
    assert latest_data(with_body_changes(dialled, "user.end", queueId=None)) == []


@pytest.mark.parametrize("field", ["heldDurationMs", "interactingDurationMs", "wrapupDurationMs"])
def test_a_duration_that_is_not_there_is_unknown_and_never_0(field: str) -> None:
    name = {"heldDurationMs": "hold_s", "interactingDurationMs": "talk_s", "wrapupDurationMs": "acw_s"}[field]
    events = ANSWERED
    for kind in ("user.end", "acw", "wrapup"):
        events = with_body_changes(events, kind, **{field: None})
    assert name not in only_data(events)
    assert name in only_data(ANSWERED)


def test_what_was_lost_is_unknown() -> None:
    assert "wait_s" in only_data(without_kinds(ANSWERED, "acd.start"))  # connectedDurationMs
    assert "wait_s" not in only_data(without_kinds(ANSWERED, "acd.end"))
    assert only_data(without_kinds(ANSWERED, "acw", "wrapup"))["ended_at"] == NINE + 300
    assert latest_data(without_kinds(ANSWERED, "user.end", "acw", "wrapup")) == []
    ended = only_data(
        [*without_kinds(ANSWERED, "user.end", "acw", "wrapup"), event("customer.end", 300, "customer")]
    )
    assert (ended["agent_id"], ended["ended_at"]) == ("u-maria", NINE + 300)
    assert "talk_s" not in ended


def test_one_agent_who_takes_the_customer_twice_has_two_stays() -> None:
    again = [
        event("acd.start", 330, "acd2", **BILLING),
        event("user.start", 335, "maria2", **MARIA),
        event("acd.end", 340, "acd2", **BILLING, **TOOK, answeredUserId="u-maria"),
        event("user.end", 400, "maria2", **MARIA, disconnectType="PEER", interactingDurationMs=60_000),
    ]
    assert [fact["talk_s"] for fact in latest_data([*reversed(again), *ANSWERED])] == [224.5, 60]
    assert [fact["talk_s"] for fact in latest_data([*without_kinds(again, "user.start"), *ANSWERED])] == [
        224.5,
        60,
    ]
    assert [fact["talk_s"] for fact in latest_data([again[0], *ANSWERED])] == [224.5]


def test_a_queue_that_is_still_waited_in_is_not_answered_by_who_had_the_contact_before() -> None:
    for seconds in (280, 330):
        waits = event("acd.start", seconds, "acd2", **BILLING)
        assert only_data([waits, *ANSWERED]) == FIRST_STAY
    assert latest_data([waits, ANSWERED[4]]) == []


def test_what_was_taken_for_an_answer_is_taken_back_where_another_queue_was_answered() -> None:
    talked = event("user.end", 400, "maria", **MARIA, **TALKED)
    first, second = event("acd.start", 0, "acd", **BILLING), event("acd.start", 330, "acd2", **BILLING)
    assert latest_data([first, talked]) != []
    found = latest_data([first, talked, second])
    assert [fact["segment_id"] for fact in found] == [f"{CALL}:p-acd2:s-acd2"]
    assert found == latest_data([second, first, talked])


def test_the_options_tell_who_the_customer_is_and_what_the_wrap_up_code_says() -> None:
    assert only_data(ANSWERED, customer="external_contact")["customer_id"] == "x-17"
    assert only_data(ANSWERED, wrapup_is_reason=True)["reason"] == "w-1"
    assert "reason" not in only_data(ANSWERED)


@pytest.mark.parametrize(
    ("media", "message", "channel"),
    [
        ("CHAT", None, "chat"),
        ("EMAIL", None, "email"),
        ("MESSAGE", "SMS", "sms"),
        ("MESSAGE", "WHATSAPP", "message"),
        ("MESSAGE", "FACEBOOK", "social"),
        ("COBROWSE", None, "other"),
    ],
)
def test_channels(media: str, message: str | None, channel: str) -> None:
    events = with_body_changes(
        with_body_changes(GAVE_UP, "acd.start", mediaType=media, messageType=message), "acd.end",
        mediaType=media, messageType=message,
    )  # fmt: skip
    assert only_data(events)["channel"] == channel


def test_callers_who_hide_their_number_are_not_one_customer() -> None:
    hidden = GAVE_UP
    for kind in ("customer.start", "customer.end", "acd.start", "acd.end"):
        hidden = with_body_changes(hidden, kind, ani="sip:anonymous@anonymous.invalid")
    assert "customer_id" not in only_data(hidden)


def test_who_left_from_the_menu_is_not_published() -> None:
    assert latest_data(MENU) == []


def test_the_notification_apis_messages_say_the_same() -> None:
    assert latest_data([one["detail"] for one in ANSWERED]) == latest_data(ANSWERED)
    heartbeat = {"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}
    assert read_payload(SOURCE, json.dumps(heartbeat), OPTIONS) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"eventTime": None}, "no-time"),
        ({"eventTime": "soon"}, "wrong-type"),
        ({"eventTime": -1}, "no-time"),
        ({"conversationId": None}, "missing"),
        ({"sessionId": ""}, "missing"),
        ({"mediaType": "TELEPATHY"}, "unknown-value"),
        ({"connectedDurationMs": -1}, "negative"),
    ],
)
def test_what_cannot_be_meant_is_rejected(body: dict[str, Any], reason: str) -> None:
    (found,) = read_payload(SOURCE, json.dumps(with_body_changes(ANSWERED, "acd.end", **body)[3]), OPTIONS)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


@pytest.mark.parametrize(
    "payload", [{}, {"detail": 1}, {"detail": ANSWERED[0]["detail"] | {"eventBody": "x"}}]
)
def test_what_is_no_event_is_rejected(payload: dict[str, Any]) -> None:
    (found,) = read_payload(SOURCE, json.dumps(payload), OPTIONS)
    assert isinstance(found, RejectedEvent)
