"""Maps turn rows into events; errors of a wrong map name the file, the location, and what was expected."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamer.events.models import RejectedEvent
from streamer.replay.map_file import parse_map_file
from streamer.replay.row_results import SkippedRow, SourcedEvent
from streamer.replay.table_map import TableMap
from streamer.replay.usage_error import ReplayUsageError
from tests.replay.replay_command import MAPS, dry_run, ndjson

CALL = """
topic = "call-completed"
[columns]
contact_id = "id"
queue = "q"
ended_at = "end"
outcome = "o"
"""
ROW = {"id": "1", "q": "sales", "end": "2026-05-04T12:00:00Z", "o": "answered"}
EVALUATION = """
topic = "contact-evaluated"
[columns]
evaluation_id = "id"
evaluated_at = "end"
score = "points"
evaluator_id = "by"
calibration = "session"
items.greeting = "Greeting"
items."Clear & short" = "Clarity"
"""
SURVEY = """
topic = "survey-completed"
[columns]
response_id = "id"
answered_at = "end"
"""


def map_row(text: str, **cells: Any) -> Any:
    return TableMap(parse_map_file(text, "map.toml"), "map.toml").read({**ROW, **cells})


def mapped_data(text: str, **cells: Any) -> dict[str, Any]:
    result = map_row(text, **cells)
    assert isinstance(result, SourcedEvent), result
    return dict(result.event.data)


def mapping_error(text: str, **cells: Any) -> str:
    result = map_row(text, **cells)
    assert isinstance(result, RejectedEvent), result
    return f"{result.reason}: {result.error}"


def test_columns_are_named_ours_by_theirs_under_the_maps_topic_and_source() -> None:
    found = map_row('source = "pbx"' + CALL)
    assert isinstance(found, SourcedEvent)
    assert (found.source, found.event.topic) == ("pbx", "call-completed")
    assert found.event.data == {
        "contact_id": "1", "queue": "sales", "ended_at": "2026-05-04T12:00:00Z", "outcome": "answered",
    }  # fmt: skip


def test_of_several_columns_the_first_that_is_known_is_taken() -> None:
    text = CALL + 'customer_id = ["crm", "phone"]'
    assert mapped_data(text, crm="k1", phone="600")["customer_id"] == "k1"
    assert mapped_data(text, crm=" ", phone="600")["customer_id"] == "600"
    assert "customer_id" not in mapped_data(text, crm="", phone=None)


def test_an_id_of_several_columns_is_unknown_if_one_of_them_is() -> None:
    text = CALL + 'customer_id = "{site}-{crm}"'
    assert mapped_data(text, site="m", crm=7)["customer_id"] == "m-7"
    assert "customer_id" not in mapped_data(text, site="m", crm="")


@pytest.mark.parametrize("cell", ["", "NA", " NA ", None, float("nan")])
def test_cells_that_say_nothing_are_unknown_and_neither_zero_nor_blank(cell: Any) -> None:
    assert "wait_s" not in mapped_data('unknown = ["", "NA"]' + CALL + 'wait_s = "w"', w=cell)


def test_items_of_an_evaluation_have_any_name_and_null_where_they_do_not_apply() -> None:
    data = mapped_data(EVALUATION, points="87.5", by="b1", session=True, Greeting="90.25", Clarity="")
    assert data["items"] == {"greeting": 90.25, "Clear & short": None}
    assert (data["evaluator_id"], data["calibration"]) == ("b1", True)


def test_an_evaluation_without_items_has_none() -> None:
    data = mapped_data(EVALUATION.partition("items")[0], points="87.5", by="", session="")
    assert data == {"evaluation_id": "1", "evaluated_at": ROW["end"], "score": 87.5}


def test_a_question_that_was_skipped_is_an_answer_without_a_value() -> None:
    text = SURVEY + 'answers.nps = "nps"\n"answers.csat" = "csat"'
    assert mapped_data(text, nps="9.0", csat="")["answers"] == {"nps": 9, "csat": None}
    assert mapped_data(text, nps="6.5", csat="3")["answers"] == {"nps": 6.5, "csat": 3}


def test_nested_objects_are_reached_by_paths() -> None:
    assert mapped_data(CALL.replace('"q"', '"queue.name"'), queue={"name": "sales"})["queue"] == "sales"


@pytest.mark.parametrize(
    ("unit", "cell", "seconds"),
    [
        ("s", "12.5", 12.5),
        ("s", 12, 12),
        ("s", Decimal("1.5"), 1.5),
        ("ms", "1500", 1.5),
        ("min", "1.5", 90),
        ("h", "0.5", 1800),
        ("h:mm:ss", "1:02:03", 3723),
        ("h:mm:ss", "02:03", 123),
        ("h:mm:ss", "0:00:03.5", 3.5),
        ("h:mm:ss", time(1, 2, 3), 3723),
        ("s", timedelta(minutes=1), 60),
    ],
)
def test_durations_become_seconds(unit: str, cell: Any, seconds: float) -> None:
    assert mapped_data(f'{CALL}talk_s = "d"\n[units]\ntalk_s = "{unit}"', d=cell)["talk_s"] == seconds


def test_a_decimal_comma_is_said() -> None:
    assert mapped_data('decimal = ","' + CALL + 'talk_s = "d"', d="1.012,5")["talk_s"] == 1012.5


@pytest.mark.parametrize(
    ("times", "cell", "utc"),
    [
        ("", "2026-05-04T14:00:00+02:00", "2026-05-04T12:00:00Z"),
        ('formats = ["%d/%m/%Y %H:%M"]\nzone = "Europe/Madrid"', "04/05/2026 14:00", "2026-05-04T12:00:00Z"),
        ('formats = ["%d/%m/%Y %H:%M"]\nzone = "Europe/Madrid"', "04/01/2026 13:00", "2026-01-04T12:00:00Z"),
        ('formats = ["%d.%m.%Y", "%d/%m/%Y"]\nzone = "UTC"', "04/05/2026", "2026-05-04T00:00:00Z"),
        ('formats = ["%Y-%m-%d %H:%M %z"]', "2026-05-04 14:00 +0200", "2026-05-04T12:00:00Z"),
        ('formats = ["%H:%M:%S"]\nzone = "UTC"\ndate = 2026-05-04', "12:00:00", "2026-05-04T12:00:00Z"),
        ('formats = ["%H:%M:%S"]\nzone = "UTC"\ndate = "2026-05-04"', time(12), "2026-05-04T12:00:00Z"),
        ('formats = ["epoch"]', "1777896000", "2026-05-04T12:00:00Z"),
        ('formats = ["epoch"]', 1777896000.25, "2026-05-04T12:00:00.250Z"),
        ('formats = ["epoch_ms"]', 1777896000250, "2026-05-04T12:00:00.250Z"),
        ('zone = "Europe/Madrid"', datetime(2026, 5, 4, 14), "2026-05-04T12:00:00Z"),  # noqa: DTZ001 - as tables have it
        ("", datetime(2026, 5, 4, 12, tzinfo=UTC), "2026-05-04T12:00:00Z"),
        ('zone = "UTC"', date(2026, 5, 4), "2026-05-04T00:00:00Z"),
    ],
)  # fmt: skip
def test_times_become_utc(times: str, cell: Any, utc: str) -> None:
    assert mapped_data(f"{CALL}[times]\n{times}", end=cell)["ended_at"] == utc


@pytest.mark.parametrize(
    ("times", "cell", "told"),
    [
        ("", "2026-05-04T14:00:00", "no-time: ended_at (column end) .* set zone under [times]"),
        ('formats = ["%H:%M"]', "14:00", "no-time: ended_at (column end) .* set date under [times]"),
        ("", "4 May", "no-time: ended_at (column end) .* expected a time as rfc3339"),
        ("", 1777896000, "no-time: ended_at (column end) .* expected a time as rfc3339"),
        ('formats = ["epoch"]', "soon", "no-time: ended_at (column end) .* expected a time as epoch"),
    ],
)
def test_a_time_that_cannot_be_meant_is_rejected(times: str, cell: Any, told: str) -> None:
    start, _, end = told.partition(" .* ")
    found = mapping_error(f"{CALL}[times]\n{times}", end=cell)
    assert found.startswith(start)
    assert end in found


def test_cells_are_not_shown_in_errors() -> None:
    assert "Alice Miller" not in mapping_error(CALL + 'talk_s = "d"', d="Alice Miller +34 600 123 456")


def test_values_say_what_cells_mean_and_others_stay_as_they_are() -> None:
    text = CALL + 'resolved = "r"\nagent_id = "a"\n[values.outcome]\nAGENT = "answered"\n'
    text += '[values.resolved]\nY = true\nN = false\n[values.agent_id]\nNONE = ""\n'
    assert mapped_data(text, o="AGENT", r="Y", a="NONE") == mapped_data(CALL, o="answered") | {
        "resolved": True
    }
    assert mapped_data(text, o="HANG", r="N", a="ann")["outcome"] == "HANG"
    assert "false: set what its values mean under [values.resolved]" in mapping_error(text, r="perhaps")


def test_numbers_of_tables_with_gaps_are_ids_as_they_were() -> None:
    assert mapped_data(CALL, id=17.0)["contact_id"] == "17"
    assert mapped_data(CALL, id=17)["contact_id"] == "17"
    assert mapped_data(CALL, id=Decimal("12345678901234567890.0"))["contact_id"] == "12345678901234567890"


def test_constants_stand_in_every_event() -> None:
    text = CALL.replace('ended_at = "end"\n', "")
    found = mapped_data(text + '[constants]\nchannel = "chat"\nended_at = 2026-05-04T12:00:00Z')
    assert (found["channel"], found["ended_at"]) == ("chat", "2026-05-04T12:00:00Z")


RULES = """
[[rows]]
when = { o = "PHANTOM" }
skip = "noise"
[[rows]]
when = { o = "HANG", w = "> 0" }
set = { outcome = "abandoned", queue = "" }
[[rows]]
when = { o = "HANG", w = "= 0" }
skip = "in the menu"
"""


def test_rules_leave_rows_out_or_say_what_they_are() -> None:
    assert map_row(CALL + RULES, o="PHANTOM", w="9") == SkippedRow("noise")
    assert map_row(CALL + RULES, o="HANG", w="0") == SkippedRow("in the menu")
    found = mapped_data(CALL + RULES, o="HANG", w="0.1")
    assert (found["outcome"], "queue" in found) == ("abandoned", False)
    assert mapped_data(CALL + RULES, o="answered", w="")["queue"] == "sales"


@pytest.mark.parametrize(
    ("condition", "holds", "fails"),
    [
        ('"A"', "A", "B"),
        ('["A", "B"]', "B", "C"),
        ('"!= A"', "B", "A"),
        ('""', "", "A"),
        ('"!= "', "A", ""),
        ('"> 5"', "5.1", "5"),
        ('">= 5"', "5", "4.9"),
        ('"< 5"', "4.9", "5"),
        ('"<= 5"', 5, 5.1),
        ('"= 5"', "5.0", "6"),
        ('"!= 5"', "6", "5.0"),
        ("5", "5", "6"),
        ("true", True, False),
        ('"> 5"', 6, "six"),
        ('"< 5"', 4, None),
    ],
)
def test_conditions_on_both_sides(condition: str, holds: Any, fails: Any) -> None:
    text = f'{CALL}[[rows]]\nwhen = {{ w = {condition} }}\nskip = "so"'
    assert map_row(text, w=holds) == SkippedRow("so")
    assert isinstance(map_row(text, w=fails), SourcedEvent)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("topic = ", "Invalid value"),
        ("", "topic is missing, expected one of call-completed"),
        ('topic = "calls"', "topic: invalid enum value 'calls'"),
        (CALL + "[time]\n", "unknown key time, expected one of topic, source"),
        (CALL + '[times]\nformat = "x"', "[times]: unknown key format, expected one of formats"),
        (CALL + "[[rows]]\nif = 3", "[[rows]] 1: unknown key if, expected one of when, skip, set"),
        (CALL + 'nps = "n"', "[columns]: call-completed has no nps, expected one of acw_s, agent_id"),
        (CALL + "[constants]\nqueue = 1", "[constants] queue is also in [columns]"),
        (CALL + "wait_s = 3", "[columns] wait_s = 3: expected a column's name"),
        (CALL.replace('queue = "q"', ""), "[columns] lacks queue, expected contact_id, queue, ended_at"),
        (SURVEY, "[columns] lacks answers, expected response_id, answered_at, answers"),
        (CALL + '[units]\nwait_s = "days"', "[units] wait_s = 'days': expected one of ms, s, min"),
        (CALL + '[units]\nqueue = "s"', "[units] queue: expected a duration such as talk_s"),
        (CALL + "[values]\noutcome = 3", "[values.outcome]: expected lines such as Y = true"),
        (CALL + '[times]\nzone = "Madrid"', "[times] zone = 'Madrid': expected a zone"),
        (CALL + '[times]\ndate = "May"', "[times] date = 'May': expected a day such as 2026-11-21"),
        (CALL + '[times]\nformats = ["iso"]', "[times] formats: 'iso', expected one of strptime, rfc3339"),
        ('encoding = "latin-x"' + CALL, "encoding = 'latin-x': expected one such as utf-8"),
        ('delimiter = ";;"' + CALL, "delimiter = ';;': expected one character"),
        (CALL + '[[rows]]\nwhen = {o = "x"}', "[[rows]] 1: expected either skip"),
        (CALL + '[[rows]]\nwhen = {}\nskip = "x"', "[[rows]] 1: when is empty"),
        (CALL + '[[rows]]\nwhen = {o = "> x"}\nskip = "x"', "[[rows]] 1, when o: expected a number after >"),
        (CALL + '[constants]\ntalk_s = "x"', "[constants] talk_s is"),
        (CALL + '[times]\nzone = "?"', '[times] zone = "?": fill in the value'),
    ],
)  # fmt: skip
def test_a_wrong_map_is_told_by_its_place(text: str, told: str) -> None:
    with pytest.raises(ReplayUsageError) as found:
        TableMap(parse_map_file(text, "map.toml"), "map.toml")
    assert str(found.value).startswith(f"map.toml: {told}")


def test_a_column_that_the_table_does_not_have_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    header = (Path("id,q,ended,o\n"), "1,2,3,4\n")
    (tmp_path / "calls.csv").write_text("".join(map(str, header)))
    (tmp_path / "map.toml").write_text(CALL)
    done = dry_run("--map", tmp_path / "map.toml", tmp_path / "calls.csv")
    assert done.code == 2
    assert (
        "calls.csv has no column 'end' (map.toml: [columns] ended_at); expected one of id, q, ended, o"
        in done.stderr
    )


def test_rows_of_json_are_mapped_too(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(CALL)
    rows = ndjson(tmp_path / "calls.ndjson", [ROW, "{", ROW | {"id": 2}])
    done = dry_run("--map", tmp_path / "map.toml", rows)
    assert [one["contact_id"] for one in done.data] == ["1", "2"]
    assert "line 2: not-json" in done.stderr


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_maps_of_the_real_data_load(path: Path) -> None:
    assert TableMap(parse_map_file(path.read_text(), path.name), path.name).file.source
