"""List the settings in force, and describe all of them as JSON Schema."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr

from streamer.settings.model import Settings
from streamer.settings.places import KeyPath, setting_place

_UNITS_S: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_HIDDEN: Final = "…"


def setting_lines(settings: Settings, everything: bool = False) -> Iterator[str]:
    """Yield the settings that are set, or `everything`, as lines of TOML: dotted names, values, and as a
    comment the variable or line that sets them. Secrets are hidden.

    >>> list(setting_lines(Settings(queues={"Sales, EU": {"service_level": "30s"}})))
    ['queues."Sales, EU".service_level = "30s"']
    """
    for path, value in _values(settings, (), everything):
        place = setting_place(path)
        name = ".".join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in path)
        yield f"{name} = {toml_value(value)}{f'  # {place}' if place else ''}"


def _values(model: BaseModel, path: KeyPath, everything: bool) -> Iterator[tuple[KeyPath, Any]]:
    fields = type(model).model_fields
    names = fields if everything else [name for name in fields if name in model.model_fields_set]
    for name in names:
        yield from _values_in(getattr(model, name), (*path, fields[name].alias or name), everything)
    for name, value in (model.model_extra or {}).items():
        yield from _values_in(value, (*path, name), everything)


def _values_in(value: Any, path: KeyPath, everything: bool) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, BaseModel):
        yield from _values(value, path, everything)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _values_in(item, (*path, str(key)), everything)
    elif value is not None:
        yield path, value


def toml_value(value: Any) -> str:
    """Return a value as it is written in streamer.toml; a secret hidden.

    >>> toml_value(timedelta(hours=24)), toml_value(timedelta(seconds=90)), toml_value(["15m", "1h"])
    ('"24h"', '"90s"', '["15m", "1h"]')
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        unit = next(
            (unit for unit, size_s in _UNITS_S.items() if seconds % size_s == 0 and seconds > size_s), "s"
        )
        return f'"{seconds / _UNITS_S[unit]:.15g}{unit}"'
    if isinstance(value, SecretStr):
        return json.dumps(_HIDDEN, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, BaseModel):
        fields = [f"{'.'.join(path)} = {toml_value(item)}" for path, item in _values(value, (), False)]
        return f"{{ {', '.join(fields)} }}"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value if isinstance(value, bool | int | float) else str(value), ensure_ascii=False)


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of streamer.toml, with the meaning of each setting."""
    schema = Settings.model_json_schema()
    settings_classes: list[type[BaseModel]] = [Settings, *nested_classes(Settings)]
    for settings_class in settings_classes:
        part = schema if settings_class is Settings else schema["$defs"][settings_class.__name__]
        meanings = setting_meanings(settings_class)
        for name, field in settings_class.model_fields.items():
            entry = part["properties"][field.alias or name]
            entry["description"] = meanings.get(name, "")
            entry.pop("default", None)
            if isinstance(field.default, str | int | float | list | timedelta):
                entry["default"] = json.loads(toml_value(field.default))
    kafka = schema["properties"]["kafka"]
    kafka["anyOf"] = [{"type": "string"}, {"$ref": kafka.pop("$ref")}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "streamer.toml"}


def nested_classes(settings_class: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the classes of the tables within a table, each before those within it."""
    for field in settings_class.model_fields.values():
        for nested_class in _classes_in(field.annotation):
            yield nested_class
            yield from nested_classes(nested_class)


def _classes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes_in(argument)


def setting_meanings(settings_class: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings below the fields of a class, by field."""
    (class_node,) = ast.parse(textwrap.dedent(inspect.getsource(settings_class))).body
    assert isinstance(class_node, ast.ClassDef)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(class_node.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }
