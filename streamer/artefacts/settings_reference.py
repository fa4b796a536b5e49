"""Generate docs/settings.md from the settings' classes: type, default and meaning of every setting."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streamer.alerts.alert_rules import DEFAULT_RULES
from streamer.artefacts.marked_text import markdown_table, replace_marked_part
from streamer.metrics.catalogue import CATALOGUE
from streamer.settings import DEFAULT_TARGETS, Settings
from streamer.settings.listing import nested_classes, setting_meanings, toml_value
from streamer.settings.value_types import Zone

SETTINGS_PAGE: Final = "docs/settings.md"
_COLUMNS: Final = ("setting", "type", "default", "what it is, and what follows")
_TYPES: Final[Mapping[Any, str]] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    timedelta: "duration",
    date: "day",
    Path: "path",
    SecretStr: "text, kept secret",
}
_COLLECTIONS: Final[Mapping[Any, str]] = {list: "list", dict: "table"}
_ZONE_CHECK: Final = get_args(Zone)[1]


def generate_settings_reference(root: Path) -> dict[Path, str]:
    """Return docs/settings.md with new tables between its markers. Raises MarkersError."""
    return replace_marked_part(root, SETTINGS_PAGE, "settings", settings_tables())


def settings_tables() -> str:
    """Return a Markdown table of the settings of each class, below a heading."""
    parts = [markdown_table(_COLUMNS, list(_setting_rows(Settings)))]
    for settings_class in nested_classes(Settings):
        title, _, text = inspect.cleandoc(settings_class.__doc__ or "").partition(": ")
        rows = [*_setting_rows(settings_class), *_EXTRA_ROWS.get(title, list)()]
        text = " ".join(text.split())
        parts.append(f"### `{title}`\n\n{text[0].upper()}{text[1:]}\n\n{markdown_table(_COLUMNS, rows)}")
    return "\n".join([*parts, f"### The default alert rules\n\n{_default_rules_table()}"])


def _setting_rows(settings_class: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    meanings = setting_meanings(settings_class)
    for name, field in settings_class.model_fields.items():
        type_name = _type_name(field.annotation, field.metadata)
        yield f"`{field.alias or name}`", type_name, _field_default(field), meanings.get(name, "")


def _type_name(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Return the type in plain words, with its limits.

    >>> _type_name(dict[str, list[str]]), _type_name(timedelta | None), _type_name(Literal["low", "high"])
    ('table of list of text', 'duration', '`low` or `high`')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [part for item in arguments[1:] for part in getattr(item, "metadata", [item])]
        return _type_name(arguments[0], [*inner, *metadata])
    if origin in (Union, UnionType):
        (argument,) = (argument for argument in arguments if argument is not type(None))
        return _type_name(argument, metadata)
    if origin is Literal:
        *others, last = (f"`{value}`" for value in arguments)
        return f"{', '.join(others)} or {last}"
    if origin in (list, dict):
        item_name = _type_name(arguments[-1])
        return "tables" if item_name == "table" else f"{_COLLECTIONS[origin]} of {item_name}"
    if issubclass(annotation, BaseModel):
        return "table"
    return ("time zone" if _ZONE_CHECK in metadata else _TYPES[annotation]) + _limits_text(metadata)


def _limits_text(metadata: Sequence[Any]) -> str:
    limits = {type(limit): limit for limit in metadata}
    if Le in limits:
        return f", {limits[Ge].ge} to {limits[Le].le}"
    if Ge in limits:
        return f", {limits[Ge].ge} or more"
    return f" above {limits[Gt].gt}" if Gt in limits else ""


def _field_default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    default = default.get_secret_value() if isinstance(default, SecretStr) else default
    if default is None or isinstance(default, BaseModel) or default in ("", {}, []):
        return "–"
    return f"`{toml_value(default)}`"


def _target_rows() -> list[tuple[str, ...]]:
    """Return the rows of the targets by metric."""
    sides = {"higher": "At least", "lower": "At most"}
    rows: list[tuple[str, ...]] = [
        (
            f"`{metric}`",
            'number, or `"none"`',
            f"`{target}`",
            f"{sides[CATALOGUE[metric].better]} so much is on target.",
        )
        for metric, target in DEFAULT_TARGETS.items()
    ]
    return [*rows, ("any other metric", 'number, or `"none"`', "–", "Not set: it has no target.")]


_EXTRA_ROWS: Final = {"[targets]": _target_rows}
"""Rows of the classes that take more than their fields."""


def _default_rules_table() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"`{key} = {toml_value(value)}`" for key, value in rule.items()))
        for name, rule in DEFAULT_RULES.items()
    ]
    return markdown_table(("rule", "what it sets"), rows)
