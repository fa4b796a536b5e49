"""Find where a setting is written: in which variable of the environment, or which line of streamer.toml."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamer.settings.value_types import SettingsError

_PREFIX: Final = "STREAMER_"
_HEADER: Final = re.compile(r"\s*\[+(.+?)\]+\s*(?:#.*)?")
_ASSIGNMENT: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w.\s-])+?)\s*=""")
_NAME: Final = re.compile(r"[\w.-]+")

KeyPath = tuple[str, ...]


def config_path() -> Path:
    """Return the path of streamer.toml, which STREAMER_CONFIG may name. Raises SettingsError if it names no
    file."""
    named_path = os.environ.get("STREAMER_CONFIG")
    path = Path(named_path or "streamer.toml")
    if named_path and (path.is_dir() or not path.exists()):
        problem = "expected a file, not a folder" if path.is_dir() else "there is no such file"
        raise SettingsError(f"STREAMER_CONFIG = {named_path}: {problem}")
    return path


def with_place(sentence: str) -> str:
    """Return a sentence that begins with the name of a setting, with the place where it is set, if any is.

    >>> with_place("port = 70000: expected less")
    'port = 70000: expected less'
    """
    name = _NAME.match(sentence)
    place = setting_place(tuple(name[0].split("."))) if name else ""
    return f"{sentence} ({place})" if place else sentence


def setting_place(path: KeyPath) -> str:
    """Return the variable or the line that sets a setting, or a part of it or what it is part of; "" if none
    does."""
    if variable := _variable_of(path, os.environ):
        return variable
    with suppress(SettingsError, OSError, UnicodeDecodeError):
        file = config_path()
        if line_number := line_of(path, file.read_text(encoding="utf-8")):
            return f"{file}, line {line_number}"
    return ""


def _variable_of(path: KeyPath, variables: Mapping[str, str]) -> str:
    """Return the name of the variable, one whole table at the least; "" without one.

    >>> _variable_of(("kafka", "sasl_username"), {"STREAMER_KAFKA_SASL_USERNAME": "ann"})
    'STREAMER_KAFKA_SASL_USERNAME'
    """
    name_by_key = {name.upper().replace("__", "_"): name for name in variables}
    for length in range(len(path), 0, -1):
        key = _PREFIX + "_".join(path[:length]).upper()
        if name := name_by_key.get(key) or name_by_key.get(f"{key}_FILE"):
            return name
    return ""


def line_of(path: KeyPath, text: str) -> int:
    """Return the number of the line, from 1, that sets `path` or is nearest to it; 0 if none is near.

    >>> line_of(("alerts", "late", "key"), '''port = 80
    ... [alerts.late]
    ... kind = "drop"''')
    2
    """
    best_line, best_length = 0, 0
    for line_number, line_path in _paths(text):
        length = min(len(line_path), len(path))
        if line_path[:length] == path[:length] and length > best_length:
            best_line, best_length = line_number, length
    return best_line


def _paths(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Yield each line that begins a table or sets a value, with the keys that lead there."""
    table: KeyPath = ()
    for line_number, line in enumerate(text.splitlines(), 1):
        if (header := _HEADER.fullmatch(line)) and (path := _key_path(f"{header[1]} = 0")):
            table = path
            yield line_number, table
        elif (assignment := _ASSIGNMENT.match(line)) and (path := _key_path(f"{assignment[1]} = 0")):
            yield line_number, table + path


def _key_path(assignment: str) -> KeyPath:
    """Return the keys of an assignment of TOML.

    >>> _key_path('queues."Sales, EU".timezone = 0')
    ('queues', 'Sales, EU', 'timezone')
    """
    keys: list[str] = []
    with suppress(tomllib.TOMLDecodeError):
        value: object = tomllib.loads(assignment)
        while isinstance(value, dict):
            ((key, value),) = value.items()
            keys.append(key)
    return tuple(keys)
