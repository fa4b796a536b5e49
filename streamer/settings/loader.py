"""Load the settings from streamer.toml and the environment (STREAMER_*, which wins), and describe all that is
wrong in one line."""

import re
from collections.abc import Mapping
from tomllib import TOMLDecodeError
from typing import Final

from pydantic import ValidationError
from pydantic_settings import SettingsError as NotJson

from streamer.settings.former_names import FORMER_NAMES
from streamer.settings.model import Settings, config_path
from streamer.settings.secret_files import is_secret
from streamer.settings.sources import SettingsEnvironment
from streamer.settings.value_types import SettingsError, visible_name

_SECRET_SECTIONS: Final = ("users", "displays", "sources", "receivers", "customer_keys")
"""Tables that hold secrets, in names and extra fields too."""


def load_settings(**overrides: object) -> Settings:
    """Load the settings. Raises SettingsError, one line for all that is wrong.

    >>> load_settings(port=70_000)  # doctest: +NORMALIZE_WHITESPACE
    Traceback (most recent call last):
    streamer.settings.value_types.SettingsError: port = 70000:
    expected input should be less than or equal to 65535
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except TOMLDecodeError as error:
        raise SettingsError(f"{config_path()}: expected TOML: {error}") from None
    except NotJson as error:
        field_match = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{field_match[1] if field_match else 'settings'}: expected JSON") from None
    except ValidationError as error:
        raise SettingsError("; ".join(_error_sentence(dict(item)) for item in error.errors())) from None


def ignored_variables() -> list[str]:
    """Return the STREAMER_* variables of the environment that are no setting."""
    return SettingsEnvironment(Settings).unknown_variables({"config", *FORMER_NAMES})


def _error_sentence(item: Mapping[str, object]) -> str:
    location = item["loc"]
    assert isinstance(location, tuple)
    name = visible_name(".".join(str(step) for step in location))
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
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
