"""Secrets in files: STREAMER_NAME_FILE is the path of a file that holds the secret STREAMER_NAME."""

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource

from streamer.settings.value_types import SettingsError

FILE_SUFFIX: Final = "_file"


class EnvironmentSource(EnvSettingsSource):
    """Settings source of the environment, where STREAMER_…_FILE stands for the secret in that file, and
    STREAMER_KAFKA_SASL_PASSWORD for STREAMER_KAFKA__SASL_PASSWORD."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        self._prefix, self._delimiter = self.env_prefix.lower(), self.env_nested_delimiter or "__"
        self.env_vars = {self._nested_name(name): value for name, value in self.env_vars.items()}
        self.env_vars = dict(self._resolve_files())

    def unknown_variables(self, known: Container[str]) -> list[str]:
        """Return the variables that begin like settings and set none, upper case; `known` ones aside."""
        prefix, delimiter = self._prefix, self._delimiter
        names = (name.removeprefix(prefix) for name in self.env_vars if name.startswith(prefix))
        fields = self.settings_cls.model_fields
        unknown = (name for name in names if name.split(delimiter)[0] not in fields and name not in known)
        return sorted(f"{prefix}{name}".upper() for name in unknown)

    def _nested_name(self, variable: str) -> str:
        prefix, delimiter = self._prefix, self._delimiter
        for name, field in self.settings_cls.model_fields.items():
            is_table = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
            table = f"{prefix}{name}"
            if is_table and variable.startswith(f"{table}_") and not variable.startswith(table + delimiter):
                return f"{table}{delimiter}{variable.removeprefix(f'{table}_')}"
        return variable

    def _resolve_files(self) -> Iterator[tuple[str, str | None]]:
        prefix, delimiter = self._prefix, self._delimiter
        for variable, value in self.env_vars.items():
            setting = variable.removeprefix(prefix)
            name = setting.removesuffix(FILE_SUFFIX)
            is_file = name != setting != variable and setting not in self.settings_cls.model_fields
            if value is None or not is_file or not is_secret(self.settings_cls, name.split(delimiter)):
                yield variable, value
            elif prefix + name in self.env_vars:
                raise SettingsError(f"{_dotted(name)}: expected a value or a file, not both")
            else:
                yield prefix + name, _read_secret(_dotted(setting), Path(value))


def _read_secret(name: str, path: Path) -> str:
    """Return the file's text without the line break at its end. Raises SettingsError."""
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{name} = {path}: expected text in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{name} = {path}: {error.strerror}") from None
    if not secret:
        raise SettingsError(f"{name} = {path}: the file is empty")
    return secret


def _dotted(name: str) -> str:
    return name.replace("__", ".")


def is_secret(settings_class: type[BaseModel], path: Sequence[str]) -> bool:
    """Tell whether the setting at a path is secret, or a table or list of nothing but secrets.

    >>> from streamer.settings import Settings
    >>> [is_secret(Settings, path.split(".")) for path in ("receivers.ops.url", "customer_keys", "port")]
    [True, True, False]
    """
    return _is_secret_type(settings_class, path)


def _is_secret_type(annotation: Any, path: Sequence[str]) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(path[0]) if path else None
        return field is not None and _is_secret_type(field.annotation, path[1:])
    if annotation is SecretStr:
        return not path
    arguments = get_args(annotation)
    if get_origin(annotation) in (dict, Mapping):
        return _is_secret_type(arguments[1], path[1:])
    return any(_is_secret_type(argument, path) for argument in arguments)
