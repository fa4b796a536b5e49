"""Here is how cells of a center's own tables become the contract's values: times, durations, numbers.

A reader takes the field as it is named to people and a cell that is known, and returns the contract's
value; it raises WrongError for what cannot be meant.
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
    """How times are written: formats of strptime, rfc3339, or epochs; the zone of those that say none, and
    the day of those that have only the clock's time."""

    formats: tuple[str, ...] = (RFC3339,)
    zone: tzinfo | None = None
    day: date | None = None

    def read(self, path: str, cell: Cell) -> str:
        """RFC 3339 in UTC."""
        moment = self._moment(path, cell)
        if moment.tzinfo is None:
            if self.zone is None:
                raise wrong("no-time", path, str(cell), "a zone: say zone under [times]")
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
            found = datetime.strptime(cell.strip(), written)  # noqa: DTZ007 - the map says the zone
        except ValueError:
            return None
        return found if has_day(written) else self._on_the_day(path, found.timetz())

    def _on_the_day(self, path: str, clock: time) -> datetime:
        if self.day is None:
            raise wrong("no-time", path, str(clock), "a day: say date under [times]")
        return datetime.combine(self.day, clock)


def has_day(written: str) -> bool:
    """Whether a format tells the day, not the clock's time alone."""
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
    """How numbers are written: 12.5, or 12,5 with 1.000 for a thousand."""

    decimal: str = "."

    def read(self, path: str, cell: Cell) -> float | int:
        if isinstance(cell, str) and self.decimal == ",":
            cell = cell.replace(".", "").replace(",", ".")
        found = fields.number(path, _plain(cell))
        if found is None:
            raise wrong("wrong-type", path, None, "a number")
        return found

    def whole(self, path: str, cell: Cell) -> float | int:
        """9.0 is 9; 6.5 stays, to be rejected."""
        found = self.read(path, cell)
        return int(found) if found == int(found) else found

    def duration(self, unit: str) -> Reader:
        """In seconds."""

        def read(path: str, cell: Cell) -> float | int:
            if isinstance(cell, timedelta):
                return cell.total_seconds()
            if unit == CLOCK:
                return _clock_seconds(path, cell)
            try:
                found = self.read(path, cell)
            except WrongError:
                expected = f"a number of {unit}: say another unit under [units], such as {CLOCK}"
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
    """Numbers as they are written; 12.0 as 12: tables with gaps make such of whole numbers."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return fields.text(path, _plain(cell))


def flag(path: str, cell: Cell) -> bool | None:
    """true or false; other words are said under [values]."""
    try:
        return fields.flag(path, _plain(cell))
    except WrongError:
        expected = f"true or false: say what its values mean under [values.{path.partition(' ')[0]}]"
        raise wrong("wrong-type", path, _plain(cell), expected) from None


def exact(cell: float | Decimal) -> float | int | None:
    """Long ids may be decimals. NaN is how tables write a gap."""
    if isinstance(cell, float):
        return None if math.isnan(cell) else cell
    if not cell.is_finite():
        return None
    return int(cell) if abs(cell) < _LONGEST_ID and cell == cell.to_integral_value() else float(cell)


def _plain(cell: Cell) -> Any:
    """What JSON knows; anything else as text."""
    return cell if cell is None or isinstance(cell, str | int | float | bool | dict | list) else str(cell)
