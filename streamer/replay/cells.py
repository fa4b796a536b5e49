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
from streamer.events.adapters.fields import wrong
from streamer.events.envelopes import WrongError

Cell = Any
Reader = Callable[[str, Cell], Any]

EPOCHS: Final[Mapping[str, int]] = {"epoch": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}
RFC3339: Final = "rfc3339"
UNITS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
CLOCK: Final = "h:mm:ss"
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{2}(?:\.\d+)?)")
_LAST_SECOND = 253_402_300_799
_LONGEST_ID = 10**40


class Clock(NamedTuple):
    """Parser of times. `formats`: strptime formats, rfc3339, or epochs, tried in this order. `zone`: for
    times that carry none. `day`: for formats that have only a clock time.

    >>> from zoneinfo import ZoneInfo
    >>> clock = Clock(("%d/%m/%Y %H:%M", "epoch"), ZoneInfo("Europe/Madrid"))
    >>> clock.read("ended_at", "04/05/2026 14:00")
    '2026-05-04T12:00:00Z'
    >>> clock.read("ended_at", 1777896000.25)
    '2026-05-04T12:00:00.250Z'
    """

    formats: tuple[str, ...] = (RFC3339,)
    zone: tzinfo | None = None
    day: date | None = None

    def read(self, path: str, cell: Cell) -> str:
        """Return the time as RFC 3339 in UTC. Raises WrongError."""
        moment = self._moment(path, cell)
        if moment.tzinfo is None:
            if self.zone is None:
                raise wrong("no-time", path, str(cell), "a zone: set zone under [times]")
            moment = moment.replace(tzinfo=self.zone)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            raise wrong("no-time", path, str(cell), "a time of a year up to 9999") from None
        exact = "milliseconds" if moment.microsecond else "seconds"
        return moment.isoformat(timespec=exact).replace("+00:00", "Z")

    def _moment(self, path: str, cell: Cell) -> datetime:
        if isinstance(cell, datetime):
            return cell
        if isinstance(cell, date):
            return datetime.combine(cell, time())
        if isinstance(cell, time):
            return self._on_the_day(path, cell)
        for written in self.formats:
            if (found := self._by(written, path, cell)) is not None:
                return found
        raise wrong("no-time", path, _plain(cell), f"a time as {' or '.join(self.formats)}")

    def _by(self, written: str, path: str, cell: Cell) -> datetime | None:
        if written in EPOCHS:
            return _since_epoch(cell, EPOCHS[written])
        if not isinstance(cell, str):
            return None
        try:
            if written == RFC3339:
                return datetime.fromisoformat(cell.strip())
            found = datetime.strptime(cell.strip(), written)  # noqa: DTZ007 - the map sets the zone
        except ValueError:
            return None
        return found if has_day(written) else self._on_the_day(path, found.timetz())

    def _on_the_day(self, path: str, clock: time) -> datetime:
        if self.day is None:
            raise wrong("no-time", path, str(clock), "a day: set date under [times]")
        return datetime.combine(self.day, clock)


def has_day(written: str) -> bool:
    """Tell whether a time format includes the day, not only the clock time.

    >>> has_day("%d/%m/%Y %H:%M"), has_day("%H:%M")
    (True, False)
    """
    return any(sign in written for sign in ("%d", "%j", "%c", "%x", "%s")) or not written.count("%")


def _since_epoch(cell: Cell, per_second: int) -> datetime | None:
    try:
        seconds = float(cell) / per_second
    except (TypeError, ValueError):
        return None
    if not 0 <= seconds < _LAST_SECOND:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(seconds * 1000))


class Numbers(NamedTuple):
    """Parser of numbers and durations. With decimal "," 12,5 is 12.5 and 1.000 is a thousand.

    >>> Numbers(",").read("talk_s", "1.012,5")
    1012.5
    >>> Numbers().duration("min")("talk_s", "1.5")
    90.0
    >>> Numbers().duration("h:mm:ss")("talk_s", "1:02:03")
    3723
    """

    decimal: str = "."

    def read(self, path: str, cell: Cell) -> float | int:
        if isinstance(cell, str) and self.decimal == ",":
            cell = cell.replace(".", "").replace(",", ".")
        found = fields.number(path, _plain(cell))
        if found is None:
            raise wrong("wrong-type", path, None, "a number")
        return found

    def whole(self, path: str, cell: Cell) -> float | int:
        """Return 9 for 9.0. A fraction such as 6.5 stays, and is rejected later."""
        found = self.read(path, cell)
        return int(found) if found == int(found) else found

    def duration(self, unit: str) -> Reader:
        """Return a parser that converts durations from `unit` to seconds."""

        def read(path: str, cell: Cell) -> float | int:
            if isinstance(cell, timedelta):
                return cell.total_seconds()
            if unit == CLOCK:
                return _clock_seconds(path, cell)
            try:
                found = self.read(path, cell)
            except WrongError:
                expected = f"a number of {unit}: set another unit under [units], such as {CLOCK}"
                raise wrong("wrong-type", path, _plain(cell), expected) from None
            return found if unit == "s" else round(found * UNITS[unit], 6)

        return read


def _clock_seconds(path: str, cell: Cell) -> float | int:
    if isinstance(cell, time):
        return cell.hour * 3600 + cell.minute * 60 + cell.second + cell.microsecond / 1e6
    found = _CLOCK.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if found is None:
        raise wrong("wrong-type", path, _plain(cell), f"a duration as {CLOCK} or mm:ss")
    seconds = int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3])
    return int(seconds) if seconds == int(seconds) else seconds


def text(path: str, cell: Cell) -> str | None:
    """Return text; 12.0 becomes "12", because tables with gaps store whole numbers as decimals."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return fields.text(path, _plain(cell))


def flag(path: str, cell: Cell) -> bool | None:
    """Return true or false. The map translates other words under [values]."""
    try:
        return fields.flag(path, _plain(cell))
    except WrongError:
        expected = f"true or false: set what its values mean under [values.{path.partition(' ')[0]}]"
        raise wrong("wrong-type", path, _plain(cell), expected) from None


def exact(cell: float | Decimal) -> float | int | None:
    """Return a number without losing digits of long ids, which can arrive as decimals; None for NaN, by which
    tables write gaps, and for infinite decimals.

    >>> exact(Decimal("12345678901234567890.0")), exact(float("nan"))
    (12345678901234567890, None)
    """
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if not cell.is_finite():
        return None
    return int(cell) if abs(cell) < _LONGEST_ID and cell == cell.to_integral_value() else float(cell)


def _plain(cell: Cell) -> Any:
    """Return JSON types unchanged and anything else as text."""
    return cell if cell is None or isinstance(cell, str | int | float | bool | dict | list) else str(cell)
