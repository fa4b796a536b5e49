"""Sources of settings, in which the addresses of Kafka alone may stand for the table [kafka]."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import InitSettingsSource, TomlConfigSettingsSource

from streamer.settings.secret_files import EnvironmentSource


def kafka_as_table(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with [kafka] as a table, so that one source may add to another's.

    >>> kafka_as_table({"kafka": "kafka-1:9092"})
    {'kafka': {'bootstrap_servers': 'kafka-1:9092'}}
    """
    if isinstance(addresses := values.get("kafka"), str):
        return {**values, "kafka": {"bootstrap_servers": addresses}}
    return dict(values)


class ArgumentsSource(InitSettingsSource):
    """Source of arguments such as `kafka="127.0.0.1:9092"`."""

    def __call__(self) -> dict[str, Any]:
        return kafka_as_table(super().__call__())


class TomlSource(TomlConfigSettingsSource):
    """Source of a file such as streamer.toml."""

    def __call__(self) -> dict[str, Any]:
        return kafka_as_table(super().__call__())


class SettingsEnvironment(EnvironmentSource):
    """Source of STREAMER_KAFKA, which is text, beside STREAMER_KAFKA__SASL_PASSWORD and the like."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if field_name == "kafka" and not value.lstrip().startswith("{"):
            return {"bootstrap_servers": value}
        return super().decode_complex_value(field_name, field, value)
