"""Every event name that a telephone system's own list has is read, or passed over without a dead letter."""

import json
from typing import Any

import pytest

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import Fragment, read_payload

T = 1_750_000_000
CALL = {"Uniqueid": f"{T}.1", "Linkedid": f"{T}.1", "Queue": "billing", "Interface": "PJSIP/8008"}
MEMBER = {"Name": "Ann", "Location": "PJSIP/8008", "Status": "1", "Paused": "0"}
TRANSFER = {"Result": "Success", "TransfereeUniqueid": f"{T}.1", "TransfereeLinkedid": f"{T}.1"}


def ami_event(name: str) -> str:
    return json.dumps({"Event": name, "Timestamp": f"{T}.5", "Uptime": "60", **CALL, **MEMBER, **TRANSFER})


def log_line(name: str) -> str:
    return f"{T}|{T}.1|billing|PJSIP/8008|{name}|1|2|3"


def callcenter_event(name: str) -> str:
    return json.dumps(
        {
            "Event-Date-Timestamp": f"{T}500000",
            "CC-Action": name,
            "CC-Queue": "billing@default",
            "CC-Agent": "1001@default",
            "CC-Agent-Status": "Available",
            "CC-Agent-State": "Waiting",
            "CC-Member-UUID": "m1",
            "CC-Member-Session-UUID": "s1",
        }
    )


MADE = {"asterisk-ami": ami_event, "asterisk-queue-log": log_line, "freeswitch": callcenter_event}


def is_read(source: str, name: str) -> bool:
    return not SOURCES[source].event_names[name].startswith("not read: ")


def items(source: str, name: str) -> list[Any]:
    return read_payload(SOURCES[source], MADE[source](name), {})


@pytest.mark.parametrize("source", MADE)
def test_each_name_listed_as_read_gives_fragments(source: str) -> None:
    read_names = [name for name in SOURCES[source].event_names if is_read(source, name)]
    assert len(read_names) >= 9
    for name in read_names:
        assert items(source, name), name
        assert all(isinstance(item, Fragment) for item in items(source, name)), name


@pytest.mark.parametrize("source", MADE)
def test_each_name_listed_as_not_read_is_passed_over_without_a_letter(source: str) -> None:
    names = [name for name in SOURCES[source].event_names if not is_read(source, name)]
    assert names
    for name in names:
        assert items(source, name) == [], name
        if source != "asterisk-queue-log":  # nor does it matter what else is in it
            field = "Event" if source == "asterisk-ami" else "CC-Action"
            assert read_payload(SOURCES[source], json.dumps({field: name, "Timestamp": []}), {}) == [], name


@pytest.mark.parametrize("source", MADE)
def test_a_name_nobody_knows_is_passed_over(source: str) -> None:
    assert items(source, "NeverHeardOf") == []


@pytest.mark.parametrize(
    ("source", "count", "some"),
    [
        (
            "asterisk-ami",
            190,
            ("QueueMemberRinginuse", "QueueStatusComplete", "Hangup", "FullyBooted", "VarSet"),
        ),
        ("asterisk-queue-log", 30, ("QUEUESTART", "WITHDRAW", "AGENTCALLBACKLOGIN", "RINGINUSE", "DID")),
        ("freeswitch", 16, ("members-count", "agent-max-no-answer", "member-queue-resume")),
    ],
)
def test_the_lists_are_whole(source: str, count: int, some: tuple[str, ...]) -> None:
    assert len(SOURCES[source].event_names) >= count
    assert [name for name in some if name not in SOURCES[source].event_names] == []


def test_a_snapshot_to_which_the_bridge_added_no_time_is_passed_over() -> None:
    for name in ("QueueParams", "QueueMember", "QueueEntry", "FullyBooted"):
        payload = json.loads(ami_event(name))
        assert read_payload(SOURCES["asterisk-ami"], json.dumps(payload), {}) != []
        del payload["Timestamp"]
        assert read_payload(SOURCES["asterisk-ami"], json.dumps(payload), {}) == []
