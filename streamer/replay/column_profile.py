"""Profile the cells of a column: times, clock times, durations, numbers, flags, words."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

CellKind = Literal["empty", "time", "clock", "whole", "number", "flag", "words", "text"]

UNKNOWN_WORDS: Final = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-", "?")
TIME_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y",
)  # fmt: skip
_YES_WORDS: Final = frozenset({"y", "yes", "true", "t", "oui", "o", "ja", "j", "si", "sí", "s", "sim", "1"})
_NO_WORDS: Final = frozenset({"n", "no", "false", "f", "non", "nein", "nao", "não", "0"})
_CLOCK_PATTERN = re.compile(r"\d{1,3}:\d{2}(:\d{2}(\.\d+)?)?")
_MAX_WORDS = 20


class ColumnProfile(NamedTuple):
    """Profile of a column. `formats`: time formats that fit every cell. `low`, `high`: the range of numbers.
    `words`: the different cells, most frequent first, if at most 20. `different`: no cell repeats."""

    kind: CellKind
    formats: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    words: tuple[str, ...] = ()
    different: bool = False

    def describe(self) -> str:
        """Describe the column for people, without any customer's text."""
        if self.kind in ("whole", "number"):
            return f"{'whole ' * (self.kind == 'whole')}numbers {self.low:g} to {self.high:g}"
        names = {"time": "times", "clock": "clock times or durations", "flag": "yes or no"}
        return names.get(
            self.kind, {"words": f"few different words ({len(self.words)})"}.get(self.kind, self.kind)
        )


def profile_column(column: Iterable[Any]) -> ColumnProfile:
    """Profile the first cells of a column, ignoring unknown ones.

    >>> profile_column(["3", "41", "NA", "7"]).describe()
    'whole numbers 3 to 41'
    >>> profile_column(["13/05/2026 10:00", "14/05/2026 10:30"]).formats
    ('%d/%m/%Y %H:%M',)
    >>> profile_column(["Y", "N", "Y"]).kind
    'flag'
    """
    cells = [cell for cell in column if cell is not None and str(cell).strip() not in UNKNOWN_WORDS]
    if not cells:
        return ColumnProfile("empty")
    texts = [str(cell).strip() for cell in cells]
    different = len(set(texts)) == len(texts)
    profile = (
        _profile_typed(cells)
        or _profile_times(texts)
        or _profile_flags(texts)
        or _profile_numbers(texts)
        or _profile_words(texts)
    )
    return profile._replace(different=different)


def _profile_typed(cells: Sequence[Any]) -> ColumnProfile | None:
    """Profile cells that the file types itself, as Parquet does; None for others."""
    if all(isinstance(cell, bool) for cell in cells):
        return ColumnProfile("flag", words=("true", "false"))
    if all(isinstance(cell, datetime | date) for cell in cells):
        zoned = all(isinstance(cell, datetime) and cell.tzinfo is not None for cell in cells)
        return ColumnProfile("time", ("rfc3339",) if zoned else ("%Y-%m-%d %H:%M:%S",))
    if all(isinstance(cell, time) for cell in cells):
        return ColumnProfile("clock", ("%H:%M:%S",))
    return None


def _profile_times(texts: Sequence[str]) -> ColumnProfile | None:
    if all(_CLOCK_PATTERN.fullmatch(text) for text in texts):
        fitting_formats = tuple(
            time_format for time_format in ("%H:%M:%S", "%H:%M") if _all_parse(texts, time_format)
        )
        return ColumnProfile("clock", fitting_formats)
    if all(_has_zone(text) for text in texts):
        return ColumnProfile("time", ("rfc3339",))
    fitting_formats = tuple(time_format for time_format in TIME_FORMATS if _all_parse(texts, time_format))
    if fitting_formats:
        return ColumnProfile("time", fitting_formats)
    numbers = [float(text) for text in texts if text.replace(".", "", 1).isdigit()]
    for name, low, high in (("epoch", 9e8, 4e9), ("epoch_ms", 9e11, 4e12)):
        if len(numbers) == len(texts) and all(low <= number <= high for number in numbers):
            return ColumnProfile("time", (name,))
    return None


def _has_zone(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _all_parse(texts: Sequence[str], time_format: str) -> bool:
    try:
        for text in texts:
            datetime.strptime(text, time_format)  # noqa: DTZ007 - only to see if it parses
    except ValueError:
        return False
    return True


def _profile_flags(texts: Sequence[str]) -> ColumnProfile | None:
    words = {text.casefold() for text in texts}
    if len(words) == 2 and words & _YES_WORDS and words & _NO_WORDS:
        return ColumnProfile("flag", words=tuple(sorted(set(texts))))
    return None


def is_yes_word(word: str) -> bool:
    return word.casefold() in _YES_WORDS


def _profile_numbers(texts: Sequence[str]) -> ColumnProfile | None:
    try:
        numbers = [float(Decimal(text)) for text in texts]
    except ArithmeticError:
        return None
    whole = all(number == int(number) for number in numbers if abs(number) < 1e15)
    return ColumnProfile("whole" if whole else "number", low=min(numbers), high=max(numbers))


def _profile_words(texts: Sequence[str]) -> ColumnProfile:
    words = (
        sorted(set(texts), key=lambda word: (-texts.count(word), word))
        if len(set(texts)) <= _MAX_WORDS
        else []
    )
    return (
        ColumnProfile("words", words=tuple(words))
        if words and len(words) < len(texts)
        else ColumnProfile("text")
    )
