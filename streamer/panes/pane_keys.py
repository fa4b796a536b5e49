"""The two families of panes of event time, and how cells and group rows are named on the wire.

Fine panes are 10 s wide and hold cells, long ones an hour and hold group rows. A cell is one combination of
all dimensions; a row is one group: `all`, one value of one dimension, or a configured pair. The store files
both by the hour, and beside them the plain counters.
"""

from typing import Final, Literal

from streamer.events.models import DIMENSIONS
from streamer.events.rules import HOUR, SECOND, UNKNOWN

FINE_MS: Final = 10 * SECOND
FINE_KEPT_MS: Final = 50 * HOUR
LONG_MS: Final = HOUR
PANES_PER_HOUR: Final = HOUR // FINE_MS

Family = Literal["fine", "long"]
WIDTH: Final[dict[Family, int]] = {"fine": FINE_MS, "long": LONG_MS}
"""Of a pane, in ms."""

StoredFamily = Literal["fine", "long", "counters"]
PaneHour = tuple[StoredFamily, int]
"""Key of a pane delta: a family, and hours since the epoch (0 for the counters)."""
COUNTERS: Final[PaneHour] = ("counters", 0)

SEPARATOR: Final = "\x1f"
ALL: Final = "all"

Cell = tuple[str | None, ...]
"""Values in the order of DIMENSIONS; None is unknown."""
Grouping = tuple[str, ...]
"""Dimensions of a group: () for `all`, ("queue",), ("queue", "channel")."""


def kept_ms(family: Family, retention_ms: int) -> int:
    """Return how long a pane is kept; `retention_ms` is that of the rules."""
    return FINE_KEPT_MS if family == "fine" else retention_ms


def oldest(family: Family, now_ms: int, retention_ms: int) -> int:
    """Return the first pane that is still kept."""
    return (now_ms - kept_ms(family, retention_ms)) // WIDTH[family]


def is_kept(place: PaneHour, now_ms: int, retention_ms: int) -> bool:
    """Tell whether anything of an hour still is within its time to live."""
    family, hour = place
    return family == "counters" or hour >= (now_ms - kept_ms(family, retention_ms)) // HOUR


def groupings(pairs: tuple[tuple[str, ...], ...]) -> tuple[Grouping, ...]:
    """All groupings that are kept: `all`, each dimension, the configured pairs."""
    return ((), *((name,) for name in DIMENSIONS), *pairs)


def row_field(by: Grouping, cell: Cell) -> str:
    """The row a cell belongs to, e.g. "queue␟billing"; "all" for ()."""
    if not by:
        return ALL
    return SEPARATOR.join([",".join(by), *(cell[DIMENSIONS.index(name)] or UNKNOWN for name in by)])


def row_of(field: str) -> tuple[str, str]:
    """(by, key) as a reading names them: ("all", ""), ("queue", "b"), ("queue,channel", "b,voice")."""
    by, _, key = field.partition(SEPARATOR)
    return by, key.replace(SEPARATOR, ",")
