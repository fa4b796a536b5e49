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
)
from streamer.settings.value_types import Duration, Formula, Zone

Severity = Literal["critical", "warning"]


def _check_web_address(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("an address that begins with https:// or http://")
    return url


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


class QueueSettings(BaseModel, extra="forbid"):
    """[queues.NAME]: what differs from the defaults for one queue."""

    service_level: Duration | None = None
    short_abandon: Duration | None = None
    service_level_formula: Formula | None = None
    timezone: Zone | None = None

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_QUEUE_NAMES, values)


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
    min_sample: Annotated[int, Field(ge=1)] | None = None
    """Else that of the whole center."""
    for_: Annotated[Duration, Field(alias="for")] = timedelta()
    """How long it must hold before somebody is told."""
    keep_firing_for: Duration = timedelta(minutes=5)
    """How long it must be over before somebody is told so."""
    severity: Severity = "warning"
    hours: dict[str, str] = {}
    """Of operation by weekday, such as {mon-fri = "08:00-20:00"}, in the queue's time zone; none: always."""
    receivers: list[str] | None = None
    """Names of [receivers]; not given: all of them. An Alertmanager is told in any case."""
    enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_ALERT_NAMES, values)


class ReceiverSettings(BaseModel, extra="forbid"):
    """[receivers.NAME]: a webhook that is told of alerts."""

    url: Annotated[SecretStr, AfterValidator(_check_web_address)]
    form: Literal["json", "slack"] = "json"
    secret: SecretStr | None = None
    """What its messages are signed with; none: they are not."""
    timeout: Duration = timedelta(seconds=60)
    """For an answer. It may have been told if there is none, and is told again."""


class DeliverySettings(BaseModel, extra="forbid"):
    """[delivery]: how alerts leave the house, beside [receivers]."""

    url: str = ""
    """The wallboard's address as people know it, for links; none: host and port."""
    alertmanager: str = ""
    """The address of one that is told, and asked for silences."""
    alertmanager_via: Literal["api", "prometheus"] = "api"
    """Who tells it: `serve`, or Prometheus by the generated rules on cx_alert_firing. Never both."""
    retry_for: Duration = timedelta(hours=24)
    """How long what could not be sent is tried again."""

    @model_validator(mode="before")
    @classmethod
    def _accept_former_names(cls, values: object) -> object:
        return rename_former(FORMER_DELIVERY_NAMES, values)
