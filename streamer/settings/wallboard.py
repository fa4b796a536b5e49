"""Settings of wallboards and pages: targets and views."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, FiniteFloat, WithJsonSchema, field_validator

from streamer.settings.value_types import Duration, Name

DEFAULT_TARGETS: Final[Mapping[str, float]] = MappingProxyType(
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
"""Default targets, as is usual in the trade."""
MAX_TILES: Final = 10
"""Most tiles of a view, those of now among them. web/view_checks.py says how many of each kind."""
TABLE_TILES: Final = ("queue_table", "agent_states")
"""Tiles that are no single metric."""
DEFAULT_TILES: Final = (
    "nps_score", "csat_ratio", "service_level_ratio",
    "wait_time_seconds", "abandon_ratio", "handle_time_seconds",
)  # fmt: skip


def _parse_target(value: object) -> object:
    return None if value == "none" else value


Target = Annotated[
    FiniteFloat | None,
    BeforeValidator(_parse_target),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "none"}]}),
]
"""None: "none", there is to be no target."""


class TargetSettings(BaseModel, extra="allow"):
    """[targets]: targets by metric. [targets.queues.NAME] has those of one queue."""

    __pydantic_extra__: dict[str, Target]
    queues: dict[Name, dict[str, Target]] = {}
    """[targets.queues.NAME]: targets by metric of one queue. They win over those of the whole center."""

    @property
    def by_metric(self) -> Mapping[str, float | None]:
        return self.__pydantic_extra__


class OwnTileSettings(BaseModel, extra="forbid"):
    """[views.NAME.own_tiles.TILE]: a tile with a window, stat or label of its own, shown where TILE stands in
    `tiles`."""

    metric: str
    """Metric shown."""
    window: str = ""
    """Window of the figure. Empty: that of the view."""
    stat: str = ""
    """Stat of the figure, such as p90. Empty: the metric's first."""
    label: Name = ""
    """Name on the tile. Empty: that of the metric."""


class ViewSettings(BaseModel, extra="forbid"):
    """[views.NAME]: a view of the wallboard: the whole center, or one page for each of `queues` (or `groups`)
    in turn."""

    title: Name = ""
    """Title of the view. Empty: none is shown."""
    tiles: list[str] = [*DEFAULT_TILES]
    """Metrics shown, at most six. Beside them up to four of `now`, such as `waiting`, in a strip on top;
    and the tables `queue_table`, which takes the place of four, and `agent_states`, of two. Not set: six
    scores, below `waiting`, `longest_wait_seconds` and `agents_available` once a source has sent states. A
    name of `own_tiles` stands for that tile."""
    own_tiles: dict[Name, OwnTileSettings] = {}
    """Tiles with a window, stat or label of their own, by the name that `tiles` has for them."""
    queues: list[Name] = []
    """Queues shown, a page for each in turn. Empty: one page for the whole center."""
    by: str = ""
    """Grouping of `groups`: site, queue, team, agent, channel, reason, language, or a pair such as
    queue,channel. Views of agents are for supervisors alone."""
    groups: list[str] = []
    """Groups of `by` shown, a page for each in turn, instead of `queues`."""
    rotate: Duration = timedelta(seconds=20)
    """Time that a page stays, 2 s or more."""
    window: str = "1h"
    """Window of the figures, such as 15m, 1h or today."""

    @property
    def figure_tiles(self) -> dict[str, OwnTileSettings]:
        """The tiles that are single figures, by their name in `tiles`."""
        names = [name for name in self.tiles if name not in TABLE_TILES]
        return {name: self.own_tiles.get(name) or OwnTileSettings(metric=name) for name in names}

    @property
    def metrics(self) -> list[str]:
        """The metrics of the tiles, each once."""
        return [*dict.fromkeys(tile.metric for tile in self.figure_tiles.values())]

    @property
    def shown_groups(self) -> list[tuple[str, str]]:
        """Dimensions and key of each page. There is none for the whole center."""
        return [("queue", queue) for queue in self.queues] or [(self.by, key) for key in self.groups]

    @field_validator("tiles")
    @classmethod
    def _check_tiles(cls, tiles: list[str]) -> list[str]:
        if not 1 <= len(tiles) <= MAX_TILES or len(set(tiles)) < len(tiles):
            raise ValueError(f"one to {MAX_TILES} different metrics or tables")
        return tiles

    @field_validator("queues")
    @classmethod
    def _check_queues(cls, queues: list[str]) -> list[str]:
        if len(set(queues)) < len(queues) or "" in queues:
            raise ValueError("different queues")
        return queues

    @field_validator("groups")
    @classmethod
    def _check_groups(cls, groups: list[str]) -> list[str]:
        if len(set(groups)) < len(groups) or "" in groups:
            raise ValueError("different groups")
        return groups

    @field_validator("rotate")
    @classmethod
    def _check_rotate(cls, rotate: timedelta) -> timedelta:
        if rotate < timedelta(seconds=2):
            raise ValueError("2s or more")
        return rotate
