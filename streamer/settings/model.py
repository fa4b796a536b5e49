"""Settings of a center: its fields, their defaults, and what follows from them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from streamer.events.adapters import SOURCES
from streamer.events.adapters.source import invalid_option
from streamer.events.agent_directory import AgentDirectory
from streamer.events.counting_rules import CountingRules, ServiceLevel
from streamer.events.models import DIMENSIONS
from streamer.privacy.pseudonyms import KEY_ID_PATTERN
from streamer.settings.access import DisplaySettings, ProxySettings, UserSettings
from streamer.settings.agent_teams import AgentSettings, load_agents_file
from streamer.settings.former_names import FORMER_NAMES, read_former_environment, rename_former
from streamer.settings.kafka import KafkaSettings
from streamer.settings.link_templates import LinkTemplates
from streamer.settings.named_tables import (
    AlertSettings,
    DeliverySettings,
    QueueSettings,
    ReceiverSettings,
    SourceSettings,
)
from streamer.settings.places import config_path
from streamer.settings.redis_url import check_redis_url, complete_redis_url, is_sentinel_url
from streamer.settings.reports import MailSettings, ReportSettings
from streamer.settings.sources import ArgumentsSource, SettingsEnvironment, TomlSource
from streamer.settings.value_types import Duration, Formula, Name, Zone, duration_ms
from streamer.settings.wallboard import DEFAULT_TARGETS, TargetSettings, ViewSettings

CENTER_KEY_ID: Final = "0"
"""Id of the pseudonym key that a center makes for itself if none is set."""


class Settings(BaseSettings):
    """All settings, with the defaults of the public contract."""

    model_config = SettingsConfigDict(env_prefix="STREAMER_", env_nested_delimiter="__", extra="forbid")

    kafka: KafkaSettings = KafkaSettings()
    """[kafka]: the brokers; or their addresses alone, separated by commas, as text."""
    redis: Annotated[SecretStr, AfterValidator(check_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    """URL of Redis or Valkey. Numbers, journeys and offsets are stored there. `rediss://` is TLS,
    `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE` (or `rediss+sentinel`) asks Sentinels for the primary.
    It may hold user and password, `redis://user:password@host:6379/0`."""
    redis_username: str = ""
    """ACL user of Redis. Empty: the URL's, else Redis's default user."""
    redis_password: SecretStr | None = None
    """Password for Redis. Not set: the URL's."""
    redis_sentinel_username: str = ""
    """ACL user of the Sentinels. Empty: their default user."""
    redis_sentinel_password: SecretStr | None = None
    """Password for the Sentinels. Not set: none."""
    redis_tls_ca_cert_file: Path | None = None
    """Certificates of the authorities that Redis's own must come from, PEM. Not set: those of this system."""
    redis_tls_cert_file: Path | None = None
    """Client certificate, PEM, where Redis asks for one."""
    redis_tls_key_file: Path | None = None
    """Private key of the client certificate, PEM. Not set: it is in the same file."""
    center: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "default"
    """Name of the contact center. Several centers share one Redis; each has keys of its own under its
    name."""
    consumer_group: str = "streamer"
    """Kafka consumer group of the workers. Each center that reads the same topics needs a group of its
    own."""
    session_timeout: Duration = timedelta(seconds=6)
    """Time after which a dead worker's partitions are given to others. Kafka allows 6 s and more."""
    timezone: Zone = "UTC"
    """Time zone of the center: the window `today` and the days of [agents] begin at its midnight. A queue
    may have its own."""
    host: str = "127.0.0.1"
    """Address that `streamer serve`, and the metrics of a worker, listen on. Off loopback the server
    needs [users]."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of `streamer serve`."""
    max_connections: Annotated[int, Field(ge=10)] = 1_000
    """Connections that `streamer serve` holds at a time, fewer where the system allows fewer open files.
    Each open page has one or two. More are answered 503."""
    max_connections_per_address: Annotated[int, Field(ge=1)] = 100
    """The same from one address (of IPv6: one /64 network); more are answered 429. Does not count for this
    machine itself and for [proxy]."""
    session_idle: Duration = timedelta(hours=1)
    """Time without a request after which a log-in ends. An open page asks all the time. After 12 hours it
    ends in any case."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port of a worker's own Prometheus metrics. Not set: the worker has none."""

    horizon: Duration = timedelta(days=35)
    """Time after its contact in which a survey still finds it, and by which an event may be late: later
    ones are rejected. Contacts with all that is personal are kept two horizons and a fortnight of outage
    beyond. Changing it asks for a rebuild."""
    retention: Duration = timedelta(days=100)
    """Time that hours are kept: how far back `--at`, history and rebuilds reach. Costs memory in Redis
    and in whoever reads. Topics that `streamer worker` creates keep records as long, and at least 100
    days. Changing it asks for a rebuild."""
    fcr_window: Duration = timedelta(days=7)
    """N days of first contact resolution: a contact of the same customer within this time is a repeat.
    Changing it asks for a rebuild."""
    fcr_same_reason: bool = False
    """Count a contact as a repeat only if it has the same reason. Changing it asks for a rebuild."""
    shared_id_limit: Annotated[int, Field(ge=1)] = 500
    """Contacts under one customer id at most, and facts (segments, surveys, evaluations) under one contact
    or survey id. Beyond it the id is shared (a robot, a shared number, "N/A"): each contact or fact stands
    alone, and first contact resolution leaves them out. Changing it asks for a rebuild."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """Currency of customer values. Events in another one are rejected. Changing it asks for a rebuild."""
    offered_counts_overflow: bool = False
    """Count segments that overflowed to another queue as offered. Changing it asks for a rebuild."""
    offered_counts_callback: bool = False
    """Count segments that left the queue for a callback as offered. Changing it asks for a rebuild."""
    service_level: Duration = timedelta(seconds=20)
    """T of the service level: a wait of exactly T is within it. Changing it asks for a rebuild."""
    short_abandon: Duration = timedelta(seconds=5)
    """Abandoned within this time is a short abandon. Changing it asks for a rebuild."""
    service_level_formula: Formula = "negative"
    """Treatment of abandoned segments in the service level: see `service_level_ratio` in the metrics.
    Changing it asks for a rebuild."""
    agent_silence: Annotated[Duration, Field(ge=timedelta(minutes=1))] = timedelta(hours=12)
    """Time after which nothing is known of an agent who was not heard of: not available, and no longer
    counted. Where a source says how often it repeats an agent's state, three of these times hold instead.
    Changing it asks for a rebuild."""
    live_limit: Duration = timedelta(hours=4)
    """Time that a contact by voice or chat waits, or is handled, at most. Beyond it the contact is no longer
    shown, but counted as lost: its end was never sent."""
    live_limit_slow: Duration = timedelta(days=7)
    """The same of contacts by all other channels."""
    survey_response_delay: Duration = timedelta(hours=24)
    """Age of the surveys that `response_ratio` counts: its window ends so long before, so that every
    customer had that long to answer."""
    dimension_pairs: list[str] = ["queue,channel"]
    """Groupings by two dimensions. Each costs memory. Changing it asks for a rebuild."""
    export_windows: list[str] = ["15m", "1h", "today"]
    """Windows on `/metrics`. Each multiplies the series that Prometheus stores."""
    export_agents: bool = False
    """Export groups by agent on `/metrics`."""
    export_max_series: Annotated[int, Field(ge=1_000)] = 10_000
    """Most series on `/metrics`. Groupings that do not fit are shown without percentiles, then left out, from
    the least important on: pairs, language, reason, agent, site, channel, team."""
    queues: dict[Name, QueueSettings] = {}
    """[queues.NAME]: what differs for one queue."""
    names: dict[str, dict[Name, Name]] = {}
    """Display names of ids by dimension: `names.queue.Q17 = "Billing"`. Pages show them; the API lists
    them at `/api/v1/names`."""

    targets: TargetSettings = TargetSettings.model_validate({})
    """[targets]: targets by metric."""
    min_sample: Annotated[int, Field(ge=1)] = 20
    """Smallest sample of a figure with an interval: from fewer answers it is not shown on the wall and
    not judged."""
    wrap_up_limit: Duration = timedelta(minutes=5)
    """Time in after-call work from which on the supervisor's page marks an agent."""
    away_limit: Duration = timedelta(minutes=30)
    """Time away from which on the supervisor's page marks an agent."""
    links: LinkTemplates = {}
    """[links.SOURCE]: links from a contact of this source (`*`: of any) to other systems, by the name that is
    shown: `recording = "https://example.com/{contact_id}"`. Only `{customer_id}` gives the pseudonym away."""
    views: dict[Name, ViewSettings] = {}
    """[views.NAME]: views of the wallboard, opened as `/?view=NAME`. Without any there is `default`."""
    alerts: dict[Name, AlertSettings] = {}
    """[alerts.NAME]: changes to the default alert rules, and rules of your own."""
    receivers: dict[Name, ReceiverSettings] = {}
    """[receivers.NAME]: webhooks that are sent alerts."""
    delivery: DeliverySettings = DeliverySettings()
    """[delivery]: how alerts are delivered."""
    mail: MailSettings = MailSettings()
    """[mail]: the server that mail is sent by."""
    report: ReportSettings = ReportSettings()
    """[report]: reports that are sent by themselves."""

    customer_keys: dict[
        Annotated[str, Field(pattern=rf"^{KEY_ID_PATTERN}$")], Annotated[SecretStr, Field(min_length=32)]
    ] = {}
    """Keys of customers' pseudonyms by id, 32 characters or more each (`streamer secret key`). Without
    any the center makes a key and keeps it in Redis, beside what it hides. Changing it asks for a
    rebuild."""
    customer_key: str = ""
    """Id of the key in force. Not set: the greatest id. Changing it asks for a rebuild."""

    sources: dict[str, SourceSettings] = {}
    """[sources.NAME]: known sources that `streamer ingest` reads."""
    agents: dict[Name, AgentSettings] = {}
    """[agents.ID]: teams and sites of agents over time."""
    agents_file: Path | None = None
    """The same as a table: CSV with a header, columns agent, team, site, from, to; a row for each stay."""

    users: dict[Name, UserSettings] = {}
    """[users.NAME]: people and programs that may look."""
    displays: dict[Name, DisplaySettings] = {}
    """[displays.NAME]: televisions."""
    proxy: ProxySettings | None = None
    """[proxy]: a proxy that logs people in."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_NAMES, values)

    @model_validator(mode="after")
    def _require_tls_url(self) -> Self:
        is_tls_set = self.redis_tls_ca_cert_file or self.redis_tls_cert_file
        if is_tls_set and not self.redis.get_secret_value().startswith("rediss"):
            raise ValueError("redis to begin with rediss:// or rediss+sentinel://, as redis_tls_… is set")
        return self

    def redis_url(self) -> str:
        """Return the URL of Redis with all that is set beside it: a secret."""
        url = self.redis.get_secret_value()
        options: dict[str, object] = {
            "ssl_ca_certs": self.redis_tls_ca_cert_file,
            "ssl_certfile": self.redis_tls_cert_file,
            "ssl_keyfile": self.redis_tls_key_file or self.redis_tls_cert_file,
        }
        if is_sentinel_url(url):
            options["sentinel_username"] = self.redis_sentinel_username
            options["sentinel_password"] = _reveal(self.redis_sentinel_password)
        set_options = {name: str(value) for name, value in options.items() if value}
        return complete_redis_url(url, self.redis_username, _reveal(self.redis_password), set_options)

    @field_validator("dimension_pairs")
    @classmethod
    def _known_dimensions(cls, pairs: list[str]) -> list[str]:
        for pair in pairs:
            parts = pair.split(",")
            if len(parts) != 2 or len(set(parts)) != 2 or not set(parts) <= set(DIMENSIONS):
                raise ValueError(f"pairs of two of {', '.join(DIMENSIONS)}, such as queue,channel")
        return pairs

    @field_validator("customer_keys")
    @classmethod
    def _reserved_key_id(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if CENTER_KEY_ID in keys:
            raise ValueError(f"another id than {CENTER_KEY_ID}, which is the center's own key's")
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
            if option := invalid_option(SOURCES[name], source.options):
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
        return (
            ArgumentsSource(settings_cls, getattr(init_settings, "init_kwargs", {})),
            SettingsEnvironment(settings_cls),
            InitSettingsSource(settings_cls, read_former_environment()),
            TomlSource(settings_cls, config_path()),
        )

    def counting_rules(self) -> CountingRules:
        """Return the counting rules: the settings that change numbers."""
        default = ServiceLevel(
            duration_ms(self.service_level), duration_ms(self.short_abandon), self.service_level_formula
        )
        return CountingRules(
            horizon_ms=duration_ms(self.horizon),
            retention_ms=duration_ms(self.retention),
            fcr_ms=duration_ms(self.fcr_window),
            fcr_same_reason=self.fcr_same_reason,
            shared_id_limit=self.shared_id_limit,
            currency=self.currency,
            offered_counts_overflow=self.offered_counts_overflow,
            offered_counts_callback=self.offered_counts_callback,
            service_level=default,
            queues={
                name: _queue_service_level(queue, default) for name, queue in sorted(self.queues.items())
            },
            dimension_pairs=tuple(sorted(tuple(pair.split(",")) for pair in self.dimension_pairs)),
            customer_key=self.customer_key
            or max(self.customer_keys, key=_key_id_order, default=CENTER_KEY_ID),
            agent_silence_ms=duration_ms(self.agent_silence),
        )

    def live_limits_ms(self) -> tuple[int, int]:
        """Return the time in ms after which a contact under way is lost: by voice or chat, and by others."""
        return duration_ms(self.live_limit), duration_ms(self.live_limit_slow)

    def target(self, metric: str, queue: str | None = None) -> float | None:
        """Return the target of a metric: that of the queue, else that of [targets], else the default. Which
        side of it is good follows from the catalogue's `better`.

        >>> settings = Settings(targets={"queues": {"vip": {"abandon_ratio": 0.02}}})
        >>> settings.target("abandon_ratio", "vip")
        0.02
        """
        queue_targets = self.targets.queues.get(queue, {}) if queue is not None else {}
        for targets in (queue_targets, self.targets.by_metric, DEFAULT_TARGETS):
            if metric in targets:
                return targets[metric]
        return None

    def source_options(self, name: str) -> Mapping[str, object]:
        """Return the options of a known source: its defaults, overridden by [sources.NAME]."""
        set_options = self.sources[name].options if name in self.sources else {}
        return {**SOURCES[name].options, **set_options}

    def directory(self) -> AgentDirectory:
        """Return the teams and sites of agents over time. Raises SettingsError for an invalid
        `agents_file`."""
        zone = ZoneInfo(self.timezone)
        agents = {**(load_agents_file(self.agents_file) if self.agents_file else {}), **self.agents}
        return AgentDirectory(
            {name: [team.membership(zone) for team in agent.teams] for name, agent in agents.items()}
        )

    def all_views(self) -> Mapping[str, ViewSettings]:
        """Return the views by name; there is always a "default"."""
        return {"default": ViewSettings(), **self.views}

    @property
    def is_open(self) -> bool:
        """Tell whether nobody has to log in: no users, displays or proxy are configured."""
        return not (self.users or self.displays or self.proxy)

    def zones(self) -> Mapping[str, str]:
        """Return the time zones of queues that have their own."""
        return {name: queue.timezone for name, queue in self.queues.items() if queue.timezone}


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _key_id_order(key: str) -> tuple[int, str]:
    """Return the sort key of a key id, by which 10 is greater than 9.

    >>> max(["9", "10"], key=_key_id_order)
    '10'
    """
    return len(key), key


def _queue_service_level(queue: QueueSettings, default: ServiceLevel) -> ServiceLevel:
    return ServiceLevel(
        within_ms=default.within_ms if queue.service_level is None else duration_ms(queue.service_level),
        short_ms=default.short_ms if queue.short_abandon is None else duration_ms(queue.short_abandon),
        formula=queue.service_level_formula or default.formula,
    )
