"""Alert messages: everything a person is told about an alert, complete in itself, as stored, sent and
shown."""

from typing import Final, Literal

import msgspec

from streamer.alerts.states import NoticeReason
from streamer.alerts.verdict import RuleKind, VerdictFigures
from streamer.settings import Severity

PROMETHEUS_ALERTNAME: Final = "ContactCenterAlert"
"""Name of the one alert that the generated Prometheus rules make of all alerts."""


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """A subgroup of the contacts behind a figure, and how far it moved that figure. `moved` is in the
    metric's unit, below zero where it pulled the figure down. `value` is the metric of this subgroup alone
    (None: too few observations), `support` its number of observations. `apart`: it drew away from the
    rest; False: none did, and this one is merely large."""

    dimension: str
    key: str
    name: str
    moved: float
    value: float | None
    support: int
    apart: bool = True


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A notification in words. `id` is that of the notice: a receiver that already has it can skip it.
    `episode` is the id of the alert (states.py). `group` is the display name of the key. Times in ms since
    the epoch: `at` of the notice, `since` when the problem began. `title` and `text` are plain sentences.
    `interval` is the ordinary 95 % interval of the score; the one in `figures` has the confidence that the
    rule requires. `contributors`: the subgroups that moved the figure most, largest first, compared with
    an equally long time before (at least a day), or with the target if that was already missed. `links`:
    addresses of pages by their kind: "contacts", "explain"."""

    id: str
    episode: str
    what: Literal["firing", "resolved"]
    why: NoticeReason
    rule: str
    kind: RuleKind
    severity: Severity
    metric: str
    unit: str
    better: str
    window: str
    by: str
    key: str
    group: str
    at: int
    since: int
    title: str
    text: str
    figures: VerdictFigures
    interval: tuple[float, float] | None = None
    contributors: tuple[Contributor, ...] = ()
    links: dict[str, str] = {}
