"""How much larger hourly panes by group would be if half hours were kept.

`python -m tests.benchmarks.half_hours` packs six hours of seeded contacts into long panes twice: as they
are, and with all times doubled, so that each half hour falls into a pane of its own. It prints the packed
bytes an hour of both, for three sizes of a center.
"""

from collections import defaultdict
from collections.abc import Iterator
from random import Random
from typing import Final

from streamer.events.counting_rules import HOUR
from streamer.metrics.tally import DURATIONS, NUMBER
from streamer.panes.fold import CommitDelta, Contribution
from streamer.panes.rollup import MERGE, Rollup

START: Final = 1_750_032_000_000
HOURS: Final = 6
CENTERS: Final = ((600, 100), (3_000, 400), (20_000, 1_500))
"""Contacts an hour, and agents."""
COMMIT_CONTACTS: Final = 500
_QUEUES: Final = 40
_COUNTS: Final = (
    "answered", "offered", "contacts", "answered_waited", "answered_within", "own_level_of", "own_level_hits",
    "fcr_contacts", "fcr_firsts", "fcr_kept",
)  # fmt: skip
_TIMES: Final = ("handle", "talk", "acw", "wait")


def contacts(per_hour: int, agents: int) -> Iterator[Contribution]:
    """Yield what six hours of contacts add; few queues have most of them."""
    random = Random(1)
    counts = tuple(item for name in _COUNTS for item in (NUMBER[name], 1))
    weights = [1 / (place + 1) for place in range(_QUEUES)]
    for _ in range(per_hour * HOURS):
        queue, agent = random.choices(range(_QUEUES), weights)[0], random.randrange(agents)
        reason = f"r{random.randrange(8)}"
        cell = (f"s{queue % 4}", f"q{queue}", f"t{agent % 12}", f"a{agent}", "voice", reason, "en")
        at = START + random.randrange(HOURS * HOUR)
        durations = tuple(
            item for name in _TIMES for item in (DURATIONS.index(name), random.randrange(1_000, 400_000))
        )
        yield Contribution(at, cell, counts, durations)


def long_bytes(contributions: list[Contribution], scale: int) -> int:
    """Return the packed bytes of the long panes, with times `scale` times as far apart."""
    rollup, deltas_by_hour = Rollup((("queue", "channel"),)), defaultdict[int, list[bytes]](list)
    for first in range(0, len(contributions), COMMIT_CONTACTS):
        chunk = sorted(contributions[first : first + COMMIT_CONTACTS])
        moved = [part._replace(time_ms=START + (part.time_ms - START) * scale) for part in chunk]
        for (family, hour), delta in rollup.deltas(CommitDelta([], moved, {}), 0).items():
            if family == "long":
                deltas_by_hour[hour].append(delta)
    return sum(len(MERGE["long"](deltas)) for deltas in deltas_by_hour.values())


def main() -> None:
    for per_hour, agents in CENTERS:
        contributions = [*contacts(per_hour, agents)]
        hours, halves = (long_bytes(contributions, scale) // HOURS for scale in (1, 2))
        print(
            f"{per_hour:>6} contacts an hour, {agents:>5} agents: {hours:,} bytes an hour by hours, "
            f"{halves:,} by half hours, {halves / hours - 1:.0%} more"
        )


if __name__ == "__main__":
    main()
