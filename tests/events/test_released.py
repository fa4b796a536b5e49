"""Tests: events written for every released version are still read as before.

released/vN holds records as senders of that version write them, and the facts they state. Files are added
and never changed: a change that needs another file's content breaks somebody's sender.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import TOPICS, KafkaRecord, decode
from streamer.events.kinds import KINDS
from streamer.events.models import Event, FactIdentity, RejectedEvent, Tombstone
from tests.events.contract_names import ANSWERS, FIELDS

RELEASED = Path(__file__).with_name("released")
FIXTURES = {
    f"{path.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(RELEASED.glob("v*/*.json"))
}
MODES = {"bare", "structured", "structured-by-body", "structured-base64", "binary", "tombstone", "next-major"}
PATHS = [(topic, name) for topic, names in FIELDS.items() for name in sorted(names)]
PATHS += [("survey-completed", f"answers.{name}") for name in sorted(ANSWERS)]


def expected(fixture: dict[str, Any]) -> Event | str:
    told = dict(fixture["expected"])
    if "rejected" in told:
        return str(told["rejected"])
    if told.pop("fact") == "Tombstone":
        return Tombstone(FactIdentity(*told["identity"]), told["version"], told.get("at"))
    if "items" in told:
        told["items"] = tuple(map(tuple, told["items"]))
    told |= {name: tuple(told[name]) for name in ("queues", "channels") if name in told}
    return KINDS[fixture["topic"]].fact(**told)


def stated(fixture: dict[str, Any], value: str) -> Event | str:
    headers = [(name, text.encode()) for name, text in fixture["headers"].items()]
    record = KafkaRecord(fixture["topic"], 0, 0, fixture["timestamp"], None, value.encode(), headers)
    outcome = decode(record, CountingRules())
    return outcome.reason if isinstance(outcome, RejectedEvent) else outcome


@pytest.mark.parametrize("name", FIXTURES)
def test_a_released_event_states_what_it_always_did(name: str) -> None:
    fixture = FIXTURES[name]
    assert stated(fixture, fixture["value"]) == expected(fixture)


def test_there_are_events_of_every_kind_in_every_envelope() -> None:
    found = {name.removeprefix("v1/") for name in FIXTURES}
    assert found >= {f"{topic}.{mode}" for topic in TOPICS for mode in MODES}
    assert set(FIELDS) == set(TOPICS)


def value_without(fixture: dict[str, Any], path: str) -> str | None:
    """The value of a bare fixture without this field; None where it has none."""
    body = json.loads(fixture["value"])
    *parents, name = path.split(".")
    node = body
    for parent in parents:
        node = node.get(parent) or {}
    if name not in node:
        return None
    del node[name]
    return json.dumps(body)


@pytest.mark.parametrize(("topic", "field"), PATHS)
def test_a_field_that_is_no_longer_read_would_be_noticed(topic: str, field: str) -> None:
    own = [one for one in FIXTURES.values() if one["topic"] == topic and "specversion" not in one["value"]]
    rests = [(one, rest) for one in own if (rest := value_without(one, field)) is not None]
    assert [one for one, rest in rests if stated(one, rest) != expected(one)]
