"""Parse the conditions by which a map's rules select rows."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

Condition = Callable[[Any], bool]
"""Predicate on one cell; a cell of None is unknown."""

_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def condition(said: Any) -> Condition:
    """Parse a condition: `"HANG"` is that text, `""` an unknown cell, `["A", "B"]` one of them, `"> 0"` a
    comparison with a number. Raises ValueError with what was expected.

    >>> condition("> 5")("5.1"), condition("> 5")("six")
    (True, False)
    >>> condition(["HANG", "ABANDON"])("HANG"), condition("")(None)
    (True, True)
    """
    if isinstance(said, list):
        any_of = [condition(one) for one in said]
        return lambda cell: any(one(cell) for one in any_of)
    if isinstance(said, bool | int | float):
        return _compared("=", str(said).lower() if isinstance(said, bool) else str(said))
    if not isinstance(said, str):
        raise ValueError('expected a text, a number, a list of them, or a comparison such as "> 0"')
    for sign in _SIGNS:
        if said.startswith(sign):
            return _compared(sign, said.removeprefix(sign).strip())
    return _compared("=", said)


def _compared(sign: str, with_: str) -> Condition:
    compare, number = _SIGNS[sign], _number(with_)
    if sign in ("=", "!="):
        return lambda cell: compare(_same(cell, with_, number), True)
    if number is None:
        raise ValueError(f"expected a number after {sign}")
    return lambda cell: (own := _number(cell)) is not None and compare(own, number)


def _same(cell: Any, text: str, number: float | None) -> bool:
    if cell is None or text == "":
        return cell is None and text == ""
    if number is not None and (own := _number(cell)) is not None:
        return own == number
    return (str(cell).lower() if isinstance(cell, bool) else str(cell).strip()) == text


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
