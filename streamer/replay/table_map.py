"""Turn rows of a center's own tables into events by a map."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from streamer.events.adapters.fields import value_at
from streamer.events.adapters.source import OutgoingEvent
from streamer.events.envelopes import InvalidEventError
from streamer.events.kinds import KINDS, EventKind
from streamer.events.models import RejectedEvent
from streamer.replay import value_parsers
from streamer.replay.conditions import Condition, parse_condition
from streamer.replay.map_file import PLACEHOLDER, MapFile, load_map_file
from streamer.replay.row_results import RowResult, SkippedRow, SourcedEvent
from streamer.replay.usage_error import ReplayUsageError
from streamer.runtime.choices import expected_choice

Cells = Mapping[str, Any]
_TEMPLATE_COLUMN = re.compile(r"\{([^{}]+)\}")


class _RowRule(NamedTuple):
    when: Sequence[tuple[str, Condition]]
    skip: str | None
    set: Mapping[str, Any]


class TableMap:
    """A checked map, applied row by row. Pure: the result depends on the row and the map alone.

    >>> columns = {"survey_id": "id", "sent_at": "date"}
    >>> invitations = TableMap(MapFile("survey-sent", source="crm", columns=columns), "invitations.toml")
    >>> invitations.read({"id": 17.0, "date": "2026-05-04T14:00:00+02:00"}).event.data
    {'survey_id': '17', 'sent_at': '2026-05-04T12:00:00Z'}
    """

    def __init__(self, file: MapFile, name: str) -> None:
        self._file, self._name = file, name
        self._refuse_placeholders()
        fields = {
            *file.columns,
            *file.constants,
            *(field for row_rule in file.rows for field in row_rule.set),
        }
        self._parsers = {field: _cell_parser(field, file) for field in fields}
        self._columns = [
            (field, columns if isinstance(columns, list) else [columns])
            for field, columns in file.columns.items()
        ]
        self._constants = self._parse_constants("constants", file.constants)
        self._rules = [
            self._compile_rule(rule_number, row_rule) for rule_number, row_rule in enumerate(file.rows, 1)
        ]
        self._unknown_words = frozenset(file.unknown)

    @property
    def file(self) -> MapFile:
        return self._file

    def check_columns(self, column_names: Sequence[str], file_name: str) -> None:
        """Raise ReplayUsageError for a column that the map names and the table lacks."""
        for location, column in self._used_columns():
            if column not in column_names:
                raise ReplayUsageError(
                    f"{file_name} has no column {column!r} ({self._name}: {location}); "
                    f"{expected_choice(column, column_names)}"
                )

    def read(self, row: Cells) -> RowResult:
        try:
            return self._apply(row)
        except InvalidEventError as error:
            return RejectedEvent(error.reason, error.error)

    def _apply(self, row: Cells) -> SourcedEvent | SkippedRow:
        overrides: dict[str, Any] = {}
        for rule in self._rules:
            if all(holds(self._known_cell(row, column)) for column, holds in rule.when):
                if rule.skip is not None:
                    return SkippedRow(rule.skip)
                overrides |= rule.set
        data = {**self._constants}
        for field, columns in self._columns:
            if field not in overrides:
                data[field] = self._field_value(field, columns, row)
        return SourcedEvent(
            self._file.source,
            OutgoingEvent(self._file.topic, _nest_members(KINDS[self._file.topic], data | overrides)),
        )

    def _field_value(self, field: str, columns: Sequence[str], row: Cells) -> Any:
        """Return the parsed value of the first column that is not unknown; None if all are."""
        value_map = self._file.values.get(field, {})
        for column in columns:
            cell = self._fill_template(column, row) if "{" in column else self._known_cell(row, column)
            if cell is not None and value_map:
                cell = value_map.get(_map_word(cell), cell)
            if cell is not None and cell != "":
                return self._parsers[field](f"{field} (column {column})", cell)
        return None

    def _known_cell(self, row: Cells, column: str) -> Any:
        cell = row[column] if column in row else value_at(row, column)
        if isinstance(cell, str):
            return None if cell.strip() in self._unknown_words else cell
        return value_parsers.exact_number(cell) if isinstance(cell, float | Decimal) else cell

    def _fill_template(self, template: str, row: Cells) -> str | None:
        """Return the filled template, or None if a part is unknown: half an id is no id."""
        parts = {column: self._known_cell(row, column) for column in _TEMPLATE_COLUMN.findall(template)}
        if None in parts.values():
            return None
        return _TEMPLATE_COLUMN.sub(lambda match: _map_word(parts[match[1]]), template)

    def _used_columns(self) -> list[tuple[str, str]]:
        """Return (location in the map, column) for each column that the map names."""
        uses = [
            (f"[columns] {field}", column_name)
            for field, columns in self._columns
            for column in columns
            for column_name in (_TEMPLATE_COLUMN.findall(column) if "{" in column else [column])
        ]
        rules = enumerate(self._rules, 1)
        return uses + [
            (f"[[rows]] {rule_number}", column) for rule_number, rule in rules for column, _ in rule.when
        ]

    def _compile_rule(self, rule_number: int, row_rule: Any) -> _RowRule:
        conditions = []
        for column, expression in row_rule.when.items():
            try:
                conditions.append((column, parse_condition(expression)))
            except ValueError as error:
                raise ReplayUsageError(
                    f"{self._name}: [[rows]] {rule_number}, when {column}: {error}"
                ) from None
        return _RowRule(
            conditions, row_rule.skip, self._parse_constants(f"rows {rule_number}, set", row_rule.set)
        )

    def _parse_constants(self, table_name: str, raw_values: Mapping[str, Any]) -> dict[str, Any]:
        """Parse values written in the map; "" is unknown. Raises ReplayUsageError."""
        try:
            return {
                field: None if value == "" else self._parsers[field](field, value)
                for field, value in raw_values.items()
            }
        except InvalidEventError as error:
            raise ReplayUsageError(f"{self._name}: [{table_name}] {error.error}") from None

    def _refuse_placeholders(self) -> None:
        file = self._file
        answers = {f"[columns] {name}": value for name, value in file.columns.items()}
        answers |= {f"[constants] {name}": value for name, value in file.constants.items()}
        answers |= {"[times] zone": file.times.zone, "[times] date": file.times.day}
        if unanswered := [location for location, value in answers.items() if value == PLACEHOLDER]:
            raise ReplayUsageError(f'{self._name}: {", ".join(unanswered)} = "?": fill in the value')


def load_table_map(path: str) -> TableMap:
    """Load the map of a file. Raises ReplayUsageError."""
    return TableMap(load_map_file(Path(path)), Path(path).name)


def contract_names_map(topic: str, columns: Sequence[str]) -> TableMap:
    """Return the map of a table whose columns have the contract's names."""
    column_names = {name: name for name in columns if KINDS[topic].value_type(name) is not None}
    file = MapFile(topic=topic, columns=column_names)
    file.times.formats = (value_parsers.RFC3339, "epoch")
    return TableMap(file, "the contract")


def _cell_parser(field: str, file: MapFile) -> Callable[[str, Any], Any]:
    number_parser = value_parsers.NumberParser(file.decimal)
    match KINDS[file.topic].value_type(field):
        case "time":
            return _time_parser(file).parse
        case "seconds":
            return number_parser.duration_parser(file.units.get(field, "s"))
        case "flag":
            return value_parsers.parse_flag_cell
        case "names":
            return value_parsers.parse_names_cell
        case "whole":
            return number_parser.parse_whole
        case "number":
            return number_parser.parse
    return value_parsers.parse_text_cell


def _time_parser(file: MapFile) -> value_parsers.TimeParser:
    times = file.times
    day = None if times.day is None else date.fromisoformat(str(times.day))
    return value_parsers.TimeParser(
        times.formats,
        None if times.zone is None else ZoneInfo(times.zone),
        day,
    )


def _map_word(cell: Any) -> str:
    """Return the cell as a map writes it: true for True, 12 for 12.0."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()


def _nest_members(kind: EventKind, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contract's data. Unknown values are left out, but for members of objects: a null answer
    means asked and skipped."""
    nested_data: dict[str, Any] = {name: {} for name in kind.objects if name in kind.required}
    for path, value in data.items():
        name, _, member = path.partition(".")
        if member:
            nested_data.setdefault(name, {})[member] = value
        elif value is not None:
            nested_data[name] = value
    return nested_data
