"""Hours of operation: one run of hours for each weekday, in the time zone of a queue."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = r"([01]\d|2[0-4]):([0-5]\d)"
_DAY_MINUTES: Final = 24 * 60


class HoursError(ValueError):
    """Error in a setting of hours; its message is one sentence that says what was expected."""


class OpeningHours(msgspec.Struct, frozen=True):
    """Hours of operation by weekday, Monday first: [from, to) in minutes since midnight; None: closed all
    day. A `to` beyond 24 hours lies on the next day."""

    runs: tuple[tuple[int, int] | None, ...] = ((0, _DAY_MINUTES),) * 7

    def is_open(self, at_ms: int, zone: str) -> bool:
        moment = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(ZoneInfo(zone))
        minute = moment.hour * 60 + moment.minute
        return self._is_open_at(moment.weekday(), minute) or self._is_open_at(
            moment.weekday() - 1, minute + _DAY_MINUTES
        )

    def _is_open_at(self, weekday: int, minute: int) -> bool:
        run = self.runs[weekday]
        return run is not None and run[0] <= minute < run[1]


def parse_hours(run_by_days: Mapping[str, str]) -> OpeningHours:
    """Parse settings such as {"mon-fri": "08:00-20:00", "sat": "09:00-14:00"}; no settings mean always
    open. Raises HoursError.

    >>> weekdays = parse_hours({"mon-fri": "08:00-20:00"})
    >>> friday_10_00 = 1_795_168_800_000
    >>> weekdays.is_open(friday_10_00, "UTC"), weekdays.is_open(friday_10_00, "Asia/Tokyo")
    (True, True)
    >>> parse_hours({"fri": "20:00-02:00"}).runs[4]
    (1200, 1560)
    """
    if not run_by_days:
        return OpeningHours()
    runs: list[tuple[int, int] | None] = [None] * 7
    for days, run in run_by_days.items():
        for day in _parse_days(days):
            if runs[day] is not None:
                raise HoursError(f"{days}: expected each weekday once")
            runs[day] = _parse_run(days, run)
    return OpeningHours(tuple(runs))


def _parse_days(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise HoursError(f"{text!r}: expected weekdays such as mon or mon-fri")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, end + (1 if end >= begin else 8))]


def _parse_run(days: str, text: str) -> tuple[int, int]:
    match = re.fullmatch(rf"{_TIME}-{_TIME}", text)
    begin, end = (int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])) if match else (0, 0)
    if begin in (end, _DAY_MINUTES) or max(begin, end) > _DAY_MINUTES:
        raise HoursError(f"{days} = {text!r}: expected hours such as 08:00-20:00")
    return (begin, end) if end > begin else (begin, end + _DAY_MINUTES)


def format_hours(opening_hours: OpeningHours) -> str:
    """Format hours of operation.

    >>> format_hours(parse_hours({"mon-fri": "08:00-20:00", "sat": "09:00-14:00"}))
    'Mon-Fri 08:00-20:00, Sat 09:00-14:00'
    """
    if opening_hours == OpeningHours():
        return "always"
    phrases = []
    for run, days in groupby(range(7), key=lambda day: opening_hours.runs[day]):
        if run is not None:
            day_names = [DAYS[day].capitalize() for day in days]
            days_phrase = day_names[0] if len(day_names) == 1 else f"{day_names[0]}-{day_names[-1]}"
            phrases.append(f"{days_phrase} {_clock_time(run[0])}-{_clock_time(run[1])}")
    return ", ".join(phrases)


def _clock_time(minute: int) -> str:
    """Format minutes since midnight; 24:00 is the end of the day, later minutes belong to the next one."""
    minute -= 24 * 60 if minute > 24 * 60 else 0
    return f"{minute // 60:02d}:{minute % 60:02d}"
