"""Here is how a map chooses among rows: by what stands in their columns."""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

Condition = Callable[[Any], bool]
"""Of a cell; None is unknown."""

_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


def condition(said: Any) -> Condition:
    """`"HANG"` is this text, `""` nothing known, `["A", "B"]` one of them, `"> 0"` a number. Raises
    ValueError with what was expected."""
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
