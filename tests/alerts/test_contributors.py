"""Which parts of a figure moved it: adds up exactly, and names who did it, nobody else."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.alerts.messages.contributors import (
    MAX_NAMED,
    SubgroupSums,
    bonferroni_z,
    largest_contributors,
    subgroup_effects,
    sum_observations,
)
from streamer.alerts.messages.observation_sum import NO_OBSERVATIONS, ObservationSum, count_weights
from streamer.metrics.catalogue import CATALOGUE, Metric, evaluate_metric
from streamer.metrics.formulas import NO_DATA, ReadingContext, TallyCounts
from streamer.metrics.intervals import Interval
from streamer.metrics.tally import FIRST_BUCKET, NUMBER, Tally

scores = st.lists(st.sampled_from([-100.0, 0.0, 100.0]), max_size=12)


def observed(values: Sequence[float]) -> ObservationSum:
    return ObservationSum(len(values), sum(values), sum(value * value for value in values))


@st.composite
def divisions(draw: st.DrawFn) -> list[tuple[list[float], list[float]]]:
    """Draw the observations of each subgroup, now and before."""
    return draw(st.lists(st.tuples(scores, scores), min_size=1, max_size=6))


def parts(
    division: Sequence[tuple[Sequence[float], Sequence[float]]], dimension: str = "team"
) -> list[SubgroupSums]:
    return [
        SubgroupSums(dimension, f"{dimension} {number}", observed(now), observed(before))
        for number, (now, before) in enumerate(division)
    ]


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def joined(division: Sequence[tuple[Sequence[float], Sequence[float]]], side: int) -> list[float]:
    return [value for part in division for value in part[side]]


# The algebra.


@given(divisions())
def test_what_the_parts_did_adds_up_to_what_the_whole_did(
    division: list[tuple[list[float], list[float]]],
) -> None:
    now, before, found = (
        mean(joined(division, 0)),
        mean(joined(division, 1)),
        subgroup_effects(parts(division)),
    )
    if now is None or before is None:
        assert found == []
    else:
        assert sum(one.moved_by for one in found) == pytest.approx(now - before, abs=1e-9)


@given(divisions())
def test_each_part_did_what_was_observed_in_it_did(division: list[tuple[list[float], list[float]]]) -> None:
    """An oracle: each observation moved the whole by its distance from the mean before, by their number."""
    now, before = joined(division, 0), joined(division, 1)
    base = mean(before)
    for one, (new, old) in zip(subgroup_effects(parts(division)), division, strict=bool(now and before)):
        assert base is not None
        expected = sum((value - base) / len(now) for value in new)
        expected -= sum((value - base) / len(before) for value in old)
        assert one.moved_by == pytest.approx(expected, abs=1e-9)


@given(st.data(), divisions())
def test_the_order_of_the_parts_does_not_matter(
    data: st.DataObject, division: list[tuple[list[float], list[float]]]
) -> None:
    given_parts = parts(division)
    shuffled = data.draw(st.permutations(given_parts))
    one = {found.subgroup.key: (found.moved_by, found.apart_z) for found in subgroup_effects(given_parts)}
    other = {found.subgroup.key: (found.moved_by, found.apart_z) for found in subgroup_effects(shuffled)}
    assert one.keys() == other.keys()
    for key, (by, z) in one.items():
        assert other[key][0] == pytest.approx(by, abs=1e-9)
        assert other[key][1] == pytest.approx(z, abs=1e-6)


@given(divisions())
def test_two_parts_told_as_one_did_what_both_did(division: list[tuple[list[float], list[float]]]) -> None:
    apart = subgroup_effects(parts(division))
    merged = [(division[0][0] + division[-1][0], division[0][1] + division[-1][1]), *division[1:-1]]
    together = subgroup_effects(parts(merged if len(division) > 1 else division))
    if apart:
        both = apart[0].moved_by + (apart[-1].moved_by if len(division) > 1 else 0)
        assert together[0].moved_by == pytest.approx(both, abs=1e-9)


def test_of_nothing_before_it_is_compared_with_the_target() -> None:
    found = subgroup_effects(parts([([100.0] * 6, []), ([-100.0] * 2, [])]), reference=70)
    assert [one.moved_by for one in found] == [pytest.approx(22.5), pytest.approx(-42.5)]
    assert subgroup_effects(parts([([100.0], [])])) == []


def test_of_nothing_now_nobody_moved_anything() -> None:
    assert subgroup_effects(parts([([], [100.0])]), reference=50) == []


# Who is named.


def drawn(chance: np.random.Generator, of: int, up: float, down: float) -> list[float]:
    return [*map(float, chance.choice([100.0, 0.0, -100.0], of, p=[up, 1 - up - down, down]))]


def test_the_team_that_fell_is_named_and_no_other() -> None:
    chance = np.random.default_rng(1)
    before = [drawn(chance, 300, 0.5, 0.2) for _ in range(5)]
    now = [drawn(chance, 60, 0.5, 0.2) for _ in range(4)] + [drawn(chance, 60, 0.1, 0.7)]
    found = largest_contributors([parts([*zip(now, before, strict=True)])], "higher")
    assert [one.effect.subgroup.key for one in found] == ["team 4"]
    assert found[0].effect.moved_by < -10


def test_a_part_that_was_always_bad_and_now_is_more_of_all_is_named() -> None:
    division = [([100.0] * 50, [100.0] * 180), ([-100.0] * 50, [-100.0] * 20)]
    (one,) = largest_contributors([parts(division)], "higher")
    assert (one.effect.subgroup.key, one.apart) == ("team 1", True)
    assert one.effect.moved_by == pytest.approx(-0.5 * 180 + 0.1 * 180)


def test_of_a_metric_where_lower_is_better_it_is_who_rose() -> None:
    chance = np.random.default_rng(2)
    before = [chance.gamma(4, 60, 400).tolist() for _ in range(3)]
    now = [chance.gamma(4, 60, 80).tolist() for _ in range(2)] + [chance.gamma(4, 90, 80).tolist()]
    found = largest_contributors([parts([*zip(now, before, strict=True)])], "lower")
    assert [one.effect.subgroup.key for one in found] == ["team 2"]
    assert found[0].effect.moved_by > 0


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_only_part_is_the_whole_and_is_not_named(better: str) -> None:
    assert largest_contributors([parts([([-100.0] * 90, [100.0] * 90)])], better) == []


def test_where_all_fell_alike_the_largest_are_named_and_none_stands_out() -> None:
    sizes = (100, 160, 120, 140)
    division = [([-100.0, 0.0] * size, [100.0, 0.0] * 4 * size) for size in sizes]
    found = largest_contributors([parts(division)], "higher")
    assert [(one.effect.subgroup.key, one.apart) for one in found] == [
        ("team 1", False),
        ("team 3", False),
        ("team 2", False),
    ]


def test_that_all_is_of_one_channel_does_not_make_it_harder_to_stand_out() -> None:
    chance = np.random.default_rng(6)
    division = [(drawn(chance, 60, 0.5, 0.2), drawn(chance, 300, 0.5, 0.2)) for _ in range(4)]
    now, before = joined(division, 0), joined(division, 1)
    one_channel = [parts([(now, before)], f"channel {number}") for number in range(500)]
    for bad in range(8, 30):
        worse = parts([*division, ([-100.0] * bad, [100.0, -100.0] * 150)])
        assert largest_contributors([worse], "higher") == largest_contributors(
            [worse, *one_channel], "higher"
        )


@pytest.mark.parametrize(("size", "named"), [(900, ["team 0"]), (901, [])])
def test_what_is_nearly_all_is_not_named_where_all_fell_alike(size: int, named: list[str]) -> None:
    division = [([-100.0] * many, [100.0] * many) for many in (size, 999 - size, 1)]
    found = [one.effect.subgroup.key for one in largest_contributors([parts(division)], "higher")]
    assert [key for key in found if key == "team 0"] == named


def test_that_abandoned_contacts_have_no_team_does_not_make_it_one() -> None:
    """Hits only where somebody answered, who has a team."""
    unknown = SubgroupSums("team", "unknown", ObservationSum(60, 0, 0), ObservationSum(20, 0, 0))
    teams = [
        SubgroupSums("team", name, ObservationSum(40, 38, 38), ObservationSum(200, 190, 190))
        for name in ("red", "blue")
    ]
    by_team = [unknown, *teams]
    assert min(subgroup_effects(by_team), key=lambda one: one.moved_by).subgroup.key == "unknown"
    assert largest_contributors([by_team], "higher") == []


def test_of_what_has_no_name_nothing_is_said_where_all_fell_alike() -> None:
    division = parts([([-100.0, 0.0] * 100, [100.0, 0.0] * 400) for _ in range(2)])
    named = [division[0]._replace(key="unknown"), division[1]]
    assert [one.effect.subgroup.key for one in largest_contributors([named], "higher")] == ["team 1"]


@pytest.mark.parametrize(("before", "expected"), [(50, -70.0), (0, -60.0), (-10, -60.0)])
def test_what_missed_its_target_before_is_compared_with_the_target(before: int, expected: float) -> None:
    """The target is 0, missed by 60 now: a subgroup that was better before fell from there."""
    was = [float(before)] * 300
    bad, good = [-100.0] * 300, [-20.0] * 300
    found = largest_contributors([parts([(bad, was), (good, was)])], "higher", reference=0)
    assert [one.effect.subgroup.key for one in found] == ["team 0"]
    assert found[0].effect.moved_by == pytest.approx(0.5 * (-100 - max(before, 0)))
    assert sum(one.moved_by for one in subgroup_effects(parts([(bad, was), (good, was)]))) == pytest.approx(
        -60 - before
    )
    assert expected < 0


@pytest.mark.parametrize(("bad", "named"), [(4, False), (16, True)])
def test_a_handful_is_not_named_however_bad(bad: int, named: bool) -> None:
    chance = np.random.default_rng(3)
    rest = [(drawn(chance, 100, 0.6, 0.2), drawn(chance, 500, 0.6, 0.2)) for _ in range(4)]
    found = largest_contributors([parts([*rest, ([-100.0] * bad, [100.0] * 20)])], "higher")
    assert ("team 4" in [one.effect.subgroup.key for one in found if one.apart]) is named


@pytest.mark.parametrize(("of", "named"), [(4, False), (5, True)])
def test_of_fewer_than_everybody_may_see_nothing_is_said(of: int, named: bool) -> None:
    steady = ([0.0] * 400, [0.0] * 400)
    found = largest_contributors([parts([steady, ([-100.0] * of, [0.0] * 400)])], "higher")
    assert bool(found) is named


def test_one_contact_that_took_a_day_does_not_name_its_team() -> None:
    chance = np.random.default_rng(4)
    calm = [(chance.gamma(4, 60, 80).tolist(), chance.gamma(4, 60, 400).tolist()) for _ in range(4)]
    odd = ([*chance.gamma(4, 60, 80).tolist(), 86_400.0], chance.gamma(4, 60, 400).tolist())
    division = [*calm, odd]
    assert max(subgroup_effects(parts(division)), key=lambda one: one.moved_by).subgroup.key == "team 4"
    assert largest_contributors([parts(division)], "lower") == []


def test_where_nothing_changed_hardly_anybody_is_named() -> None:
    """At most one of twenty among 400 alerts by chance alone has a subgroup that stands out."""
    chance, named = np.random.default_rng(5), 0
    for _ in range(400):
        division = [(drawn(chance, 40, 0.5, 0.2), drawn(chance, 200, 0.5, 0.2)) for _ in range(10)]
        named += any(one.apart for one in largest_contributors([parts(division)], "higher"))
    assert named <= 28  # the 97.5 % quantile of 400 at 0.05


def test_the_three_that_did_most_are_named_the_largest_first() -> None:
    still = [([100.0, 0.0] * 60, [100.0, 0.0] * 240)] * 4
    worse = [([-100.0] * 30 * size, [100.0, 0.0] * 60 * size) for size in (2, 4, 1, 3)]
    found = largest_contributors([parts([*still, *worse])], "higher")
    assert [one.effect.subgroup.key for one in found] == ["team 5", "team 7", "team 4"]
    assert len(found) == MAX_NAMED


def test_the_same_contacts_under_another_name_are_named_once() -> None:
    division = [([100.0, 0.0] * 60, [100.0, 0.0] * 240), ([-100.0] * 40, [100.0, 0.0] * 80)]
    found = largest_contributors([parts(division, "team"), parts(division, "site")], "higher")
    assert [one.effect.subgroup.dimension for one in found] == ["team"]


@pytest.mark.parametrize(("of", "z"), [(1, 1.645), (10, 2.576), (1000, 3.891)])
def test_the_more_parts_the_surer_one_must_be(of: int, z: float) -> None:
    assert bonferroni_z(of) == pytest.approx(z, abs=0.001)


# Amounts.

COUNTED: dict[str, Tally] = {
    "nps_score": {NUMBER["nps_3"]: 4, NUMBER["nps_8"]: 2, NUMBER["nps_10"]: 7},
    "csat_mean": {NUMBER["csat_2"]: 4, NUMBER["csat_5"]: 3},
    "csat_ratio": {NUMBER["csat_2"]: 4, NUMBER["csat_5"]: 3},
    "ces_score": {NUMBER["ces_1"]: 1, NUMBER["ces_7"]: 2},
    "abandon_ratio": {NUMBER["abandoned"]: 2, NUMBER["offered"]: 9},
    "service_level_ratio": {NUMBER["own_level_hits"]: 5, NUMBER["own_level_of"]: 8},
    "handle_time_seconds": {
        NUMBER["handle_n"]: 3,
        NUMBER["handle_ms"]: 61_500,
        NUMBER["handle_s2"]: 1_500,
        FIRST_BUCKET + 7: 3,
    },
    "qa_score": {NUMBER["qa"]: 2, NUMBER["qa_sum"]: 15_500, NUMBER["qa_squares"]: 12_100},
}


def ordinary_interval(metric: Metric, amount: ObservationSum) -> Interval | None:
    mean = metric.formula.mean
    assert mean is not None
    figure = mean.figure(mean.sample_of(*amount))
    return None if figure.lower is None or figure.upper is None else Interval(figure.lower, figure.upper)


@pytest.mark.parametrize("name", COUNTED)
def test_an_amount_says_the_same_as_the_metric_s_own_formula(name: str) -> None:
    metric, tally = CATALOGUE[name], COUNTED[name]
    found = count_weights(metric)
    assert found is not None
    adds = [found[:, number] * many for number, many in tally.items() if number < FIRST_BUCKET]
    amount = ObservationSum(*np.sum(adds, axis=0).tolist())
    figure, sure = (
        evaluate_metric(metric, "", TallyCounts(tally), ReadingContext(1.0)),
        ordinary_interval(metric, amount),
    )
    assert amount.mean == pytest.approx(figure.value)
    assert round(amount.size) == figure.support
    assert sure is not None
    assert list(sure) == pytest.approx([figure.lower, figure.upper])


def test_of_nothing_there_is_neither_mean_nor_interval() -> None:
    for name in COUNTED:
        assert ordinary_interval(CATALOGUE[name], NO_OBSERVATIONS) is None
    assert NO_OBSERVATIONS.mean is NO_DATA.value
    assert sum_observations([]) == NO_OBSERVATIONS


@pytest.mark.parametrize("name", ["offered", "workload_erlangs", "value_at_risk", "fcr_maturity_ratio"])
def test_what_is_no_mean_has_no_amounts(name: str) -> None:
    assert count_weights(CATALOGUE[name]) is None
