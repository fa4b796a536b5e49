"""Settings of TOML tables with a name: sources, queues, alert rules, receivers, and delivery."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, SecretStr, model_validator

from streamer.settings.former_names import (
    FORMER_ALERT_NAMES,
    FORMER_DELIVERY_NAMES,
    FORMER_QUEUE_NAMES,
    rename_former,
    rename_former_kind,
)
from streamer.settings.value_types import Duration, Formula, Name, Zone, check_web_address

Severity = Literal["critical", "warning"]


class SourceSettings(BaseModel, extra="allow"):
    """[sources.NAME]: the options of a known source (`streamer sources NAME`)."""

    __pydantic_extra__: dict[str, object]
    secret: SecretStr | None = None
    """Key that its webhooks are signed with, or the token they bear. Not set: no webhooks of this source
    are taken."""
    rate: Annotated[int, Field(ge=1)] = 600
    """Webhooks a minute at most; more are refused."""

    @property
    def options(self) -> Mapping[str, object]:
        return self.__pydantic_extra__


class QueueSettings(BaseModel, extra="forbid"):
    """[queues.NAME]: what differs from the defaults for one queue."""

    service_level: Duration | None = None
    """T of this queue. Not set: that of the center. Changing it asks for a rebuild."""
    short_abandon: Duration | None = None
    """Short abandon limit of this queue. Not set: that of the center. Changing it asks for a rebuild."""
    service_level_formula: Formula | None = None
    """Service level formula of this queue. Not set: that of the center. Changing it asks for a rebuild."""
    timezone: Zone | None = None
    """Time zone of this queue: its `today` and its opening hours. Not set: that of the center."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_QUEUE_NAMES, values)


class AlertSettings(BaseModel, extra="forbid"):
    """[alerts.NAME]: a rule. What is not given is as in the default rule of that name, else the default."""

    kind: Literal["threshold", "drop", "no_data", "limit", "unattended"] | None = None
    """Detector of the rule. Required for a rule of your own."""
    metric: str = ""
    """Metric of the rule. Required for a rule of your own."""
    by: str = "queue"
    """Grouping: `all`, a dimension or a configured pair. Each group is judged by itself."""
    key: Name = ""
    """One group only. Empty: every group there is."""
    window: str = "today"
    """Window of the figure that is held against a target. A limit, and unattended, are about `now`."""
    target: FiniteFloat | None = None
    """Target of this rule, of a limit the limit. Not set: that of [targets]."""
    false_alarms: Annotated[FiniteFloat, Field(gt=0)] = 1
    """False alarms a month at most: of each group, or (`shared`) of all groups together. Fewer make the
    rule speak later. Not of a limit, nor of unattended: no chance is in what is counted now."""
    shared: bool = False
    """Share the false alarms among all groups of the rule."""
    min_sample: Annotated[int, Field(ge=1)] | None = None
    """Smallest sample to judge. Not set: that of the center."""
    for_: Annotated[Duration, Field(alias="for")] = timedelta()
    """Time it must hold before somebody is told."""
    keep_firing_for: Duration = timedelta(minutes=5)
    """Time it must be over before somebody is told so."""
    severity: Severity = "warning"
    """Severity that messages, pages and Alertmanager's routes show."""
    hours: dict[str, str] = {}
    """Opening hours by weekday in the queue's time zone, such as `{mon-fri = "08:00-20:00"}`. Outside of
    them the rule is quiet. Empty: always open."""
    receivers: list[str] | None = None
    """Names of [receivers] that are told. Not set: all of them. An Alertmanager is told in any case."""
    enabled: bool = True
    """Turn a default rule off with `false`."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former_kind(rename_former(FORMER_ALERT_NAMES, values))


class ReceiverSettings(BaseModel, extra="forbid"):
    """[receivers.NAME]: a webhook that is told of alerts."""

    url: Annotated[SecretStr, AfterValidator(check_web_address)]
    """Address that messages are posted to. It may hold a secret, so no error shows it."""
    form: Literal["json", "slack"] = "json"
    """Form of the message: JSON, or what Slack, Mattermost and Rocket.Chat read."""
    secret: SecretStr | None = None
    """Key that messages are signed with, as Standard Webhooks has it (`streamer secret webhook`). Not
    set: they are not signed."""
    timeout: Duration = timedelta(seconds=60)
    """Time to wait for an answer. Without one the receiver may have been told, and is told again."""


class DeliverySettings(BaseModel, extra="forbid"):
    """[delivery]: how alerts are delivered, beside [receivers]."""

    url: str = ""
    """Address of the wallboard as people know it, for links in messages. Empty: host and port."""
    alertmanager: str = ""
    """Address of an Alertmanager. It is told of alerts and asked for silences. Empty: none."""
    alertmanager_via: Literal["api", "prometheus"] = "api"
    """Sender that tells it: `serve`, or Prometheus by the generated rules on cx_alert_firing. Never both."""
    retry_for: Duration = timedelta(hours=24)
    """Time that a message that could not be sent is tried again. Then it is given up and counted."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_DELIVERY_NAMES, values)
