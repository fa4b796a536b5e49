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


def parse_condition(expression: Any) -> Condition:
    """Parse a condition: `"HANG"` is that text, `""` an unknown cell, `["A", "B"]` one of them, `"> 0"` a
    comparison with a number. Raises ValueError with what was expected.

    >>> parse_condition("> 5")("5.1"), parse_condition("> 5")("six")
    (True, False)
    >>> parse_condition(["HANG", "ABANDON"])("HANG"), parse_condition("")(None)
    (True, True)
    """
    if isinstance(expression, list):
        conditions = [parse_condition(alternative) for alternative in expression]
        return lambda cell: any(alternative(cell) for alternative in conditions)
    if isinstance(expression, bool | int | float):
        return _comparison("=", str(expression).lower() if isinstance(expression, bool) else str(expression))
    if not isinstance(expression, str):
        raise ValueError('expected a text, a number, a list of them, or a comparison such as "> 0"')
    for sign in _SIGNS:
        if expression.startswith(sign):
            return _comparison(sign, expression.removeprefix(sign).strip())
    return _comparison("=", expression)


def _comparison(sign: str, operand: str) -> Condition:
    compare, operand_number = _SIGNS[sign], _to_number(operand)
    if sign in ("=", "!="):
        return lambda cell: compare(_cell_equals(cell, operand, operand_number), True)
    if operand_number is None:
        raise ValueError(f"expected a number after {sign}")
    return lambda cell: (cell_number := _to_number(cell)) is not None and compare(cell_number, operand_number)


def _cell_equals(cell: Any, text: str, number: float | None) -> bool:
    if cell is None or text == "":
        return cell is None and text == ""
    if number is not None and (cell_number := _to_number(cell)) is not None:
        return cell_number == number
    return (str(cell).lower() if isinstance(cell, bool) else str(cell).strip()) == text


def _to_number(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
