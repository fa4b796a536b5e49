"""Observations divide by each dimension as they were written; in hours as far as groups are counted."""

import numpy as np
import pytest

from streamer.alerts.messages.compared_panes import ComparedPanes
from streamer.alerts.messages.contributors import SubgroupSums
from streamer.alerts.messages.divisions import DIVIDING_DIMENSIONS, AlertGroup, CellDivisions, HourDivisions
from streamer.alerts.messages.observation_sum import ObservationSum, count_weights
from streamer.alerts.statistics.evidence import Floats
from streamer.events import models
from streamer.events.counting_rules import HOUR, UNKNOWN
from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.tally import FIRST_BUCKET_OF, NUMBER
from streamer.panes.pane_keys import ALL, FINE_MS
from streamer.readings.reader import MetricsReader
from tests.pane_deltas import PaneTallies
from tests.readings.small_center import NOW, SmallCenter, new_reader

METRIC = CATALOGUE["nps_score"]
LAST = NOW // FINE_MS + 1
FIRST, MIDDLE = LAST - 20 * 360, LAST - 5 * 360
FINE = ComparedPanes("fine", FIRST, MIDDLE, LAST)
LONG = ComparedPanes("long", NOW // HOUR - 15, NOW // HOUR - 4, NOW // HOUR + 1)
"""Whole hours; of those that are written."""


def nps() -> Floats:
    found = count_weights(METRIC)
    assert found is not None
    return found


def written(seed: int = 1) -> PaneTallies:
    """Answers in 400 cells, with counts that do not matter here beside them."""
    chance, found = np.random.default_rng(seed), PaneTallies()
    names = {"site": 2, "queue": 3, "team": 4, "agent": 9, "channel": 2, "reason": 5, "language": 2}
    for _ in range(400):
        drawn = {name: int(chance.integers(-1, many)) for name, many in names.items()}
        cell = tuple(None if drawn[one] < 0 else f"{one} {drawn[one]}" for one in models.DIMENSIONS)
        score = NUMBER[f"nps_{chance.integers(0, 11)}"]
        place = (int(chance.integers(FIRST - 360, LAST)), cell)
        found[place] = {score: int(chance.integers(1, 4)), NUMBER["offered"]: 1, FIRST_BUCKET_OF["handle"]: 1}
    return found


async def center(tallies: PaneTallies) -> MetricsReader:
    one = SmallCenter()
    await one.add(tallies)
    return await new_reader(one)


def cells(reader: MetricsReader) -> CellDivisions:
    return CellDivisions(reader, nps(), FIRST - 360, LAST)


def key_of(by: str, cell: tuple[str | None, ...]) -> str:
    if by == ALL:
        return ""
    return ",".join(cell[models.DIMENSIONS.index(name)] or UNKNOWN for name in by.split(","))


def expected(
    tallies: PaneTallies, by: str, first: int, last: int, within: AlertGroup
) -> dict[str, ObservationSum]:
    """An oracle: answer by answer."""
    found: dict[str, ObservationSum] = {}
    for (pane, cell), tally in tallies.items():
        if first <= pane < last and key_of(within.by, cell) == within.key:
            for number, amount in tally.items():
                score = number - NUMBER["nps_0"]
                if 0 <= score <= 10:
                    value = 100.0 if score >= 9 else -100.0 if score <= 6 else 0.0
                    more = ObservationSum(amount, value * amount, value * value * amount)
                    key = key_of(by, cell)
                    found[key] = found.get(key, ObservationSum(0, 0, 0)).plus(more)
    return found


def sides(division: list[SubgroupSums]) -> tuple[dict[str, ObservationSum], dict[str, ObservationSum]]:
    now = {part.key: part.now for part in division if part.now.size}
    return now, {part.key: part.before for part in division if part.before.size}


GROUPS = [
    AlertGroup(ALL, ""),
    AlertGroup("queue", "queue 1"),
    AlertGroup("queue,channel", "queue 0,channel 1"),
    AlertGroup("agent", "agent 3"),
]


@pytest.mark.parametrize("group", GROUPS)
async def test_cells_divide_as_they_were_written(group: AlertGroup) -> None:
    tallies = written()
    found = cells(await center(tallies))
    divisions = [*found.divide(group, FINE)]
    own = group.by.split(",")
    assert [division[0].dimension for division in divisions] == [
        one for one in DIVIDING_DIMENSIONS if one not in own
    ]
    for division in divisions:
        now, before = sides(division)
        assert now == expected(tallies, division[0].dimension, MIDDLE, LAST, group)
        assert before == expected(tallies, division[0].dimension, FIRST, MIDDLE, group)
    (of_all,) = expected(tallies, ALL, MIDDLE, LAST, group).values()
    assert found.total(group, MIDDLE, LAST) == of_all


def test_no_figure_is_divided_by_agent() -> None:
    assert "agent" not in DIVIDING_DIMENSIONS
    assert {*DIVIDING_DIMENSIONS, "agent"} == set(models.DIMENSIONS)


@pytest.mark.parametrize(
    ("group", "divided"),
    [
        (AlertGroup(ALL, ""), list(DIVIDING_DIMENSIONS)),
        (AlertGroup("queue", "queue 1"), ["channel"]),
        (AlertGroup("channel", "channel 1"), ["queue"]),
        (AlertGroup("team", "team 1"), []),
        (AlertGroup("queue,channel", "queue 1,channel 1"), []),
    ],
)
async def test_hours_divide_as_far_as_groups_are_counted(group: AlertGroup, divided: list[str]) -> None:
    tallies = written()
    found = HourDivisions(await center(tallies), nps())
    divisions = [*found.divide(group, LONG)]
    assert [division[0].dimension for division in divisions] == divided
    middle, last = LONG.middle * 360, LONG.last * 360
    for division in divisions:
        now, before = sides(division)
        assert now == expected(tallies, division[0].dimension, middle, last, group)
        assert before == expected(tallies, division[0].dimension, LONG.first * 360, middle, group)
    (of_all,) = expected(tallies, ALL, middle, last, group).values()
    assert found.total(group, LONG.middle, LONG.last) == of_all


@pytest.mark.parametrize("group", [AlertGroup("queue", "queue 9"), AlertGroup("team", "nobody knows it")])
async def test_of_a_group_that_nobody_knows_there_is_nothing(group: AlertGroup) -> None:
    reader = await center(written())
    for found, stretch in ((cells(reader), FINE), (HourDivisions(reader, nps()), LONG)):
        assert not any(part for division in found.divide(group, stretch) for part in division)
        assert found.total(group, stretch.middle, stretch.last).size == 0


async def test_of_an_empty_center_there_is_nothing() -> None:
    reader = await center({})
    for found, stretch in ((cells(reader), FINE), (HourDivisions(reader, nps()), LONG)):
        assert not any(part for division in found.divide(GROUPS[0], stretch) for part in division)
        assert found.total(GROUPS[0], stretch.middle, stretch.last).size == 0
