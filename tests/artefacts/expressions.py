"""List every expression of a dashboard's panels and annotations, as Grafana would send it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Expression(NamedTuple):
    """An expression; `panel` names the dashboard and the panel."""

    panel: str
    expr: str


def expressions(name: str, text: str, chosen: Mapping[str, str] | None = None) -> Iterator[Expression]:
    """Yield the expressions with each variable's initial value, except for those `chosen`."""
    board = json.loads(text)
    values = {variable["name"]: opened(variable) for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            expr = filled(target["expr"], values | dict(chosen or {}))
            yield Expression(f"{name}: {panel['title']} {target['refId']}", expr)
    for annotation in board["annotations"].get("list", ()):
        yield Expression(
            f"{name}: annotation {annotation['name']}", filled(annotation["target"]["expr"], values)
        )


def opened(variable: dict[str, Any]) -> str:
    value = variable["current"]["value"]
    return variable["allValue"] if value == ["$__all"] else value


def filled(expr: str, values: Mapping[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        expr = expr.replace(f"${name}", values[name])
    assert "$" not in expr, expr
    return expr
