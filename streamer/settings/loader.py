"""Load the settings from streamer.toml and the environment (STREAMER_*, which wins), and describe all that is
wrong in one line."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from tomllib import TOMLDecodeError
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError as NotJson

from streamer.runtime.choices import similar_names
from streamer.settings.former_names import FORMER_NAMES
from streamer.settings.model import Settings
from streamer.settings.places import config_path, with_place
from streamer.settings.secret_files import is_secret
from streamer.settings.sources import SettingsEnvironment
from streamer.settings.value_types import SettingsError, visible_name

_MISSPELT: Final = 0.8
_SECRET_SECTIONS: Final = ("users", "displays", "sources", "receivers", "customer_keys")
"""Tables that hold secrets, in names and extra fields too."""


def load_settings(**overrides: object) -> Settings:
    """Load the settings. Raises SettingsError, one line for all that is wrong.

    >>> load_settings(port=70_000)  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    streamer.settings.value_types.SettingsError: port = 70000:
    expected input should be less than or equal to 65535
    """
    if misspelt := _misspelt_variable():
        raise SettingsError(misspelt)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except TOMLDecodeError as error:
        raise SettingsError(f"{config_path()}: expected TOML: {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{config_path()}: expected text in UTF-8") from None
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise SettingsError(f"{config_path()}: {problem}") from None
    except NotJson as error:
        field_match = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{field_match[1] if field_match else 'settings'}: expected JSON") from None
    except ValidationError as error:
        sentences = [with_place(_error_sentence(dict(item))) for item in error.errors()]
        raise SettingsError("; ".join(sentences)) from None


def ignored_variables() -> list[str]:
    """Return the STREAMER_* variables of the environment that are no setting."""
    return SettingsEnvironment(Settings).unknown_variables({"config", *FORMER_NAMES})


def _misspelt_variable() -> str:
    """Return a sentence on a variable that is spelt much like a setting's; "" without one. Others may be
    somebody else's: `streamer check` names them."""
    for variable in ignored_variables():
        name, *rest = variable.removeprefix("STREAMER_").lower().split("__")
        if matches := get_close_matches(name, [*Settings.model_fields, "config"], n=1, cutoff=_MISSPELT):
            meant = "__".join(["STREAMER_" + matches[0], *rest]).upper()
            return f"{variable}: there is no such setting, did you mean {meant}?"
    return ""


def _error_sentence(item: Mapping[str, object]) -> str:
    location = item["loc"]
    assert isinstance(location, tuple)
    name = visible_name(".".join(str(step) for step in location))
    if item["type"] == "extra_forbidden":
        matches = similar_names(str(location[-1]), _names_beside(location))
        return f"{name}: there is no such setting" + (f", did you mean {matches[0]}?" if matches else "")
    expected = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "setting_conflict":
        return f"{name}.{expected}"
    if item["type"] == "missing":
        return f"{name}: required"
    if not location:
        return f"settings: expected {expected}"
    is_table = isinstance(item["input"], Mapping)
    # The wrong value may be, or hold, a secret.
    if location[0] in _SECRET_SECTIONS or is_table or is_secret(Settings, [str(step) for step in location]):
        return f"{name}: expected {expected[0].lower()}{expected[1:]}"
    return f"{name} = {item['input']!r}: expected {expected[0].lower()}{expected[1:]}"


def _names_beside(location: tuple[str | int, ...]) -> Collection[str]:
    """Return the names of the settings in the table in which a setting is."""
    annotation: Any = Settings
    for step in location[:-1]:
        is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        if is_table and step in annotation.model_fields:
            annotation = annotation.model_fields[step].annotation
        elif arguments := get_args(annotation):
            annotation = arguments[-1]
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation.model_fields if is_table else ()
