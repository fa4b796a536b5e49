"""Keys of panes: the two families of panes of event time, and the names of cells and group rows in the store.

Fine panes are 10 s wide and hold cells; long panes are an hour wide and hold group rows. A cell is one
combination of all dimensions. A group row is one group: `all`, one value of one dimension, or one of a
configured pair. The store keeps both by the hour, and beside them agents' time in states, by the hour too,
the index of what is live, and the plain counters.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

from streamer.events.counting_rules import HOUR, SECOND, UNKNOWN
from streamer.events.models import DIMENSIONS

FINE_MS: Final = 10 * SECOND
FINE_RETENTION_MS: Final = 50 * HOUR
LONG_MS: Final = HOUR
PANES_PER_HOUR: Final = HOUR // FINE_MS

Family = Literal["fine", "long"]
WIDTH: Final[dict[Family, int]] = {"fine": FINE_MS, "long": LONG_MS}
"""Width of a pane in ms."""

StoredFamily = Literal["fine", "long", "counters", "live", "time"]
PaneHour = tuple[StoredFamily, int]
"""Key of a pane delta in the store: a family, and hours since the epoch; of the families that have no hours,
the number of what they hold."""
COUNTERS: Final[PaneHour] = ("counters", 0)
LIVE_CONTACTS: Final[PaneHour] = ("live", 0)
LIVE_AGENTS: Final[PaneHour] = ("live", 1)
ORDERED_FAMILIES: Final[frozenset[StoredFamily]] = frozenset({"counters", "live"})
"""Families whose deltas mean something in the order of their commits alone. They are always kept, and always
read whole."""

SEPARATOR: Final = "\x1f"
ALL: Final = "all"

Cell = tuple[str | None, ...]
"""Values in the order of DIMENSIONS; None is unknown."""
Grouping = tuple[str, ...]
"""Dimensions of a group: () for `all`, ("queue",), ("queue", "channel")."""


def pane_retention_ms(family: StoredFamily, retention_ms: int) -> int:
    """Return the time in ms that a pane is kept; `retention_ms` is that of the counting rules."""
    return retention_ms if family == "long" else FINE_RETENTION_MS


def oldest_pane(family: Family, now_ms: int, retention_ms: int) -> int:
    """Return the number of the first pane that is still kept, counted since the epoch."""
    return (now_ms - pane_retention_ms(family, retention_ms)) // WIDTH[family]


def is_hour_kept(pane_hour: PaneHour, now_ms: int, retention_ms: int) -> bool:
    """Tell whether any pane of an hour is still kept.

    >>> is_hour_kept(("fine", 0), 50 * HOUR, HOUR), is_hour_kept(("fine", 0), 51 * HOUR, HOUR)
    (True, False)
    """
    family, hour = pane_hour
    return family in ORDERED_FAMILIES or hour >= (now_ms - pane_retention_ms(family, retention_ms)) // HOUR


def groupings(pairs: tuple[tuple[str, ...], ...]) -> tuple[Grouping, ...]:
    """Return all groupings that long panes hold: `all`, each dimension, the configured pairs."""
    return ((), *((name,) for name in DIMENSIONS), *pairs)


def row_field(by: Grouping, cell: Cell) -> str:
    r"""Return the name of the group row that a cell belongs to; "all" for the grouping ().

    >>> cell = ("north", "billing", None, "anna", "voice", None, None)
    >>> row_field(("queue",), cell), row_field(("queue", "team"), cell)
    ('queue\x1fbilling', 'queue,team\x1fbilling\x1funknown')
    """
    if not by:
        return ALL
    return SEPARATOR.join([",".join(by), *(cell[DIMENSIONS.index(name)] or UNKNOWN for name in by)])


def parse_row_field(field: str) -> tuple[str, str]:
    r"""Return the `by` and the `key` of a group row, as a reading names them.

    >>> parse_row_field("all"), parse_row_field("queue,channel\x1fbilling\x1fvoice")
    (('all', ''), ('queue,channel', 'billing,voice'))
    """
    by, _, values = field.partition(SEPARATOR)
    return by, format_key(values.split(SEPARATOR))


def format_key(values: Sequence[str]) -> str:
    r"""Return the key of a group: a single value as it is, those of a pair joined by a comma. Commas and
    backslashes within a pair's values are escaped, so that no two groups share a key.

    >>> format_key(["billing, Spain"])
    'billing, Spain'
    >>> print(format_key(["billing, Spain", "voice"]))
    billing\, Spain,voice
    """
    if len(values) == 1:
        return values[0]
    return ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in values)


def parse_key(key: str, size: int) -> list[str] | None:
    r"""Return the `size` values of a key that `format_key` made; None for any other text.

    >>> parse_key(r"billing\, Spain,voice", 2)
    ['billing, Spain', 'voice']
    >>> parse_key("billing, Spain,voice", 2) is None
    True
    """
    if size == 1:
        return [key]
    matched = _pattern_of_key(size).fullmatch(key)
    return None if matched is None else [_ESCAPED.sub(r"\1", value) for value in matched.groups()]


_ESCAPED: Final = re.compile(r"\\(.)")


@lru_cache
def _pattern_of_key(size: int) -> re.Pattern[str]:
    return re.compile(",".join([r"((?:[^,\\]|\\[,\\])*)"] * size))
