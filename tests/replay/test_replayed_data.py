"""The bank's and the shops' tables, replayed by the maps beside this file, give readings equal to plain
arithmetic over the files."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamer.events.counting_rules import HOUR, SECOND
from tests.real_data import tables
from tests.replay.replay_command import MAPS, dry_run, guess, start_replay
from tests.test_real_input import (
    TODAY,
    YESTERDAY,
    Center,
    Figure,
    answers,
    at_of,
    by_queue,
    calls,
    figures,
    known,
    seconds,
)

pytestmark = pytest.mark.embedded
BANK, SHOPS = tables().bank, tables().shops
METRICS = sorted({metric for metric, _ in figures(())})


def replay_to_kafka(live: Center, state: Path, *arguments: str | Path) -> str:
    """Replay into Kafka and return the command's messages."""
    process = start_replay({"kafka": live.settings.kafka.bootstrap_servers}, "--state", state, *arguments)
    _, told = process.communicate()
    assert process.returncode == 0, told
    return told


def read(live: Center, metric: str, by: str) -> list[dict[str, Any]]:
    """Return the readings as `streamer query` prints them."""
    return [msgspec.to_builtins(reading) for reading in live.read(metric, "24h", TODAY, by=by)]


def check_readings(readings: list[dict[str, Any]], stat: str, expected: dict[str, Figure]) -> None:
    readings_by_key = {reading["key"]: reading for reading in readings if reading["stat"] == stat}
    for key, (value, support) in expected.items():
        assert (readings_by_key[key]["value"], readings_by_key[key]["support"]) == (
            value if value is None else pytest.approx(value, rel=1e-12),
            support,
        ), readings_by_key[key]
    assert not [key for key in readings_by_key.keys() - expected.keys() if readings_by_key[key]["value"]]


async def test_a_day_of_a_bank(live: Center, tmp_path: Path) -> None:
    found = calls()
    last = YESTERDAY + max(call.end for call in found) * SECOND
    told = replay_to_kafka(live, tmp_path, "--map", MAPS / "bank.toml", "--shift-to", at_of(last), BANK)
    assert f"{tables().calls:,} rows, {len(found):,} events sent" in told
    assert ["left", "in", "the", "menu,", "never", "offered", str(tables().menu_leavers)] in [
        line.split() for line in told.splitlines()
    ]
    await live.all_counted("call-completed", len(found))
    queues = {queue: figures(own) for queue, own in by_queue(found).items()}
    for metric in METRICS:
        own, whole = (read(live, metric, by) for by in ("queue", "all"))
        for stat in (stat for name, stat in figures(()) if name == metric):
            check_readings(own, stat, {queue: one[metric, stat] for queue, one in queues.items()})
            check_readings(whole, stat, {"": figures(found)[metric, stat]})


async def test_survey_answers_of_a_shop_chain(live: Center, tmp_path: Path) -> None:
    found, at = answers(), YESTERDAY + 12 * HOUR
    told = replay_to_kafka(live, tmp_path, "--map", MAPS / "shops.toml", "--shift-to", at_of(at), SHOPS)
    assert f"{len(found):,} rows, {len(found):,} events sent" in told
    await live.all_counted("survey-completed", len(found))
    for metric, column in (("nps_score", "nps"), ("cnx_score", "satisfaction")):
        values = list(known(found, column))
        score = 100 * (sum(v >= 9 for v in values) - sum(v <= 6 for v in values)) / len(values)
        check_readings(read(live, metric, "all"), "", {"": (score, len(values))})
    detractors = sum(value <= 6 for value in known(found, "nps"))
    check_readings(read(live, "detractors", "all"), "", {"": (detractors, detractors)})
    asked = ("comments", "--window", "24h", "--at", at_of(TODAY))
    check_readings(live.command(*asked), "", {"": (tables().comments, tables().comments)})


def test_the_guessed_map_of_the_bank_loads_and_reads_what_it_recognized(tmp_path: Path) -> None:
    text = guess(BANK)
    for line in ('talk_s = "ser_time"', 'wait_s = "q_time"', 'queue = "type"', 'agent_id = "server"'):
        assert line in text
    said = text.replace('zone = "?"', 'zone = "Asia/Jerusalem"').replace('date = "?"', "date = 1999-08-02")
    (tmp_path / "map.toml").write_text(said)
    done = dry_run("--map", tmp_path / "map.toml", BANK)
    # Noise, and calls that never came to an agent, are still to be said: these end at midnight.
    fit = [
        row
        for row in tables().call_rows()
        if seconds(row["q_start"]) <= seconds(row["ser_exit"]) and row["outcome"] != "PHANTOM"
    ]
    assert (done.code, len(done.lines)) == (3, len(fit))
    assert ["unknown-value", str(tables().noise)] in [line.split() for line in done.stderr.splitlines()]
    assert "queued_at" in done.stderr


def test_the_guessed_map_of_the_shops_takes_no_scale_for_a_question(tmp_path: Path) -> None:
    text = guess(SHOPS)
    assert 'answers.nps = "nps"' in text
    assert 'encoding = "latin-1"' in text
    assert '#   "satisfaction"  whole numbers 1 to 10: if this is a survey' in text
    assert 'answered_at = "?"' in text
    (tmp_path / "map.toml").write_text(
        text.replace('answered_at = "?"', "answered_at = 2016-06-01T12:00:00Z")
    )
    done = dry_run("--map", tmp_path / "map.toml", SHOPS)
    assert (done.code, len(done.lines)) == (0, tables().answers)
