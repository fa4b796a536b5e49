"""Tests: states of contacts and agents are replayed from NDJSON, CSV and tables with columns of their own."""

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.events.counting_rules import CountingRules
from streamer.events.decoding import KafkaRecord, decode
from streamer.events.models import AgentState, ContactState
from streamer.replay.map_file import parse_map_file
from tests.replay.replay_command import CommandResult, dry_run, guess, ndjson

WAITING = {
    "contact_id": "c1",
    "state": "queued",
    "at": "2026-05-04T12:00:00Z",
    "queue": "billing",
    "priority": 2,
}
GONE = {"contact_id": "c1", "state": "ended", "at": "2026-05-04T12:01:00Z"}
FREE = {
    "agent_id": "anna",
    "state": "available",
    "at": "2026-05-04T12:00:00Z",
    "seen_at": "2026-05-04T14:00:00Z",
    "queues": ["billing", "tech"],
    "channels": ["voice"],
    "heart_beat_s": 120,
}
CONTACT_TABLE = """contact_id,state,at,queue,priority
c1,queued,2026-05-04T12:00:00Z,billing,2
c1,ended,2026-05-04T12:01:00Z,,
"""
AGENT_TABLE = """agent_id,state,at,seen_at,queues,channels,heart_beat_s
anna,available,2026-05-04T12:00:00Z,2026-05-04T14:00:00Z,billing; tech,voice,120
"""
OWN_TABLE = """Agent,Presence,AUX code,Since
anna,Not ready,lunch,04/05/2026 14:00:00
anna,Ready,,04/05/2026 14:30:00
ben,Not ready,coffee,04/05/2026 14:05:00
ben,Ready,,04/05/2026 14:15:00
"""
OWN_MAP = """
topic = "agent-state"
[columns]
agent_id = "Agent"
state = "Presence"
reason = "AUX code"
at = "Since"
[values.state]
"Not ready" = "away"
Ready = "available"
[times]
formats = ["%d/%m/%Y %H:%M:%S"]
zone = "Europe/Madrid"
"""


def facts(done: CommandResult) -> list[Any]:
    """Return what a worker would read from the records, each under its own timestamp."""
    assert done.code == 0, done.stderr
    lines = [(line["topic"], line["timestamp"], ndjson_bytes(line["data"])) for line in done.lines]
    return [
        decode(KafkaRecord(topic, 0, 0, timestamp, None, value, ()), CountingRules())
        for topic, timestamp, value in lines
    ]


def ndjson_bytes(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()


def test_rows_of_events_tell_their_topic(tmp_path: Path) -> None:
    done = dry_run(ndjson(tmp_path / "states.ndjson", [WAITING, FREE, GONE]))
    assert done.data == [WAITING, FREE, GONE]
    assert [type(fact) for fact in facts(done)] == [ContactState, AgentState, ContactState]


@pytest.mark.parametrize(
    ("table", "expected"), [(CONTACT_TABLE, [WAITING, GONE]), (AGENT_TABLE, [FREE])], ids=["contact", "agent"]
)
def test_a_table_with_the_contracts_columns_says_the_same(
    table: str, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "states.csv"
    path.write_text(table)
    done = dry_run(path)
    assert done.data == expected
    assert all(isinstance(fact, ContactState | AgentState) for fact in facts(done))


def test_a_map_reads_columns_and_words_of_ones_own(tmp_path: Path) -> None:
    table, map_file = tmp_path / "aux.csv", tmp_path / "aux.toml"
    table.write_text(OWN_TABLE)
    map_file.write_text(OWN_MAP)
    fact, *others = facts(dry_run("--map", map_file, table))
    assert [other.state for other in others] == ["available", "away", "available"]
    assert (fact.state, fact.reason, fact.at) == ("away", "lunch", 1_777_896_000_000)


def test_a_map_is_guessed_for_a_table_of_presences(tmp_path: Path) -> None:
    path = tmp_path / "aux.csv"
    path.write_text(OWN_TABLE)
    guessed = parse_map_file(guess(path), "guess")
    assert guessed.topic == "agent-state"
    columns = {name: guessed.columns[name] for name in ("agent_id", "state", "reason", "at")}
    assert columns == {"agent_id": "Agent", "state": "Presence", "reason": "AUX code", "at": "Since"}


def test_a_snapshot_is_published_under_the_time_it_was_seen(tmp_path: Path) -> None:
    (line,) = dry_run(ndjson(tmp_path / "states.ndjson", [FREE])).lines
    assert line["timestamp"] == 1_777_903_200_000


def test_all_times_of_a_state_are_shifted_together(tmp_path: Path) -> None:
    done = dry_run("--shift-to", "2026-06-01T00:00:00Z", ndjson(tmp_path / "states.ndjson", [FREE]))
    (fact,) = facts(done)
    assert fact.seen_at - fact.at == 2 * 3_600_000
