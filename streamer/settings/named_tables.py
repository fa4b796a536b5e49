"""Settings of TOML tables with a name: sources, queues, alert rules, receivers, and delivery."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, FiniteFloat, SecretStr, model_validator

from streamer.settings.former_names import (
    FORMER_ALERT_NAMES,
    FORMER_DELIVERY_NAMES,
    FORMER_QUEUE_NAMES,
    rename_former,
    rename_former_kind,
)
from streamer.settings.reports import MailAddress
from streamer.settings.value_types import Duration, Formula, Name, Zone, check_web_address

Severity = Literal["critical", "warning"]
PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"


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
    """[receivers.NAME]: a webhook that is told of alerts, or addresses that get mail."""

    url: Annotated[SecretStr, AfterValidator(check_web_address)] | None = None
    """Address that messages are posted to. It may hold a secret, so no error shows it. For PagerDuty it need
    not be set."""
    form: Literal["json", "slack", "teams", "pagerduty"] = "json"
    """Form of the message: JSON; what Slack, Mattermost and Rocket.Chat read; a card for a workflow of
    Microsoft Teams; an event for PagerDuty."""
    routing_key: SecretStr | None = None
    """Integration key of a service of PagerDuty (Events API v2)."""
    mail: list[MailAddress] = []
    """Addresses that get mail instead, by the server in [mail]."""
    secret: SecretStr | None = None
    """Key that messages are signed with, as Standard Webhooks has it (`streamer secret webhook`). Not
    set: they are not signed."""
    timeout: Duration = timedelta(seconds=60)
    """Time to wait for an answer. Without one the receiver may have been told, and is told again."""

    @model_validator(mode="before")
    @classmethod
    def _address_of_pagerduty(cls, values: object) -> object:
        if isinstance(values, Mapping) and values.get("form") == "pagerduty" and not values.get("url"):
            return {**values, "url": PAGERDUTY_URL}
        return values

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) is (not self.mail):
            raise ValueError("either a url or mail addresses")
        if (self.form == "pagerduty") is (self.routing_key is None):
            raise ValueError('a routing_key with form = "pagerduty", and with no other')
        return self


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
