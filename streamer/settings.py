"""Here is what can be set: environment STREAMER_* over one file, streamer.toml."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streamer.events.models import DIMENSIONS
from streamer.events.rules import Rules, ServiceLevel

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


class SettingsError(Exception):
    """A setting is wrong: one line that names it, its value and what was expected."""


def _duration(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", value.strip())):
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration such as 20s, 15m, 24h or 35d")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("a time zone of the IANA data base such as Europe/Madrid") from None
    return name


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Zone = Annotated[str, BeforeValidator(_zone)]
Formula = Literal["negative", "exclude_short", "ignore", "positive", "answered_only"]


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


class QueueSettings(BaseModel, extra="forbid"):
    """[queues.NAME]: what differs from the defaults for one queue."""

    service_level: Duration | None = None
    short_abandon: Duration | None = None
    formula: Formula | None = None
    timezone: Zone | None = None


class Settings(BaseSettings):
    """All settings, with the defaults of the public contract."""

    model_config = SettingsConfigDict(env_prefix="STREAMER_", env_nested_delimiter="__", extra="forbid")

    kafka: str = "127.0.0.1:9092"
    redis: str = "redis://127.0.0.1:6379/0"
    center: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "default"
    consumer_group: str = "streamer"
    session_timeout: Duration = timedelta(seconds=6)
    """How soon a dead worker's partitions are given to others; Kafka allows 6 s and more."""
    timezone: Zone = "UTC"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None

    horizon: Duration = timedelta(days=35)
    fcr_window: Duration = timedelta(days=7)
    fcr_same_reason: bool = False
    crowd: Annotated[int, Field(ge=1)] = 500
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    offered_counts_overflow: bool = False
    offered_counts_callback: bool = False
    service_level: Duration = timedelta(seconds=20)
    short_abandon: Duration = timedelta(seconds=5)
    formula: Formula = "negative"
    response_age: Duration = timedelta(hours=24)
    pairs: list[str] = ["queue,channel"]
    export_windows: list[str] = ["15m", "1h", "today"]
    export_agents: bool = False
    queues: dict[str, QueueSettings] = {}
    names: dict[str, dict[str, str]] = {}
    """Display names: names.queue.Q17 = "Billing"."""

    @field_validator("pairs")
    @classmethod
    def _known_dimensions(cls, pairs: list[str]) -> list[str]:
        for pair in pairs:
            parts = pair.split(",")
            if len(parts) != 2 or len(set(parts)) != 2 or not set(parts) <= set(DIMENSIONS):
                raise ValueError(f"pairs of two of {', '.join(DIMENSIONS)}, such as queue,channel")
        return pairs

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("STREAMER_CONFIG", "streamer.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    def rules(self) -> Rules:
        """What of these changes numbers."""
        default = ServiceLevel(_ms(self.service_level), _ms(self.short_abandon), self.formula)
        return Rules(
            horizon_ms=_ms(self.horizon),
            fcr_ms=_ms(self.fcr_window),
            fcr_same_reason=self.fcr_same_reason,
            crowd=self.crowd,
            currency=self.currency,
            offered_counts_overflow=self.offered_counts_overflow,
            offered_counts_callback=self.offered_counts_callback,
            service_level=default,
            queues={name: _level(queue, default) for name, queue in sorted(self.queues.items())},
            pairs=tuple(sorted(tuple(pair.split(",")) for pair in self.pairs)),
        )

    def zones(self) -> Mapping[str, str]:
        """The time zone of each queue that has its own."""
        return {name: queue.timezone for name, queue in self.queues.items() if queue.timezone}


def _level(queue: QueueSettings, default: ServiceLevel) -> ServiceLevel:
    return ServiceLevel(
        within_ms=default.within_ms if queue.service_level is None else _ms(queue.service_level),
        short_ms=default.short_ms if queue.short_abandon is None else _ms(queue.short_abandon),
        formula=queue.formula or default.formula,
    )


def load(**overrides: object) -> Settings:
    """The settings in force. Raises SettingsError, one line for all that is wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(item: Mapping[str, object]) -> str:
    place = item["loc"]
    assert isinstance(place, tuple)
    name = ".".join(str(part) for part in place)
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    expected = str(item["msg"]).removeprefix("Value error, ")
    return f"{name} = {item['input']!r}: expected {expected[0].lower()}{expected[1:]}"
