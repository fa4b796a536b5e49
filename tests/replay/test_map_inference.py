"""An inferred map loads, asks for what a table does not show, and takes no scale for a question."""

import csv
from pathlib import Path

import pytest

from streamer.replay.map_file import parse_map_file
from streamer.replay.table_map import TableMap
from streamer.replay.usage_error import ReplayUsageError
from tests.replay.replay_command import call, dry_run, guess, ndjson

CALLS = [
    {
        "CallId": str(1000 + n),
        "Queue name": ["Billing", "Sales"][n % 2],
        "Agent": f"agent {n % 3}",
        "Start": f"{n % 12 + 1:02}/05/2026 10:{n % 60:02}",
        "End": f"{n % 12 + 1:02}/05/2026 10:{n % 60:02}",
        "Talk time": f"0:0{n % 9}:30",
        "Wait (s)": str(n % 50),
        "Result": ["Completed", "Abandoned", "Weird"][n % 3],
        "FCR": ["Y", "N", "N/A"][n % 3],
        "Mood": str(n % 11),
    }
    for n in range(40)
]


def write_table(
    path: Path, rows: list[dict[str, str]], delimiter: str = ";", encoding: str = "utf-8"
) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_table_of_calls_is_recognized_by_names_and_cells(tmp_path: Path) -> None:
    found = parse_map_file(guess(write_table(tmp_path / "calls.csv", CALLS)), "guess")
    assert (found.topic, found.delimiter, found.encoding) == ("call-completed", ";", "utf-8")
    assert found.columns == {
        "contact_id": "CallId", "queue": "Queue name", "agent_id": "Agent", "queued_at": "Start",
        "ended_at": "End", "talk_s": "Talk time",
        "wait_s": "Wait (s)", "outcome": "Result", "resolved": "FCR",
    }  # fmt: skip
    assert found.units == {"talk_s": "h:mm:ss", "wait_s": "s"}
    assert found.values == {
        "outcome": {"Completed": "answered", "Abandoned": "abandoned"},
        "resolved": {"Y": True, "N": False},
    }
    assert found.times.formats == ("%d/%m/%Y %H:%M",)
    assert "N/A" in found.unknown


def test_what_a_table_does_not_say_is_asked_for(tmp_path: Path) -> None:
    path = write_table(tmp_path / "calls.csv", CALLS)
    text = guess(path)
    assert "# also fits: %m/%d/%Y %H:%M" in text
    assert '# "Weird" = ?  # one of answered, abandoned' in text
    with pytest.raises(ReplayUsageError, match=r'\[times\] zone = "\?"'):
        TableMap(parse_map_file(text, "guess"), "guess")
    (tmp_path / "map.toml").write_text(text.replace('zone = "?"', 'zone = "Europe/Madrid"'))
    done = dry_run("--map", tmp_path / "map.toml", path)
    weird = sum(row["Result"] == "Weird" for row in CALLS)
    assert (done.code, len(done.lines)) == (3, len(CALLS) - weird)
    assert ["unknown-value", str(weird)] in [line.split() for line in done.stderr.splitlines()]


def test_a_scale_from_0_to_10_is_no_nps_unless_its_name_says_so(tmp_path: Path) -> None:
    rows = [{"response": str(n), "score": str(n % 11), "date": "2026-05-04T12:00:00Z"} for n in range(30)]
    text = guess(write_table(tmp_path / "scores.csv", rows))
    found = parse_map_file(text, "guess")
    assert not [name for name in found.columns if name.startswith("answers.")]
    assert found.constants == {"answers.nps": "?"}
    assert '"score"  whole numbers 0 to 10: if this is a survey question, say which: nps' in text
    named = [{"NPS score" if name == "score" else name: cell for name, cell in row.items()} for row in rows]
    assert (
        parse_map_file(guess(write_table(tmp_path / "named.csv", named)), "guess").columns["answers.nps"]
        == "NPS score"
    )


def test_a_score_off_the_scale_of_its_name_is_not_taken_for_it(tmp_path: Path) -> None:
    rows = [{"response id": str(n), "csat": str(n % 5 + 1), "date": "2026-05-04"} for n in range(30)]
    assert (
        parse_map_file(guess(write_table(tmp_path / "5.csv", rows)), "guess").columns["answers.csat"]
        == "csat"
    )
    rows[7]["csat"] = "6"
    assert "answers.csat" not in parse_map_file(guess(write_table(tmp_path / "6.csv", rows)), "guess").columns


def test_the_encoding_is_looked_at(tmp_path: Path) -> None:
    rows = [{"response_id": str(n), "nps": "9", "comment": "très bien"} for n in range(3)]
    assert (
        parse_map_file(guess(write_table(tmp_path / "l.csv", rows, encoding="latin-1")), "guess").encoding
        == "latin-1"
    )
    assert parse_map_file(guess(write_table(tmp_path / "u.csv", rows)), "guess").encoding == "utf-8"


def test_a_file_with_our_names_needs_no_more(tmp_path: Path) -> None:
    rows = [
        call(number, segment_id=f"s{number}", transfer="none", resolved=number > 1) for number in range(3)
    ]
    path = ndjson(tmp_path / "calls.ndjson.gz", rows)
    found = parse_map_file(guess(path), "guess")
    assert found.columns == {name: name for name in rows[0]}
    (tmp_path / "map.toml").write_text(guess(path))
    assert dry_run("--map", tmp_path / "map.toml", path).data == rows


def test_names_with_quotes_and_backslashes_are_written_as_toml(tmp_path: Path) -> None:
    name = 'queue "a\\b" é\t'
    rows = [
        {"call id": str(n), name: "sales", "end": "2026-05-04T12:00:00Z", "result": "lost"} for n in range(3)
    ]
    assert parse_map_file(guess(write_table(tmp_path / "odd.csv", rows)), "guess").columns["queue"] == name
