"""Here is a message: what somebody is told of an alert, whole in itself, as it is kept, sent and shown."""

from typing import Literal

import msgspec

from streamer.alerts.states import Why
from streamer.alerts.verdict import Figures, Kind
from streamer.settings import Severity


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the contacts behind the figure, and how much it moved it: `moved` in the metric's unit, below
    zero where it pulled it down. `value` of this part alone (None: of so few observations it says nothing),
    `support` how many observations it has. `apart`: it drew away from the others; else no part did, and it is
    but a large one."""

    dimension: str
    key: str
    name: str
    moved: float
    value: float | None
    support: int
    apart: bool = True


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the notice's: who was told it before, knows it. `episode` is the alert's (states.py). `group`
    is what people call the key. Times in ms since the epoch: `at` of the notice, `since` when what it is
    about began. `title` and `text` are plain sentences. `interval`: of the score, the ordinary one of 95 %;
    that of `figures` is as sure as the rule must be. `contributors`: what moved it most, the largest first,
    against as long before, at least a day; of a target that was missed before too, against the target.
    `links`: addresses by what is there: "contacts", "explain"."""

    id: str
    episode: str
    what: Literal["firing", "resolved"]
    why: Why
    rule: str
    kind: Kind
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
    figures: Figures
    interval: tuple[float, float] | None = None
    contributors: tuple[Contributor, ...] = ()
    links: dict[str, str] = {}
