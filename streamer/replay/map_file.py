"""Read map files and check them."""

import codecs
import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from streamer.events.kinds import KINDS, TOPICS
from streamer.replay.usage_error import ReplayUsageError
from streamer.replay.value_parsers import CLOCK, EPOCHS, RFC3339, UNITS
from streamer.runtime.choices import expected_choice

PLACEHOLDER: Final = "?"
"""Placeholder for a value that somebody still has to fill in."""
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?")


class TimesTable(msgspec.Struct, forbid_unknown_fields=True):
    """The table [times]."""

    formats: tuple[str, ...] = (RFC3339,)
    zone: str | None = None
    day: Any = msgspec.field(name="date", default=None)


class RowsTable(msgspec.Struct, forbid_unknown_fields=True):
    """One [[rows]] rule, for rows that fulfil all conditions of `when`: `skip` leaves them out under this
    name, `set` fixes fields."""

    when: dict[str, Any]
    skip: str | None = None
    set: dict[str, Any] = {}


class MapFile(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file. [columns] and [constants] are flat: `answers.nps` is one name."""

    topic: Literal[TOPICS]  # type: ignore[valid-type]
    source: str = ""
    encoding: str = "utf-8"
    delimiter: str | None = None
    decimal: Literal[".", ","] = "."
    unknown: tuple[str, ...] = ("",)
    columns: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    times: TimesTable = msgspec.field(default_factory=TimesTable)
    units: dict[str, str] = {}
    values: dict[str, Any] = {}
    rows: list[RowsTable] = []


def load_map_file(path: Path) -> MapFile:
    """Read and check a map file. Raises ReplayUsageError with the file, the table, the key, and what was
    expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReplayUsageError(f"{path}: {error.strerror or error}, expected a map to read") from None
    except UnicodeDecodeError as error:
        raise ReplayUsageError(f"{path}: not UTF-8 at byte {error.start}, expected TOML") from None
    return parse_map_file(text, path.name)


def parse_map_file(text: str, file_name: str) -> MapFile:
    """Parse and check the text of a map. `file_name` appears in errors. Raises ReplayUsageError.

    >>> text = 'topic = "survey-sent"\\n[columns]\\nsurvey_id = "id"\\nsent_at = "date"'
    >>> parse_map_file(text, "invitations.toml").columns
    {'survey_id': 'id', 'sent_at': 'date'}
    """
    try:
        map_file = msgspec.convert(tomllib.loads(text), MapFile)
    except tomllib.TOMLDecodeError as error:
        raise ReplayUsageError(f"{file_name}: {error}, expected TOML") from None
    except msgspec.ValidationError as error:
        raise ReplayUsageError(f"{file_name}: {_error_sentence(str(error))}") from None
    topic = map_file.topic
    map_file.columns = _flatten_objects(topic, map_file.columns)
    map_file.constants = _flatten_objects(topic, map_file.constants)
    map_file.values = _flatten_objects(topic, map_file.values)
    for row_rule in map_file.rows:
        row_rule.set = _flatten_objects(topic, row_rule.set)
    problem = _first_problem(map_file)
    if problem:
        raise ReplayUsageError(f"{file_name}: {problem}")
    return map_file


def _flatten_objects(topic: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the tables that TOML makes of names such as `answers.nps` to dotted names."""
    flat_table = dict(table)
    for name in KINDS[topic].objects:
        if isinstance(members := flat_table.get(name), dict):
            del flat_table[name]
            flat_table |= {f"{name}.{member}": value for member, value in members.items()}
    return flat_table


def _error_sentence(message: str) -> str:
    if match := _UNKNOWN_KEY.fullmatch(message):
        key, location = match[1], match[2] or ""
        table_type = {"times": TimesTable, "": MapFile}.get(location, RowsTable)
        row_match = re.fullmatch(r"rows\[(\d+)\]", location)
        prefix = f"[[rows]] {int(row_match[1]) + 1}: " if row_match else f"[{location}]: " if location else ""
        return f"{prefix}unknown key {key}, expected one of {', '.join(table_type.__struct_encode_fields__)}"
    if message == "Object missing required field `topic`":
        return f"topic is missing, expected one of {', '.join(TOPICS)}"
    problem, _, location = message.partition(" - at ")
    return f"{location.strip('`').removeprefix('$.') or 'the file'}: {problem[0].lower()}{problem[1:]}"


def _first_problem(map_file: MapFile) -> str | None:
    """Return the first problem; None if the map is valid."""
    return next((problem for check in _CHECKS if (problem := check(map_file))), None)


def _check_names(map_file: MapFile) -> str | None:
    kind = KINDS[map_file.topic]
    tables = {"columns": map_file.columns, "constants": map_file.constants, "values": map_file.values}
    tables |= {f"rows {rule_number}, set": table.set for rule_number, table in enumerate(map_file.rows, 1)}
    for table, names in tables.items():
        for name in names:
            if kind.value_type(name) is None:
                expected = expected_choice(name, sorted(kind.paths))
                return f"[{table}]: {map_file.topic} has no {name}, {expected}"
    if duplicates := map_file.columns.keys() & map_file.constants.keys():
        return f"[constants] {min(duplicates)} is also in [columns]; keep one of them"
    return None


def _check_required(map_file: MapFile) -> str | None:
    assigned_fields = (
        map_file.columns.keys()
        | map_file.constants.keys()
        | {name for row in map_file.rows for name in row.set}
    )
    required_fields = KINDS[map_file.topic].required
    for name in required_fields:
        if name not in assigned_fields and not any(other.startswith(f"{name}.") for other in assigned_fields):
            return f"[columns] lacks {name}, expected {', '.join(required_fields)}"
    return None


def _check_columns(map_file: MapFile) -> str | None:
    for name, column in map_file.columns.items():
        texts = column if isinstance(column, list) else [column]
        if not texts or not all(isinstance(text, str) for text in texts):
            return (
                f"[columns] {name} = {column!r}: expected a column's name, "
                'a list of names, or a template such as "{line}-{call}"'
            )
    return None


def _check_units(map_file: MapFile) -> str | None:
    allowed_units = [*UNITS, CLOCK]
    for name, unit in map_file.units.items():
        if KINDS[map_file.topic].value_type(name) != "seconds":
            return f"[units] {name}: expected a duration such as talk_s"
        if unit not in allowed_units:
            return f"[units] {name} = {unit!r}: expected one of {', '.join(allowed_units)}"
    return None


def _check_values(map_file: MapFile) -> str | None:
    for name, table in map_file.values.items():
        if not isinstance(table, dict) or not all(
            isinstance(value, str | bool | int) for value in table.values()
        ):
            return f'[values.{name}]: expected lines such as Y = true, AGENT = "answered" or NONE = ""'
    return None


def _check_times(map_file: MapFile) -> str | None:
    times = map_file.times
    if not times.formats:
        return f"[times] formats = []: expected formats of strptime, {RFC3339} or {', '.join(EPOCHS)}"
    for time_format in times.formats:
        if "%" not in time_format and time_format not in (RFC3339, *EPOCHS):
            return (
                f"[times] formats: {time_format!r}, "
                f"expected one of strptime, {RFC3339} or {', '.join(EPOCHS)}"
            )
    if times.zone not in (None, PLACEHOLDER) and not _is_zone(str(times.zone)):
        return f"[times] zone = {times.zone!r}: expected a zone such as Europe/Madrid"
    if times.day not in (None, PLACEHOLDER) and not _is_day(times.day):
        return f"[times] date = {str(times.day)!r}: expected a day such as 2026-11-21"
    return None


def _is_day(value: Any) -> bool:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _check_csv_format(map_file: MapFile) -> str | None:
    try:
        codecs.lookup(map_file.encoding)
    except LookupError:
        return f"encoding = {map_file.encoding!r}: expected one such as utf-8, latin-1 or cp1252"
    if map_file.delimiter is not None and len(map_file.delimiter) != 1:
        return f'delimiter = {map_file.delimiter!r}: expected one character such as ";" or "\\t"'
    return None


def _check_row_rules(map_file: MapFile) -> str | None:
    for rule_number, row_rule in enumerate(map_file.rows, 1):
        if not row_rule.when:
            return f"[[rows]] {rule_number}: when is empty, expected conditions by column"
        if (row_rule.skip is None) == (not row_rule.set):
            return f'[[rows]] {rule_number}: expected either skip = "why" or set = {{…}}'
    return None


_CHECKS: Final = (
    _check_csv_format,
    _check_names,
    _check_columns,
    _check_required,
    _check_units,
    _check_values,
    _check_times,
    _check_row_rules,
)
