"""Here is what is set by name: sources, queues, rules of alerts."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, Field, FiniteFloat, SecretStr

from streamer.settings.kinds import Duration, Formula, Zone


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
    formula: Formula | None = None
    timezone: Zone | None = None


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
