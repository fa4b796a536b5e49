"""Here is what can be set: environment STREAMER_* over one file, streamer.toml."""

import csv
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as NotJson

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import unfit
from streamer.events.directory import Directory, Stay, overlapping
from streamer.events.models import DIMENSIONS
from streamer.events.rules import Rules, ServiceLevel
from streamer.events.veil import KEY_ID

OWN_KEY: Final = "0"
"""The id of the key that a center makes for itself where none is set."""
_SECRET: Final = ("people", "displays", "sources", "customer_keys")
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


TARGETS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "nps_score": 30,
        "cnx_score": 30,
        "csat_ratio": 0.8,
        "csat_mean": 4.2,
        "ces_score": 5.5,
        "ces_easy_ratio": 0.8,
        "effort_score": 2,
        "fcr_survey_ratio": 0.7,
        "fcr_agent_ratio": 0.75,
        "fcr_ratio": 0.7,
        "fcr_final_ratio": 0.7,
        "repeat_ratio": 0.2,
        "wait_time_seconds": 30,
        "service_level_ratio": 0.8,
        "abandon_ratio": 0.05,
        "transfer_ratio": 0.1,
        "response_ratio": 0.15,
        "qa_score": 85,
    }
)
"""What is aimed at where nothing else is set, as is usual in the trade."""
MOST_TILES: Final = 6
TILES: Final = (
    "nps_score", "csat_ratio", "service_level_ratio",
    "wait_time_seconds", "abandon_ratio", "handle_time_seconds",
)  # fmt: skip


def _target(value: object) -> object:
    return None if value == "none" else value


Target = Annotated[FiniteFloat | None, BeforeValidator(_target)]
"""None: "none", there is to be no target."""


class TargetSettings(BaseModel, extra="allow"):
    """[targets]: by metric, and [targets.queues.NAME]: other ones for one queue."""

    __pydantic_extra__: dict[str, Target]
    queues: dict[str, dict[str, Target]] = {}

    @property
    def by_metric(self) -> Mapping[str, float | None]:
        return self.__pydantic_extra__


class ViewSettings(BaseModel, extra="forbid"):
    """[views.NAME]: what a wallboard shows, `all` or one page for each of `queues` in turn."""

    title: str = ""
    tiles: list[str] = [*TILES]
    queues: list[str] = []
    rotate: Duration = timedelta(seconds=20)
    window: str = "1h"

    @field_validator("tiles")
    @classmethod
    def _few_and_different(cls, tiles: list[str]) -> list[str]:
        if not 1 <= len(tiles) <= MOST_TILES or len(set(tiles)) < len(tiles):
            raise ValueError(f"one to {MOST_TILES} different metrics")
        return tiles

    @field_validator("queues")
    @classmethod
    def _different(cls, queues: list[str]) -> list[str]:
        if len(set(queues)) < len(queues) or "" in queues:
            raise ValueError("different queues")
        return queues

    @field_validator("rotate")
    @classmethod
    def _slow_enough_to_read(cls, rotate: timedelta) -> timedelta:
        if rotate < timedelta(seconds=2):
            raise ValueError("2s or more")
        return rotate


def _hash(start: str, command: str) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, str) and re.fullmatch(start, value):
            return value
        raise ValueError(f"what `streamer secret {command}` prints")

    return BeforeValidator(check)


PasswordHash = Annotated[str, _hash(r"\$argon2id\$[!-~]+", "password")]
TokenHash = Annotated[str, _hash(r"[0-9a-f]{64}", "token")]


class PersonSettings(BaseModel, extra="forbid"):
    """[people.NAME]: who may look, and what shows that it is them. `teams`: of a supervisor."""

    role: Literal["viewer", "supervisor", "admin"]
    teams: list[str] = []
    agent_names: bool = False
    """Whether a viewer sees figures by agent."""
    password: PasswordHash | None = None
    tokens: list[TokenHash] = []

    @model_validator(mode="after")
    def _teams_of_a_supervisor(self) -> Self:
        if bool(self.teams) != (self.role == "supervisor"):
            raise ValueError("teams for a supervisor, and for nobody else")
        return self


class DisplaySettings(BaseModel, extra="forbid"):
    """[displays.NAME]: a television. It sees one view."""

    token: TokenHash
    view: str = "default"


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError:
        raise ValueError("an address such as 10.0.0.1, or a network such as 10.0.0.0/24") from None
    return value


class ProxySettings(BaseModel, extra="forbid"):
    """[proxy]: one that logs people in and says in a header who it is. `role`: of those whom it names
    but [people] does not; none is nobody."""

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
    addresses: Annotated[list[Annotated[str, AfterValidator(_network)]], Field(min_length=1)]
    role: Literal["viewer", "admin"] | None = None


class SourceSettings(BaseModel, extra="allow"):
    """[sources.NAME]: the options of a known source (`streamer sources NAME`)."""

    __pydantic_extra__: dict[str, object]
    secret: SecretStr | None = None
    """What its webhooks are signed with, or the token they bear; none: no webhooks of this source."""
    rate: Annotated[int, Field(ge=1)] = 600
    """Webhooks a minute at most."""

    @property
    def options(self) -> Mapping[str, object]:
        return self.__pydantic_extra__


class StaySettings(BaseModel, extra="forbid"):
    """Of [agents.ID]: a team and a site, from one day to another, both of them included; without a day
    since ever, or until further notice. Days begin at midnight of the center's time zone."""

    team: Annotated[str, Field(min_length=1)] | None = None
    site: Annotated[str, Field(min_length=1)] | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None

    @model_validator(mode="after")
    def _somewhere_for_a_while(self) -> Self:
        if self.team is None and self.site is None:
            raise ValueError("a team or a site, or both")
        if self.from_ is not None and self.to is not None and self.to < self.from_:
            raise ValueError("a last day `to` that is not before the first day `from`")
        return self

    def stay(self, zone: tzinfo) -> Stay:
        after = self.to + timedelta(days=1) if self.to is not None and self.to < date.max else None
        return Stay(self.team, self.site, _midnight_ms(self.from_, zone), _midnight_ms(after, zone))


class AgentSettings(BaseModel, extra="forbid"):
    """[agents.ID]: where an agent was when, for events that name the agent but no team or site."""

    teams: Annotated[list[StaySettings], Field(min_length=1)]

    @field_validator("teams")
    @classmethod
    def _in_one_place_at_a_time(cls, teams: list[StaySettings]) -> list[StaySettings]:
        if overlapping([team.stay(UTC) for team in teams]):
            raise ValueError("days that do not overlap: a last day `to` before the next first day `from`")
        return teams


_COLUMNS: Final = ("agent", "team", "site", "from", "to")


def _agents_of(path: Path) -> dict[str, AgentSettings]:
    stays: dict[str, list[dict[str, str]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            if not {"agent"} <= {*(table.fieldnames or ())} <= {*_COLUMNS}:
                raise SettingsError(f"agents_file = {path}: expected a header of {', '.join(_COLUMNS)}")
            for row in table:
                if None in row or not row["agent"]:
                    raise SettingsError(f"agents_file = {path}: expected an agent in line {table.line_num}")
                stays.setdefault(row.pop("agent"), []).append({k: v for k, v in row.items() if v})
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"agents_file = {path}: {error}") from None
    return {agent: _agent(path, agent, teams) for agent, teams in stays.items()}


def _agent(path: Path, name: str, teams: list[dict[str, str]]) -> AgentSettings:
    try:
        return AgentSettings.model_validate({"teams": teams})
    except ValidationError as error:
        told = "; ".join(str(item["msg"]).removeprefix("Value error, ") for item in error.errors())
        raise SettingsError(f"agents_file = {path}: agent {name}: expected {told}") from None


def _midnight_ms(day: date | None, zone: tzinfo) -> int | None:
    return None if day is None else round(datetime.combine(day, time.min, zone).timestamp() * 1000)


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


class AlertSettings(BaseModel, extra="forbid"):
    """[alerts.NAME]: a rule. What is not given is as in the usual rule of that name, else the default."""

    kind: Literal["target", "drop", "silence"] | None = None
    metric: str = ""
    by: str = "queue"
    key: str = ""
    """One group; "": every group there is."""
    window: str = "today"
    """Of a target's figure."""
    target: FiniteFloat | None = None
    """Else that of [targets]."""
    false_alarms: Annotated[FiniteFloat, Field(gt=0)] = 1
    """A month at most: of each group, or (`shared`) of all groups together."""
    shared: bool = False
    least_support: Annotated[int, Field(ge=1)] | None = None
    """Else that of the whole center."""
    for_: Annotated[Duration, Field(alias="for")] = timedelta()
    """How long it must hold before somebody is told."""
    clear: Duration = timedelta(minutes=5)
    """How long it must be over before somebody is told so."""
    severity: Literal["critical", "warning"] = "warning"
    hours: dict[str, str] = {}
    """Of operation by weekday, such as {mon-fri = "08:00-20:00"}, in the queue's time zone; none: always."""
    tell: list[str] = []
    enabled: bool = True


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
    """How long after its contact a survey still finds it, and how late an event may come: later ones are
    rejected. Contacts with all that is personal are kept two horizons and a fortnight of outage beyond."""
    retention: Duration = timedelta(days=100)
    """How long hours are kept: how far back `--at`, history and rebuilds reach. Costs memory in Redis and in
    whoever reads. Topics that `streamer worker` creates keep records as long, and at least 100 days."""
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

    targets: TargetSettings = TargetSettings.model_validate({})
    least_support: Annotated[int, Field(ge=1)] = 20
    """A figure with an interval but from a smaller sample is not shown on the wall."""
    views: dict[str, ViewSettings] = {}
    alerts: dict[str, AlertSettings] = {}

    customer_keys: dict[
        Annotated[str, Field(pattern=rf"^{KEY_ID}$")], Annotated[SecretStr, Field(min_length=32)]
    ] = {}
    """By id: what customers' pseudonyms are made with (`streamer secret key`)."""
    customer_key: str = ""
    """The id of the key in force; else the greatest."""

    sources: dict[str, SourceSettings] = {}
    agents: dict[str, AgentSettings] = {}
    agents_file: Path | None = None
    """The same as a table: CSV with a header, columns agent, team, site, from, to; a row for each stay."""

    people: dict[str, PersonSettings] = {}
    displays: dict[str, DisplaySettings] = {}
    proxy: ProxySettings | None = None

    @field_validator("pairs")
    @classmethod
    def _known_dimensions(cls, pairs: list[str]) -> list[str]:
        for pair in pairs:
            parts = pair.split(",")
            if len(parts) != 2 or len(set(parts)) != 2 or not set(parts) <= set(DIMENSIONS):
                raise ValueError(f"pairs of two of {', '.join(DIMENSIONS)}, such as queue,channel")
        return pairs

    @field_validator("customer_keys")
    @classmethod
    def _other_than_the_own(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if OWN_KEY in keys:
            raise ValueError(f"another id than {OWN_KEY}, which is the center's own key's")
        return keys

    @field_validator("customer_key")
    @classmethod
    def _known_key(cls, key: str, info: ValidationInfo) -> str:
        keys = info.data.get("customer_keys", {})
        if key and key not in keys:
            raise ValueError(f"one of {', '.join(keys) or 'the ids in customer_keys, where there is none'}")
        return key

    @field_validator("sources")
    @classmethod
    def _known_sources(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        for name, source in sources.items():
            if name not in SOURCES:
                raise ValueError(f"sources among {', '.join(SOURCES)}")
            if unknown := source.options.keys() - SOURCES[name].options.keys():
                raise ValueError(f"{name} without {min(unknown)}: see `streamer sources {name}`")
            if option := unfit(SOURCES[name], source.options):
                raise ValueError(f"{name}.{option} as in `streamer sources {name}`, which has the default")
        return sources

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
            retention_ms=_ms(self.retention),
            fcr_ms=_ms(self.fcr_window),
            fcr_same_reason=self.fcr_same_reason,
            crowd=self.crowd,
            currency=self.currency,
            offered_counts_overflow=self.offered_counts_overflow,
            offered_counts_callback=self.offered_counts_callback,
            service_level=default,
            queues={name: _level(queue, default) for name, queue in sorted(self.queues.items())},
            pairs=tuple(sorted(tuple(pair.split(",")) for pair in self.pairs)),
            customer_key=self.customer_key or max(self.customer_keys, key=_rank, default=OWN_KEY),
        )

    def target(self, metric: str, queue: str | None = None) -> float | None:
        """The target in force: of this queue, else the one set, else the usual one. Which side of it is
        good follows from the catalogue's `better`."""
        own = self.targets.queues.get(queue, {}) if queue is not None else {}
        for targets in (own, self.targets.by_metric, TARGETS):
            if metric in targets:
                return targets[metric]
        return None

    def source_options(self, name: str) -> Mapping[str, object]:
        """The options in force of a known source."""
        own = self.sources[name].options if name in self.sources else {}
        return {**SOURCES[name].options, **own}

    def directory(self) -> Directory:
        """Which team and site an agent was with, and when. Raises SettingsError for what the file holds."""
        zone = ZoneInfo(self.timezone)
        agents = {**(_agents_of(self.agents_file) if self.agents_file else {}), **self.agents}
        return Directory({name: [team.stay(zone) for team in one.teams] for name, one in agents.items()})

    def all_views(self) -> Mapping[str, ViewSettings]:
        """The views by name; there always is a "default"."""
        return {"default": ViewSettings(), **self.views}

    def zones(self) -> Mapping[str, str]:
        """The time zone of each queue that has its own."""
        return {name: queue.timezone for name, queue in self.queues.items() if queue.timezone}


def _rank(key: str) -> tuple[int, str]:
    """So that 10 is greater than 9."""
    return len(key), key


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
    except NotJson as error:
        found = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{found[1] if found else 'settings'}: expected JSON") from None
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(item)) for item in error.errors())) from None


def _sentence(item: Mapping[str, object]) -> str:
    place = item["loc"]
    assert isinstance(place, tuple)
    name = ".".join(str(part) for part in place)
    if item["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    expected = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{name}: expected, but not given"
    if place[0] in _SECRET:  # what is wrong there may be the secret itself
        return f"{name}: expected {expected[0].lower()}{expected[1:]}"
    return f"{name} = {item['input']!r}: expected {expected[0].lower()}{expected[1:]}"
