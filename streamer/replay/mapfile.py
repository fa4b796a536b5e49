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

from streamer.events.decoding import SCALES, TOPICS
from streamer.events.forms import ENVELOPE, FORMS
from streamer.replay.cells import CLOCK, EPOCHS, RFC3339, UNITS
from streamer.replay.usage import WrongUseError

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "call-completed": ("contact_id", "queue", "ended_at", "outcome"),
    "survey-sent": ("survey_id", "sent_at"),
    "survey-completed": ("response_id", "answered_at", "answers"),
    "contact-evaluated": ("evaluation_id", "score", "evaluated_at"),
    "customer-valued": ("customer_id", "value", "as_of"),
}
OPEN: Final = "?"
"""Placeholder for a value that somebody still has to fill in."""
_UNMAPPED: Final = ENVELOPE | {"answers", "scale"}
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


def load(path: Path) -> MapFile:
    """Read and check a map file. Raises ReplayUsageError with the file, the table, the key, and what was
    expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUseError(f"{path}: {error.strerror or error}, expected a map to read") from None
    except UnicodeDecodeError as error:
        raise WrongUseError(f"{path}: not UTF-8 at byte {error.start}, expected TOML") from None
    return parsed(text, path.name)


def parsed(text: str, name: str) -> MapFile:
    """Parse and check the text of a map. `file_name` appears in errors. Raises ReplayUsageError.

    >>> text = 'topic = "survey-sent"\\n[columns]\\nsurvey_id = "id"\\nsent_at = "date"'
    >>> parsed(text, "invitations.toml").columns
    {'survey_id': 'id', 'sent_at': 'date'}
    """
    try:
        found = msgspec.convert(tomllib.loads(text), MapFile)
    except tomllib.TOMLDecodeError as error:
        raise WrongUseError(f"{name}: {error}, expected TOML") from None
    except msgspec.ValidationError as error:
        raise WrongUseError(f"{name}: {_sentence(str(error))}") from None
    found.columns, found.constants = _flat(found.columns), _flat(found.constants)
    found.values, found.units = _by_field(found.values), dict(found.units)
    for table in found.rows:
        table.set = _flat(table.set)
    problem = _problem(found)
    if problem:
        raise WrongUseError(f"{name}: {problem}")
    return found


def fields(topic: str) -> tuple[str, ...]:
    """Return the fields of a topic that a map may set, sorted."""
    names = [name for name in FORMS[topic].__struct_fields__ if name not in _UNMAPPED]
    if topic == "survey-completed":
        names += [f"answers.{question}" for question in (*SCALES, "resolved_first")]
    return tuple(sorted(names))


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the table that TOML makes of `answers.nps = …` to dotted names."""
    answers = table.get("answers")
    if not isinstance(answers, dict):
        return dict(table)
    rest = {name: value for name, value in table.items() if name != "answers"}
    return rest | {f"answers.{name}": value for name, value in answers.items()}


_by_field = _flat


def _sentence(message: str) -> str:
    if found := _UNKNOWN_KEY.fullmatch(message):
        key, place = found[1], found[2] or ""
        table = {"times": TimesTable, "": MapFile}.get(place, RowsTable)
        number = re.fullmatch(r"rows\[(\d+)\]", place)
        where = f"[[rows]] {int(number[1]) + 1}: " if number else f"[{place}]: " if place else ""
        return f"{where}unknown key {key}, expected one of {', '.join(table.__struct_encode_fields__)}"
    if message == "Object missing required field `topic`":
        return f"topic is missing, expected one of {', '.join(TOPICS)}"
    what, _, place = message.partition(" - at ")
    return f"{place.strip('`').removeprefix('$.') or 'the file'}: {what[0].lower()}{what[1:]}"


def _problem(found: MapFile) -> str | None:
    """Return the first problem; None if the map is valid."""
    return next((problem for check in _CHECKS if (problem := check(found))), None)


def _names(found: MapFile) -> str | None:
    known = fields(found.topic)
    tables = {"columns": found.columns, "constants": found.constants, "values": found.values}
    tables |= {f"rows {number}, set": table.set for number, table in enumerate(found.rows, 1)}
    for table, names in tables.items():
        for name in names:
            if name not in known:
                return f"[{table}]: {found.topic} has no {name}, expected one of {', '.join(known)}"
    if both := found.columns.keys() & found.constants.keys():
        return f"[constants] {min(both)} is also in [columns]; keep one of them"
    return None


def _complete(found: MapFile) -> str | None:
    said = found.columns.keys() | found.constants.keys() | {name for row in found.rows for name in row.set}
    for name in REQUIRED[found.topic]:
        if name not in said and not any(other.startswith(f"{name}.") for other in said):
            return f"[columns] lacks {name}, expected {', '.join(REQUIRED[found.topic])}"
    return None


def _columns(found: MapFile) -> str | None:
    for name, column in found.columns.items():
        texts = column if isinstance(column, list) else [column]
        if not texts or not all(isinstance(text, str) for text in texts):
            return (
                f"[columns] {name} = {column!r}: expected a column's name, "
                'a list of names, or a template such as "{line}-{call}"'
            )
    return None


def _units(found: MapFile) -> str | None:
    known = [*UNITS, CLOCK]
    for name, unit in found.units.items():
        if not name.endswith("_s") or name not in fields(found.topic):
            return f"[units] {name}: expected a duration such as talk_s"
        if unit not in known:
            return f"[units] {name} = {unit!r}: expected one of {', '.join(known)}"
    return None


def _values(found: MapFile) -> str | None:
    for name, table in found.values.items():
        if not isinstance(table, dict) or not all(isinstance(v, str | bool | int) for v in table.values()):
            return f'[values.{name}]: expected lines such as Y = true, AGENT = "answered" or NONE = ""'
    return None


def _times(found: MapFile) -> str | None:
    times = found.times
    if not times.formats:
        return f"[times] formats = []: expected formats of strptime, {RFC3339} or {', '.join(EPOCHS)}"
    for written in times.formats:
        if "%" not in written and written not in (RFC3339, *EPOCHS):
            return f"[times] formats: {written!r}, expected one of strptime, {RFC3339} or {', '.join(EPOCHS)}"
    if times.zone not in (None, OPEN) and not _is_zone(str(times.zone)):
        return f"[times] zone = {times.zone!r}: expected a zone such as Europe/Madrid"
    if times.day not in (None, OPEN) and not _is_day(times.day):
        return f"[times] date = {str(times.day)!r}: expected a day such as 2026-11-21"
    return None


def _is_day(said: Any) -> bool:
    try:
        date.fromisoformat(str(said))
    except ValueError:
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _written(found: MapFile) -> str | None:
    try:
        codecs.lookup(found.encoding)
    except LookupError:
        return f"encoding = {found.encoding!r}: expected one such as utf-8, latin-1 or cp1252"
    if found.delimiter is not None and len(found.delimiter) != 1:
        return f'delimiter = {found.delimiter!r}: expected one character such as ";" or "\\t"'
    return None


def _decided(found: MapFile) -> str | None:
    for number, row in enumerate(found.rows, 1):
        if not row.when:
            return f"[[rows]] {number}: when is empty, expected conditions by column"
        if (row.skip is None) == (not row.set):
            return f'[[rows]] {number}: expected either skip = "why" or set = {{…}}'
    return None


_CHECKS: Final = (_written, _names, _columns, _complete, _units, _values, _times, _decided)
