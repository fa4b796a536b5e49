"""Turn rows of a center's own tables into events by a map."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from streamer.events.adapters.fields import at
from streamer.events.adapters.source import Sent
from streamer.events.envelopes import WrongError
from streamer.events.models import Rejected
from streamer.replay import cells
from streamer.replay.conditions import Condition, condition
from streamer.replay.facts import TIMES, Fact, Said, Skipped
from streamer.replay.mapfile import OPEN, MapFile, fields, load
from streamer.replay.usage import WrongUseError

Cells = Mapping[str, Any]
_PART = re.compile(r"\{([^{}]+)\}")
_FLAGS: Final = frozenset({"resolved", "answers.resolved_first", "excluded", "deleted"})
_NUMBERS: Final = frozenset({"customer_value", "value", "score"})


class _Rule(NamedTuple):
    when: Sequence[tuple[str, Condition]]
    skip: str | None
    set: Mapping[str, Any]


class Map:
    """A checked map, applied row by row. Pure: the result depends on the row and the map alone.

    >>> columns = {"survey_id": "id", "sent_at": "date"}
    >>> invitations = Map(MapFile("survey-sent", source="crm", columns=columns), "invitations.toml")
    >>> invitations.read({"id": 17.0, "date": "2026-05-04T14:00:00+02:00"}).sent.data
    {'survey_id': '17', 'sent_at': '2026-05-04T12:00:00Z'}
    """

    def __init__(self, file: MapFile, name: str) -> None:
        self._file, self._name = file, name
        self._refuse_open()
        self._readers = {field: _reader(field, file) for field in fields(file.topic)}
        self._columns = [(field, _listed(said)) for field, said in file.columns.items()]
        self._constants = self._fixed("constants", file.constants)
        self._rules = [self._rule(number, row) for number, row in enumerate(file.rows, 1)]
        self._unknown = frozenset(file.unknown)

    @property
    def file(self) -> MapFile:
        return self._file

    def check_columns(self, names: Sequence[str], of: str) -> None:
        """Raise ReplayUsageError for a column that the map names and the table lacks."""
        for place, column in self._named():
            if column not in names:
                near = get_close_matches(column, names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
                raise WrongUseError(f"{of} has no column {column!r} ({self._name}: {place}); {hint}")

    def read(self, row: Cells) -> Said:
        try:
            return self._read(row)
        except WrongError as error:
            return Rejected(error.reason, error.error)

    def _read(self, row: Cells) -> Fact | Skipped:
        decided: dict[str, Any] = {}
        for rule in self._rules:
            if all(holds(self._cell(row, column)) for column, holds in rule.when):
                if rule.skip is not None:
                    return Skipped(rule.skip)
                decided |= rule.set
        data = {**self._constants}
        for field, columns in self._columns:
            if field not in decided:
                data[field] = self._value(field, columns, row)
        return Fact(self._file.source, Sent(self._file.topic, _nested(self._file.topic, data | decided)))

    def _value(self, field: str, columns: Sequence[str], row: Cells) -> Any:
        """Return the parsed value of the first column that is not unknown; None if all are."""
        words = self._file.values.get(field, {})
        for column in columns:
            cell = self._filled(column, row) if "{" in column else self._cell(row, column)
            if cell is not None and words:
                cell = words.get(_word(cell), cell)
            if cell is not None and cell != "":
                return self._readers[field](f"{field} (column {column})", cell)
        return None

    def _cell(self, row: Cells, column: str) -> Any:
        cell = row[column] if column in row else at(row, column)
        if isinstance(cell, str):
            return None if cell.strip() in self._unknown else cell
        return cells.exact(cell) if isinstance(cell, float | Decimal) else cell

    def _filled(self, template: str, row: Cells) -> str | None:
        """Return the filled template, or None if a part is unknown: half an id is no id."""
        parts = {column: self._cell(row, column) for column in _PART.findall(template)}
        if None in parts.values():
            return None
        return _PART.sub(lambda found: _word(parts[found[1]]), template)

    def _named(self) -> list[tuple[str, str]]:
        """Return (location in the map, column) for each column that the map names."""
        found = [
            (f"[columns] {field}", part)
            for field, columns in self._columns
            for column in columns
            for part in (_PART.findall(column) if "{" in column else [column])
        ]
        rules = enumerate(self._rules, 1)
        return found + [(f"[[rows]] {number}", column) for number, rule in rules for column, _ in rule.when]

    def _rule(self, number: int, row: Any) -> _Rule:
        when = []
        for column, said in row.when.items():
            try:
                when.append((column, condition(said)))
            except ValueError as error:
                raise WrongUseError(f"{self._name}: [[rows]] {number}, when {column}: {error}") from None
        return _Rule(when, row.skip, self._fixed(f"rows {number}, set", row.set))

    def _fixed(self, table: str, said: Mapping[str, Any]) -> dict[str, Any]:
        """Parse values written in the map; "" is unknown. Raises ReplayUsageError."""
        try:
            return {
                field: None if value == "" else self._readers[field](field, value)
                for field, value in said.items()
            }
        except WrongError as error:
            raise WrongUseError(f"{self._name}: [{table}] {error.error}") from None

    def _refuse_open(self) -> None:
        file = self._file
        said = {f"[columns] {name}": value for name, value in file.columns.items()}
        said |= {f"[constants] {name}": value for name, value in file.constants.items()}
        said |= {"[times] zone": file.times.zone, "[times] date": file.times.day}
        if missing := [place for place, value in said.items() if value == OPEN]:
            raise WrongUseError(f'{self._name}: {", ".join(missing)} = "?": fill in the value')


def loaded(path: str) -> Map:
    """Load the map of a file. Raises ReplayUsageError."""
    return Map(load(Path(path)), Path(path).name)


def by_name(topic: str, columns: Sequence[str]) -> Map:
    """Return the map of a table whose columns have the contract's names."""
    known = {name: name for name in columns if name in fields(topic)}
    file = MapFile(topic=topic, columns=known)
    file.times.formats = (cells.RFC3339, "epoch")
    return Map(file, "the contract")


def _reader(field: str, file: MapFile) -> Callable[[str, Any], Any]:
    numbers = cells.Numbers(file.decimal)
    if field in TIMES:
        return _clock(file).read
    if field.endswith("_s"):
        return numbers.duration(file.units.get(field, "s"))
    if field in _FLAGS:
        return cells.flag
    if field == "version" or field.startswith("answers."):
        return numbers.whole
    return numbers.read if field in _NUMBERS else cells.text


def _clock(file: MapFile) -> cells.Clock:
    times = file.times
    day = None if times.day is None else date.fromisoformat(str(times.day))
    return cells.Clock(
        times.formats,
        None if times.zone is None else ZoneInfo(times.zone),
        day,
    )


def _listed(said: str | list[str]) -> list[str]:
    return said if isinstance(said, list) else [said]


def _word(cell: Any) -> str:
    """Return the cell as a map writes it: true for True, 12 for 12.0."""
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()


def _nested(topic: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contract's data. Unknown values are left out, but for survey questions: a null answer means
    asked and skipped."""
    found = {name: value for name, value in data.items() if value is not None and "." not in name}
    answers = {name.partition(".")[2]: value for name, value in data.items() if "." in name}
    return found | {"answers": answers} if topic == "survey-completed" else found
