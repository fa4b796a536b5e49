"""Payloads of known sources give the same events in whatever order files hold them."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streamer.events.adapters.delighted import SOURCE as DELIGHTED
from streamer.events.adapters.source import Fragment, Options, OutgoingEvent, SourceAdapter
from streamer.events.agent_directory import AgentDirectory, TeamMembership
from streamer.events.envelopes import InvalidEventError
from streamer.events.models import RejectedEvent
from streamer.replay.file_rows import FileRow
from streamer.replay.payload_reader import PayloadReader
from streamer.replay.row_results import ReplayEntry, SourcedEvent
from tests.replay.replay_command import dry_run, ndjson

ANSWERS = [
    {"id": "1", "person": "p1", "score": 9, "created_at": 1777896000},
    {"id": "2", "person": "p2", "score": 0, "created_at": 1777896060},
]
MINUTE = 60_000


def parse_note(payload: Any, _options: Options) -> Iterator[Fragment]:
    word, contact, minute = str(payload).split()
    if word not in ("enter", "leave"):
        raise InvalidEventError("unknown-value", "the word is another one, expected enter or leave")
    yield Fragment(contact, word, int(minute) * MINUTE, {})


def assemble_call(notes: Sequence[Fragment], _options: Options) -> Iterator[OutgoingEvent]:
    if len(notes) == 2:
        enter, leave = notes
        data = {"contact_id": enter.contact, "queue": "q", "agent_id": "ann", "outcome": "answered"}
        yield OutgoingEvent(
            "call-completed", {**data, "ended_at": leave.at / 1000, "wait_s": (leave.at - enter.at) / 1000}
        )


DOOR = SourceAdapter("door", "A door", "", parse_note, assemble_call, form="line")
LINES = ["enter a 1", "enter b 2", "leave b 3", "nonsense a 4", "leave a 5", "enter c 6"]


def entries(lines: Sequence[str], directory: AgentDirectory | None = None) -> list[ReplayEntry]:
    rows = (FileRow(number, line.encode()) for number, line in enumerate(lines, 1))
    payloads = PayloadReader(DOOR, {}, directory) if directory else PayloadReader(DOOR, {})
    return list(payloads.assemble(rows))


def replayed_events(replay_entries: Sequence[ReplayEntry]) -> list[OutgoingEvent]:
    return [
        said.event for entry in replay_entries for said in entry.results if isinstance(said, SourcedEvent)
    ]


def test_several_payloads_make_one_contact_published_once_in_the_order_of_time() -> None:
    found = replayed_events(entries(LINES))
    assert [(sent.data["contact_id"], sent.data["wait_s"], sent.data["version"]) for sent in found] == [
        ("b", 60, 2),
        ("a", 240, 2),
    ]


def test_the_order_of_a_file_and_its_repetitions_change_nothing() -> None:
    for seed in range(20):
        lines = LINES * 3
        random.Random(seed).shuffle(lines)
        assert replayed_events(entries(lines)) == replayed_events(entries(LINES))


def test_what_a_stateful_source_rejects_is_told_by_its_line() -> None:
    found = entries(LINES)
    assert [
        entry.line for entry in found if entry.results and isinstance(entry.results[0], RejectedEvent)
    ] == [4]
    assert [entry.line for entry in found] == [1, 2, 3, 4, 5, 6, 0, 0]


def test_the_team_of_an_agent_is_completed_where_settings_know_it() -> None:
    directory = AgentDirectory({"ann": [TeamMembership(team="north")]})
    assert {sent.data["team"] for sent in replayed_events(entries(LINES, directory))} == {"north"}


@pytest.mark.parametrize("name", ["answers.ndjson", "answers.json", "answers.csv"])
def test_a_source_is_read_from_lines_an_array_or_a_flat_table(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith(".ndjson"):
        ndjson(path, ANSWERS)
    elif name.endswith(".json"):
        path.write_text(json.dumps(ANSWERS, indent=1))
    else:
        lines = [",".join(ANSWERS[0]), *(",".join(map(str, one.values())) for one in ANSWERS)]
        path.write_text("\n".join(lines))
    done = dry_run("--format", DELIGHTED.name, path)
    assert [(one["source"], one["key"], one["data"]["answers"]) for one in done.lines] == [
        ("delighted", "p1", {"nps": 9}),
        ("delighted", "p2", {"nps": 0}),
    ]


def test_what_a_source_cannot_read_is_rejected_by_line(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "answers.ndjson", [ANSWERS[0], {**ANSWERS[1], "score": 11}, "nonsense"])
    done = dry_run("--format", DELIGHTED.name, path)
    assert (done.code, len(done.lines)) == (3, 1)
    assert "line 2: off-scale" in done.stderr
    assert "line 3: not-json" in done.stderr


def test_a_source_that_nobody_knows_names_what_is_near(tmp_path: Path) -> None:
    done = dry_run("--format", "deligted", ndjson(tmp_path / "answers.ndjson", ANSWERS))
    assert done.code == 2
    assert "--format deligted: no such source, did you mean delighted?" in done.stderr


def test_a_log_of_lines_is_read_whatever_its_name(tmp_path: Path) -> None:
    lines = [
        "1777896010|1.1|sales|SIP/ann|CONNECT|10|1.2|3",
        "1777896050|2.1|sales|NONE|ENTERQUEUE||600123457|1",
        "1777896080|2.1|sales|NONE|ABANDON|1|1|30",
        "1777896000|1.1|sales|NONE|ENTERQUEUE||600123456|1",
        "1777896100|1.1|sales|SIP/ann|COMPLETEAGENT|10|90|1",
    ]
    (tmp_path / "queue_log.1").write_text("\n".join(lines))
    done = dry_run("--format", "asterisk-queue-log", tmp_path / "queue_log.1")
    assert (done.code, done.stderr.splitlines()[0].split(";")[0]) == (
        0,
        "queue_log.1: 5 rows, 11 events printed",
    )
    calls = [one["data"] for one in done.lines if "outcome" in one["data"]]
    assert [(call["outcome"], call["wait_s"]) for call in calls] == [
        ("abandoned", 30),
        ("answered", 10),
    ]
