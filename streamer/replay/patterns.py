"""Profile the cells of a column: times, clock times, durations, numbers, flags, words."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["empty", "time", "clock", "whole", "number", "flag", "words", "text"]

UNKNOWN: Final = ("", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "-", "?")
DATES: Final = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y",
)  # fmt: skip
_YES: Final = frozenset({"y", "yes", "true", "t", "oui", "o", "ja", "j", "si", "sí", "s", "sim", "1"})
_NO: Final = frozenset({"n", "no", "false", "f", "non", "nein", "nao", "não", "0"})
_CLOCK = re.compile(r"\d{1,3}:\d{2}(:\d{2}(\.\d+)?)?")
_FEW = 20


class Look(NamedTuple):
    """Profile of a column. `formats`: time formats that fit every cell. `low`, `high`: the range of numbers.
    `words`: the different cells, most frequent first, if at most 20. `different`: no cell repeats."""

    kind: Kind
    formats: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    words: tuple[str, ...] = ()
    different: bool = False

    def told(self) -> str:
        """Describe the column for people, without any customer's text."""
        if self.kind in ("whole", "number"):
            return f"{'whole ' * (self.kind == 'whole')}numbers {self.low:g} to {self.high:g}"
        names = {"time": "times", "clock": "clock times or durations", "flag": "yes or no"}
        return names.get(
            self.kind, {"words": f"few different words ({len(self.words)})"}.get(self.kind, self.kind)
        )


def look(column: Iterable[Any]) -> Look:
    """Profile the first cells of a column, ignoring unknown ones.

    >>> look(["3", "41", "NA", "7"]).told()
    'whole numbers 3 to 41'
    >>> look(["13/05/2026 10:00", "14/05/2026 10:30"]).formats
    ('%d/%m/%Y %H:%M',)
    >>> look(["Y", "N", "Y"]).kind
    'flag'
    """
    cells = [cell for cell in column if cell is not None and str(cell).strip() not in UNKNOWN]
    if not cells:
        return Look("empty")
    texts = [str(cell).strip() for cell in cells]
    different = len(set(texts)) == len(texts)
    found = _typed(cells) or _time(texts) or _flag(texts) or _number(texts) or _words(texts)
    return found._replace(different=different)


def _typed(cells: Sequence[Any]) -> Look | None:
    """Profile cells that the file types itself, as Parquet does; None for others."""
    if all(isinstance(cell, bool) for cell in cells):
        return Look("flag", words=("true", "false"))
    if all(isinstance(cell, datetime | date) for cell in cells):
        zoned = all(isinstance(cell, datetime) and cell.tzinfo is not None for cell in cells)
        return Look("time", ("rfc3339",) if zoned else ("%Y-%m-%d %H:%M:%S",))
    if all(isinstance(cell, time) for cell in cells):
        return Look("clock", ("%H:%M:%S",))
    return None


def _time(texts: Sequence[str]) -> Look | None:
    if all(_CLOCK.fullmatch(text) for text in texts):
        fits = tuple(one for one in ("%H:%M:%S", "%H:%M") if _all_fit(texts, one))
        return Look("clock", fits)
    if all(_zoned(text) for text in texts):
        return Look("time", ("rfc3339",))
    fits = tuple(one for one in DATES if _all_fit(texts, one))
    if fits:
        return Look("time", fits)
    numbers = [float(text) for text in texts if text.replace(".", "", 1).isdigit()]
    for name, low, high in (("epoch", 9e8, 4e9), ("epoch_ms", 9e11, 4e12)):
        if len(numbers) == len(texts) and all(low <= number <= high for number in numbers):
            return Look("time", (name,))
    return None


def _zoned(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _all_fit(texts: Sequence[str], written: str) -> bool:
    try:
        for text in texts:
            datetime.strptime(text, written)  # noqa: DTZ007 - only to see if it parses
    except ValueError:
        return False
    return True


def _flag(texts: Sequence[str]) -> Look | None:
    words = {text.casefold() for text in texts}
    if len(words) == 2 and words & _YES and words & _NO:
        return Look("flag", words=tuple(sorted(set(texts))))
    return None


def is_yes(word: str) -> bool:
    return word.casefold() in _YES


def _number(texts: Sequence[str]) -> Look | None:
    try:
        numbers = [float(Decimal(text)) for text in texts]
    except ArithmeticError:
        return None
    whole = all(number == int(number) for number in numbers if abs(number) < 1e15)
    return Look("whole" if whole else "number", low=min(numbers), high=max(numbers))


def _words(texts: Sequence[str]) -> Look:
    words = sorted(set(texts), key=lambda word: (-texts.count(word), word)) if len(set(texts)) <= _FEW else []
    return Look("words", words=tuple(words)) if words and len(words) < len(texts) else Look("text")
