"""Amazon Connect's contact records: their shape, and what others got wrong with them."""

import json
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import OutgoingEvent, PayloadItem, read_payload
from streamer.events.models import RejectedEvent, Segment
from tests.events.adapters.decoded_facts import decoded_fact

SOURCE = SOURCES["amazon-connect"]
ARN = "arn:aws:connect:eu-central-1:111122223333:instance/0000"
FIRST, SECOND = "aaaa0000-0000-4000-8000-000000000001", "aaaa0000-0000-4000-8000-000000000002"


def agent(name: str, **changed: Any) -> dict[str, Any]:
    return {
        "ARN": f"{ARN}/agent/{name}",
        "AfterContactWorkDuration": 30,
        "AfterContactWorkEndTimestamp": "2026-03-02T09:05:50Z",
        "AfterContactWorkStartTimestamp": "2026-03-02T09:05:20Z",
        "AgentInteractionDuration": 240,
        "ConnectedToAgentTimestamp": "2026-03-02T09:00:50Z",
        "CustomerHoldDuration": 30,
        "HierarchyGroups": {
            "Level1": {"ARN": f"{ARN}/agent-group/1", "GroupName": "Madrid"},
            "Level2": {"ARN": f"{ARN}/agent-group/2", "GroupName": "Madrid Billing"},
            "Level3": None,
        },
        "LongestHoldDuration": 30,
        "NumberOfHolds": 1,
        "RoutingProfile": {"ARN": f"{ARN}/routing-profile/1", "Name": "Billing"},
        "Username": name,
        **changed,
    }


RECORD: dict[str, Any] = {
    "AWSAccountId": "111122223333",
    "AWSContactTraceRecordFormatVersion": "2017-03-10",
    "Agent": agent("maria"),
    "AgentConnectionAttempts": 1,
    "Attributes": {"Topic": "invoice", "Lang": "es", "CrmId": "c-17", "blank": ""},
    "Channel": "VOICE",
    "ConnectedToSystemTimestamp": "2026-03-02T09:00:00Z",
    "ContactId": FIRST,
    "CustomerEndpoint": {"Address": "+34915550123", "Type": "TELEPHONE_NUMBER"},
    "DisconnectReason": "CUSTOMER_DISCONNECT",
    "DisconnectTimestamp": "2026-03-02T09:05:20Z",
    "InitialContactId": None,
    "InitiationMethod": "INBOUND",
    "InitiationTimestamp": "2026-03-02T09:00:00Z",
    "InstanceARN": ARN,
    "LastUpdateTimestamp": "2026-03-02T09:06:55Z",
    "NextContactId": None,
    "PreviousContactId": None,
    "Queue": {
        "ARN": f"{ARN}/queue/1",
        "DequeueTimestamp": "2026-03-02T09:00:50Z",
        "Duration": 35,
        "EnqueueTimestamp": "2026-03-02T09:00:15Z",
        "Name": "Billing",
    },
    "SystemEndpoint": {"Address": "+34910000000", "Type": "TELEPHONE_NUMBER"},
    "TransferCompletedTimestamp": None,
    "TransferredToEndpoint": None,
}
TRANSFERRED = RECORD | {"NextContactId": SECOND, "TransferCompletedTimestamp": "2026-03-02T09:05:10Z"}
NEXT = RECORD | {
    "ContactId": SECOND,
    "InitialContactId": FIRST,
    "PreviousContactId": FIRST,
    "InitiationMethod": "TRANSFER",
    "Agent": agent(
        "joana", AgentInteractionDuration=600, AfterContactWorkEndTimestamp="2026-03-02T09:16:10Z"
    ),
    "Queue": RECORD["Queue"] | {"Name": "Sales", "EnqueueTimestamp": "2026-03-02T09:05:10Z", "Duration": 20},
    "DisconnectTimestamp": "2026-03-02T09:15:40Z",
    "LastUpdateTimestamp": "2026-03-02T09:17:00Z",
}
GAVE_UP = RECORD | {
    "Agent": None,
    "ContactId": "aaaa0000-0000-4000-8000-000000000003",
    "CustomerEndpoint": {"Address": "+34915550199", "Type": "TELEPHONE_NUMBER"},
}
MOVED = GAVE_UP | {
    "ContactId": "aaaa0000-0000-4000-8000-000000000004",
    "NextContactId": "aaaa0000-0000-4000-8000-000000000005",
}
CALLED_BACK = RECORD | {
    "ContactId": "aaaa0000-0000-4000-8000-000000000005",
    "InitialContactId": "aaaa0000-0000-4000-8000-000000000004",
    "PreviousContactId": "aaaa0000-0000-4000-8000-000000000004",
    "InitiationMethod": "CALLBACK",
    "Queue": RECORD["Queue"] | {"Duration": 1_800},
}
IN_THE_MENU = GAVE_UP | {"ContactId": "aaaa0000-0000-4000-8000-000000000006", "Queue": None}
DIALLED = RECORD | {"ContactId": "aaaa0000-0000-4000-8000-000000000007", "InitiationMethod": "OUTBOUND"}
PAYLOADS = [TRANSFERRED, NEXT, GAVE_UP, MOVED, CALLED_BACK, IN_THE_MENU, DIALLED]


def all_of(record: dict[str, Any], **options: Any) -> list[PayloadItem]:
    return read_payload(SOURCE, json.dumps(record), dict(SOURCE.options) | options)


def only_event_data(record: dict[str, Any], **options: Any) -> dict[str, Any]:
    (event,) = all_of(record, **options)
    assert isinstance(event, OutgoingEvent), event
    return dict(event.data)


def segment(record: dict[str, Any], **options: Any) -> Segment:
    (event,) = all_of(record, **options)
    assert isinstance(event, OutgoingEvent), event
    fact = decoded_fact(event, SOURCE.name)
    assert isinstance(fact, Segment)
    return fact


def test_a_record_is_a_segment() -> None:
    (found,) = all_of(RECORD)
    assert found == OutgoingEvent(
        "call-completed",
        {
            "contact_id": FIRST,
            "segment_id": FIRST,
            "updated_at": "2026-03-02T09:06:55Z",
            "customer_id": "+34915550123",
            "agent_id": "maria",
            "team": "Madrid Billing",
            "queue": "Billing",
            "channel": "voice",
            "direction": "inbound",
            "queued_at": "2026-03-02T09:00:15Z",
            "ended_at": "2026-03-02T09:05:50Z",
            "wait_s": 35,
            "talk_s": 240,
            "hold_s": 30,
            "acw_s": 30,
            "outcome": "answered",
            "transfer": "none",
        },
    )


@pytest.mark.parametrize("record", [RECORD, *(record for record in PAYLOADS if record is not IN_THE_MENU)])
def test_every_segment_would_be_counted(record: dict[str, Any]) -> None:
    assert segment(record).source == "amazon-connect"


def test_the_newer_record_of_a_contact_wins_by_its_version() -> None:
    older, newer = segment(RECORD), segment(RECORD | {"LastUpdateTimestamp": "2026-03-02T09:06:55.001Z"})
    assert older.identity == newer.identity
    assert newer.version == older.version + 1


def test_a_transfer_is_a_segment_of_the_same_contact() -> None:
    first, second = segment(TRANSFERRED), segment(NEXT)
    assert first.contact_id == second.contact_id == FIRST
    assert first.identity != second.identity
    assert (first.transfer, second.transfer) == ("queue", "none")
    assert (second.queue, second.agent_id) == ("Sales", "joana")


def test_a_transfer_does_not_lengthen_the_first_agents_talk_time() -> None:
    first, alone = only_event_data(TRANSFERRED), only_event_data(RECORD)
    assert first["talk_s"] == alone["talk_s"] == 240
    assert first["ended_at"] == "2026-03-02T09:05:50Z"  # its own after-contact work, not the second agent's


@pytest.mark.parametrize(
    ("changed", "options", "transfer"),
    [
        ({}, {}, "none"),
        ({"NextContactId": SECOND}, {}, "queue"),
        ({"NextContactId": SECOND}, {"next_is_transfer": False}, "none"),
        ({"TransferCompletedTimestamp": "2026-03-02T09:05:10Z"}, {"next_is_transfer": False}, "queue"),
        (
            {
                "TransferCompletedTimestamp": "2026-03-02T09:05:10Z",
                "TransferredToEndpoint": {"Type": "TELEPHONE_NUMBER", "Address": "+34600000000"},
            },
            {},
            "external",
        ),
    ],
)
def test_where_a_contact_was_transferred_to(
    changed: dict[str, Any], options: dict[str, Any], transfer: str
) -> None:
    assert only_event_data(RECORD | changed, **options)["transfer"] == transfer


def test_a_queue_without_an_agent_is_an_abandoned_contact() -> None:
    found = only_event_data(GAVE_UP)
    assert (found["outcome"], found["wait_s"], found["transfer"]) == ("abandoned", 35, "none")
    assert found["ended_at"] == "2026-03-02T09:05:20Z"
    assert not {"talk_s", "hold_s", "acw_s", "agent_id"} & found.keys()


def test_who_was_moved_to_a_callback_has_not_abandoned() -> None:
    assert only_event_data(MOVED)["outcome"] == "callback"
    assert only_event_data(MOVED, left_queue="overflow")["outcome"] == "overflow"


def test_a_callback_is_a_leg_of_the_contact_whose_wait_was_not_on_the_line() -> None:
    found = only_event_data(CALLED_BACK)
    assert found["contact_id"] == only_event_data(MOVED)["contact_id"]
    assert (found["channel"], found["direction"], found["outcome"]) == ("callback", "inbound", "answered")
    assert "wait_s" not in found
    assert only_event_data(CALLED_BACK | {"ConnectedToSystemTimestamp": None})["outcome"] == "timeout"


@pytest.mark.parametrize(
    "record",
    [
        IN_THE_MENU,
        RECORD | {"DisconnectTimestamp": None},
        RECORD | {"InitiationMethod": "MONITOR"},
        RECORD | {"InitiationMethod": "EXTERNAL_OUTBOUND"},
    ],
)
def test_what_is_no_finished_stay_of_a_customer_is_not_published(record: dict[str, Any]) -> None:
    assert all_of(record) == []


def test_an_outbound_call_that_nobody_took_is_not_answered() -> None:
    assert (only_event_data(DIALLED)["direction"], only_event_data(DIALLED)["outcome"]) == (
        "outbound",
        "answered",
    )
    assert only_event_data(DIALLED | {"ConnectedToSystemTimestamp": None})["outcome"] == "timeout"
    del (unsaid := dict(DIALLED))["ConnectedToSystemTimestamp"]
    assert only_event_data(unsaid)["outcome"] == "answered"


@pytest.mark.parametrize(
    "name", ["CustomerHoldDuration", "AgentInteractionDuration", "AfterContactWorkDuration"]
)
def test_a_duration_that_is_not_there_is_unknown_and_never_0(name: str) -> None:
    ours = {"CustomerHoldDuration": "hold_s", "AgentInteractionDuration": "talk_s"}.get(name, "acw_s")
    assert ours in only_event_data(RECORD)
    assert ours not in only_event_data(RECORD | {"Agent": agent("maria", **{name: None})})
    assert only_event_data(RECORD | {"Agent": agent("maria", **{name: 0})})[ours] == 0


def test_the_team_is_the_deepest_group_or_the_level_that_is_set() -> None:
    assert only_event_data(RECORD, team_level=1)["team"] == "Madrid"
    assert "team" not in only_event_data(RECORD, team_level=3)
    assert "team" not in only_event_data(RECORD | {"Agent": agent("maria", HierarchyGroups=None)})


def test_contact_attributes_tell_what_the_options_name() -> None:
    options = {"customer_attribute": "CrmId", "reason_attribute": "Topic", "language_attribute": "Lang"}
    found = only_event_data(RECORD, **options)
    assert (found["customer_id"], found["reason"], found["language"]) == ("c-17", "invoice", "es")
    assert "customer_id" not in only_event_data(RECORD, customer_attribute="blank")
    assert "customer_id" not in only_event_data(RECORD | {"Attributes": None}, customer_attribute="CrmId")


@pytest.mark.parametrize("address", ["anonymous", "Restricted", "+266696687", None, ""])
def test_callers_who_hide_their_number_are_not_one_customer(address: str | None) -> None:
    assert "customer_id" not in only_event_data(RECORD | {"CustomerEndpoint": {"Address": address}})


@pytest.mark.parametrize(
    ("changed", "channel"),
    [
        ({"Channel": "CHAT"}, "chat"),
        ({"Channel": "TASK"}, "task"),
        ({"Channel": "EMAIL"}, "email"),
        (
            {"Channel": "CHAT", "SegmentAttributes": {"connect:Subtype": {"ValueString": "connect:SMS"}}},
            "sms",
        ),
        ({"SegmentAttributes": {"connect:Subtype": {"ValueString": "connect:Telephony"}}}, "voice"),
    ],
)
def test_channels(changed: dict[str, Any], channel: str) -> None:
    assert segment(RECORD | changed).channel == channel


def test_an_agent_without_a_queue_has_handled_a_contact_of_a_queue_unknown() -> None:
    assert only_event_data(RECORD | {"Queue": None})["queue"] == "unknown"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"ContactId": None}, "missing"),
        ({"Channel": "TELEPATHY"}, "unknown-value"),
        ({"InitiationMethod": "SEANCE"}, "unknown-value"),
        ({"DisconnectTimestamp": "2026-03-02 at nine"}, "no-time"),
        ({"DisconnectTimestamp": "2026-03-02T09:05:20"}, "no-time"),
        ({"Queue": RECORD["Queue"] | {"Duration": -1}}, "negative"),
        ({"Agent": agent("maria", AgentInteractionDuration="long")}, "wrong-type"),
    ],
)
def test_what_cannot_be_meant_is_rejected(changed: dict[str, Any], reason: str) -> None:
    (found,) = all_of(RECORD | changed)
    assert isinstance(found, RejectedEvent)
    assert found.reason == reason


@pytest.mark.parametrize(
    "options",
    [{"team_level": 6}, {"team_level": "one"}, {"left_queue": "lost"}, {"next_is_transfer": "maybe"}],
)
def test_a_setting_that_cannot_be_meant_is_named(options: dict[str, Any]) -> None:
    record = TRANSFERRED if "next_is_transfer" in options else MOVED
    (found,) = all_of(record, **options)
    assert isinstance(found, RejectedEvent)
    assert f"the setting {next(iter(options))}" in found.error


def test_nothing_of_the_customer_shows_in_an_error() -> None:
    (found,) = all_of(RECORD | {"CustomerEndpoint": {"Address": ["+34915550123"]}})
    assert isinstance(found, RejectedEvent)
    assert "3491" not in found.error
