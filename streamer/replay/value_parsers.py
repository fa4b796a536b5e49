"""Parse cells of a center's own tables into the contract's values: times, durations, numbers, text, flags.

A CellParser takes the field's name as shown in errors and a cell that is not unknown. It returns the
contract's value and raises WrongError for a cell that makes no sense there.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple

from streamer.events.adapters import fields
from streamer.events.adapters.fields import payload_error
from streamer.events.envelopes import InvalidEventError

Cell = Any
CellParser = Callable[[str, Cell], Any]

EPOCHS: Final[Mapping[str, int]] = {"epoch": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
RFC3339: Final = "rfc3339"
UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
CLOCK: Final = "h:mm:ss"
_CLOCK_PATTERN = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{2}(?:\.\d+)?)")
_MAX_EPOCH_S = 253_402_300_799
_LONGEST_ID = 10**40


class TimeParser(NamedTuple):
    """Parser of times. `formats`: strptime formats, rfc3339, or epochs, tried in this order. `zone`: for
    times that carry none. `day`: for formats that have only a clock time.

    >>> from zoneinfo import ZoneInfo
    >>> clock = TimeParser(("%d/%m/%Y %H:%M", "epoch"), ZoneInfo("Europe/Madrid"))
    >>> clock.parse("ended_at", "04/05/2026 14:00")
    '2026-05-04T12:00:00Z'
    >>> clock.parse("ended_at", 1777896000.25)
    '2026-05-04T12:00:00.250Z'
    """

    formats: tuple[str, ...] = (RFC3339,)
    zone: tzinfo | None = None
    day: date | None = None

    def parse(self, path: str, cell: Cell) -> str:
        """Return the time as RFC 3339 in UTC. Raises WrongError."""
        moment = self._parse_moment(path, cell)
        if moment.tzinfo is None:
            if self.zone is None:
                raise payload_error("no-time", path, str(cell), "a zone: set zone under [times]")
            moment = moment.replace(tzinfo=self.zone)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise payload_error("no-time", path, str(cell), "a time of a year up to 9999") from None
        timespec = "milliseconds" if moment.microsecond else "seconds"
        return moment.isoformat(timespec=timespec).replace("+00:00", "Z")

    def _parse_moment(self, path: str, cell: Cell) -> datetime:
        if isinstance(cell, datetime):
            return cell
        if isinstance(cell, date):
            return datetime.combine(cell, time())
        if isinstance(cell, time):
            return self._combine_with_day(path, cell)
        for time_format in self.formats:
            if (moment := self._parse_as(time_format, path, cell)) is not None:
                return moment
        raise payload_error("no-time", path, _json_value(cell), f"a time as {' or '.join(self.formats)}")

    def _parse_as(self, time_format: str, path: str, cell: Cell) -> datetime | None:
        if time_format in EPOCHS:
            return _since_epoch(cell, EPOCHS[time_format])
        if not isinstance(cell, str):
            return None
        try:
            if time_format == RFC3339:
                return datetime.fromisoformat(cell.strip())
            moment = datetime.strptime(cell.strip(), time_format)  # noqa: DTZ007 - the map sets the zone
        except ValueError:
            return None
        return moment if has_day(time_format) else self._combine_with_day(path, moment.timetz())

    def _combine_with_day(self, path: str, clock_time: time) -> datetime:
        if self.day is None:
            raise payload_error("no-time", path, str(clock_time), "a day: set date under [times]")
        return datetime.combine(self.day, clock_time)


def has_day(time_format: str) -> bool:
    """Tell whether a time format includes the day, not only the clock time.

    >>> has_day("%d/%m/%Y %H:%M"), has_day("%H:%M")
    (True, False)
    """
    return any(
        directive in time_format for directive in ("%d", "%j", "%c", "%x", "%s")
    ) or not time_format.count("%")


def _since_epoch(cell: Cell, per_second: int) -> datetime | None:
    try:
        seconds = float(cell) / per_second
    except (TypeError, ValueError):
        return None
    if not 0 <= seconds < _MAX_EPOCH_S:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(seconds * 1000))


class NumberParser(NamedTuple):
    """Parser of numbers and durations. With decimal "," 12,5 is 12.5 and 1.000 is a thousand.

    >>> NumberParser(",").parse("talk_s", "1.012,5")
    1012.5
    >>> NumberParser().duration_parser("min")("talk_s", "1.5")
    90.0
    >>> NumberParser().duration_parser("h:mm:ss")("talk_s", "1:02:03")
    3723
    """

    decimal: str = "."

    def parse(self, path: str, cell: Cell) -> float | int:
        if isinstance(cell, str) and self.decimal == ",":
            cell = cell.replace(".", "").replace(",", ".")
        number = fields.read_number(path, _json_value(cell))
        if number is None:
            raise payload_error("wrong-type", path, None, "a number")
        return number

    def parse_whole(self, path: str, cell: Cell) -> float | int:
        """Return 9 for 9.0. A fraction such as 6.5 stays, and is rejected later."""
        number = self.parse(path, cell)
        return int(number) if number == int(number) else number

    def duration_parser(self, unit: str) -> CellParser:
        """Return a parser that converts durations from `unit` to seconds."""

        def parse_duration(path: str, cell: Cell) -> float | int:
            if isinstance(cell, timedelta):
                return cell.total_seconds()
            if unit == CLOCK:
                return _clock_seconds(path, cell)
            try:
                amount = self.parse(path, cell)
            except InvalidEventError:
                expected = f"a number of {unit}: set another unit under [units], such as {CLOCK}"
                raise payload_error("wrong-type", path, _json_value(cell), expected) from None
            return amount if unit == "s" else round(amount * UNITS[unit], 6)

        return parse_duration


def _clock_seconds(path: str, cell: Cell) -> float | int:
    if isinstance(cell, time):
        return cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6
    match = _CLOCK_PATTERN.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if match is None:
        raise payload_error("wrong-type", path, _json_value(cell), f"a duration as {CLOCK} or mm:ss")
    seconds = int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3])
    return int(seconds) if seconds == int(seconds) else seconds


def parse_text_cell(path: str, cell: Cell) -> str | None:
    """Return text; 12.0 becomes "12", because tables with gaps store whole numbers as decimals."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return fields.read_text(path, _json_value(cell))


def parse_flag_cell(path: str, cell: Cell) -> bool | None:
    """Return true or false. The map translates other words under [values]."""
    try:
        return fields.read_flag(path, _json_value(cell))
    except InvalidEventError:
        expected = f"true or false: set what its values mean under [values.{path.partition(' ')[0]}]"
        raise payload_error("wrong-type", path, _json_value(cell), expected) from None


def parse_names_cell(path: str, cell: Cell) -> list[Any]:
    """Return a list of names. A cell of text holds them with semicolons between.

    >>> parse_names_cell("queues", "billing; tech")
    ['billing', 'tech']
    """
    if isinstance(cell, list):
        return cell
    text = parse_text_cell(path, cell) or ""
    return [name for part in text.split(";") if (name := part.strip())]


def exact_number(cell: float | Decimal) -> float | int | None:
    """Return a number without losing digits of long ids, which can arrive as decimals; None for NaN, by which
    tables write gaps, and for infinite decimals.

    >>> exact_number(Decimal("12345678901234567890.0")), exact_number(float("nan"))
    (12345678901234567890, None)
    """
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if not cell.is_finite():
        return None
    return int(cell) if abs(cell) < _LONGEST_ID and cell == cell.to_integral_value() else float(cell)


def _json_value(cell: Cell) -> Any:
    """Return JSON types unchanged and anything else as text."""
    return cell if cell is None or isinstance(cell, str | int | float | bool | dict | list) else str(cell)
