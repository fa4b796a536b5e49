"""Dry runs: shifted times, the saved position, wrong options, and retention warnings."""

from pathlib import Path
from typing import Any

import pytest

from streamer.events.adapters.source import OutgoingEvent
from streamer.events.counting_rules import DAY, HOUR
from streamer.events.outgoing_records import OutgoingRecord
from streamer.replay.input_files import InputFile
from streamer.replay.pacing import ReplayPacer
from streamer.replay.position import PositionFile, ReplayPosition
from streamer.replay.retention_check import RetentionCheck
from streamer.replay.row_results import SourcedEvent, shift_times
from streamer.replay.summary import ReplaySummary
from streamer.replay.usage_error import ReplayUsageError
from tests.replay.replay_command import call, dry_run, ndjson, replay

NEW_YEAR = "2027-01-01T00:00:00Z"
NEW_YEAR_MS = 1_798_761_600_000


def test_all_times_move_by_one_amount_so_that_the_newest_is_where_it_is_wanted(tmp_path: Path) -> None:
    first = ndjson(tmp_path / "a.ndjson", [call(1, ended_at="2025-05-04T12:00:00Z", queued_at=1746359940.5)])
    second = ndjson(
        tmp_path / "b.ndjson", [call(2, ended_at="2025-05-04T14:00:00+01:00"), call(3, ended_at=0.5)]
    )
    done = dry_run("--shift-to", NEW_YEAR, first, second)
    assert [line["timestamp"] - NEW_YEAR_MS for line in done.lines][:2] == [-HOUR, 0]
    assert done.data[0]["ended_at"] == "2026-12-31T23:00:00Z"
    assert done.data[0]["queued_at"] == pytest.approx(NEW_YEAR_MS / 1000 - 3600 - 59.5)
    assert done.data[1]["ended_at"] == NEW_YEAR


def test_standard_input_can_be_moved_too() -> None:
    rows = b'{"contact_id":1,"queue":"q","outcome":"answered","ended_at":1000}\n'
    assert dry_run("--shift-to", NEW_YEAR, "-", stdin=rows).data[0]["ended_at"] == NEW_YEAR_MS / 1000


def test_versions_that_are_times_move_along_and_what_is_no_time_stays() -> None:
    data = {"ended_at": 10, "updated_at": "2025-05-04T12:00:00Z", "queued_at": "noon", "wait_s": 3}
    moved = shift_times(SourcedEvent("", OutgoingEvent("call-completed", data)), HOUR).event.data
    assert moved == {"ended_at": 3610, "updated_at": "2025-05-04T13:00:00Z", "queued_at": "noon", "wait_s": 3}


def test_a_pace_is_that_of_the_events_times_as_much_faster() -> None:
    pace = ReplayPacer(60)
    assert pace.wait_s(1_000_000, 5.0) == 0
    assert pace.wait_s(1_000_000 + HOUR, 5.0) == 60
    assert pace.wait_s(1_000_000 + HOUR, 60.0) == 5
    assert pace.wait_s(1_000_000 - HOUR, 6.0) < 0
    assert ReplayPacer(None).wait_s(0, 5.0) == ReplayPacer(None).wait_s(HOUR, 5.0) == 0


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf"])
def test_a_speed_that_cannot_be_meant_is_refused(speed: str, tmp_path: Path) -> None:
    done = dry_run("--speed", speed, ndjson(tmp_path / "a.ndjson", [call()]))
    assert done.code == 2
    assert f"--speed = '{speed}': expected a number above 0" in done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (["--topic", "calls"], "topic 'calls': expected one of call-completed"),
        (["--map", "nowhere.toml"], "nowhere.toml: No such file or directory, expected a map to read"),
        (["--map", "x", "--format", "delighted"], "--format and --map cannot be combined"),
        (["--map", "x", "--topic", "call-completed"], "--topic cannot be combined with --format or --map"),
        (["--shift-to", "soon"], "--shift-to = 'soon': expected a time"),
        (["nowhere.ndjson"], "nowhere.ndjson: No such file or directory, expected a file to read"),
    ],
)
def test_what_is_wrong_in_the_line_exits_2_and_is_named(line: list[str], told: str, tmp_path: Path) -> None:
    done = dry_run(*line, ndjson(tmp_path / "a.ndjson", [call()]))
    assert done.code == 2
    assert told in done.stderr


def test_without_files_the_command_says_what_is_missing() -> None:
    done = replay("--dry-run")
    assert done.code == 2
    assert "expected files to replay" in done.stderr


# The position.


def position_file_of(path: Path, options: str = "o", folder: Path | None = None) -> PositionFile:
    return PositionFile(InputFile(str(path)), str(folder) if folder else None, options)


def save_position(path: Path, entries: int = 7, **more: Any) -> PositionFile:
    keeper = position_file_of(path, **more)
    begun = keeper.load(restart=False)
    account = ReplaySummary(rows=7, sent={"call-completed": 6}, rejected={"negative": 1})
    keeper.save(ReplayPosition(begun.file, begun.options, shift_ms=5, entries=entries, account=account))
    return keeper


def test_a_position_is_kept_beside_the_file_or_in_a_folder(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [call()])
    (tmp_path / "state").mkdir()
    for folder, place in ((None, tmp_path), (tmp_path / "state", tmp_path / "state")):
        keeper = save_position(path, folder=folder)
        assert (place / "a.ndjson.replayed").exists()
        found = position_file_of(path, folder=folder).load(restart=False)
        assert (found.entries, found.shift_ms, found.account.events) == (7, 5, 6)
        assert position_file_of(path, folder=folder).load(restart=True).entries == 0
        keeper.delete()
        assert not (place / "a.ndjson.replayed").exists()


def test_another_file_or_other_options_do_not_go_on_there(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [call()])
    save_position(path)
    with pytest.raises(ReplayUsageError, match="other options or another map"):
        position_file_of(path, options="p").load(restart=False)
    ndjson(path, [call(), call()])
    with pytest.raises(ReplayUsageError, match="is not the file that was interrupted"):
        position_file_of(path).load(restart=False)
    (tmp_path / "a.ndjson.replayed").write_text("{")
    with pytest.raises(ReplayUsageError, match="--restart starts over"):
        position_file_of(path).load(restart=False)


def test_a_position_that_cannot_be_kept_asks_for_a_folder(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [call()])
    with pytest.raises(ReplayUsageError, match="name a folder by --state"):
        save_position(path, folder=tmp_path / "nowhere")


def test_a_dry_run_keeps_no_position_and_asks_for_none(tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [call()])
    save_position(path, options="other")
    before = (tmp_path / "a.ndjson.replayed").read_bytes()
    assert dry_run(path).code == 0
    assert (tmp_path / "a.ndjson.replayed").read_bytes() == before


# What Kafka would keep.


def test_events_older_than_the_retention_are_warned_of_once_for_each_topic() -> None:
    now = 100 * DAY
    retention = RetentionCheck({"call-completed": {"retention.ms": str(7 * DAY)}, "survey-sent": {}}, now)

    def warned(topic: str, at_ms: int) -> list[str]:
        return list(retention.warnings(OutgoingRecord(topic, b"k", b"v", (), at_ms)))

    assert warned("call-completed", now - 7 * DAY) == []
    (told,) = warned("call-completed", now - 7 * DAY - 1)
    assert "topic call-completed keeps records for 7 days (retention.ms)" in told
    assert warned("call-completed", 1) == []
    assert warned("survey-sent", 1) == []


def test_a_topic_that_keeps_all_or_says_nothing_is_not_warned_of() -> None:
    retention = RetentionCheck({"call-completed": {"retention.ms": "-1"}}, 100 * DAY)
    assert retention.warnings(OutgoingRecord("call-completed", b"k", b"v", (), 1)) == ()


def test_a_topic_that_takes_the_time_of_arrival_is_warned_of() -> None:
    retention = RetentionCheck({"call-completed": {"message.timestamp.type": "LogAppendTime"}}, 0)
    (told,) = retention.warnings(OutgoingRecord("call-completed", b"k", b"v", (), 1))
    assert "set it to CreateTime" in told
