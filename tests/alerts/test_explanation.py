"""An explanation says all that a verdict rests on, what is promised, and what would have to be."""

import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.opening_hours import format_hours as said_hours
from streamer.alerts.opening_hours import parse_hours
from streamer.alerts.reports.explanation import Explanation, explain_rule
from streamer.alerts.reports.rule_summary import false_alarm_promise
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.metrics.tally import NUMBER
from streamer.store.memory import MemoryStore
from tests.alerts.simulated import NOW, NPS, Drawn, by_key, days_ago, drawn, only, steady, watched, written

QUEUES = ["billing", "sales"]
DROP = {"kind": "drop", "metric": "nps_score"}
TARGET = {"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 20}
SILENCE = {"kind": "no_data", "metric": "offered", "by": "all"}


def fallen(queues: Sequence[str] = QUEUES, a_day: float = 200) -> Drawn:
    def chances(queue: str, hour: int) -> np.ndarray:
        bad = queue == "billing" and hour >= days_ago(1.5)
        return np.array([0.6, 0.3, 0.1] if bad else [0.2, 0.3, 0.5])

    return drawn(queues, a_day, NPS, chances)


async def center(*parts: Drawn, **rule: object) -> RuleEvaluator:
    return await watched(await written(*parts or [fallen()]), only(one=rule))


def only_one(watch: RuleEvaluator, key: str = "", at: int | None = None, now: int = NOW) -> Explanation:
    (found,) = explain_rule(watch, watch.rules[0], key, now, at)
    return found


@pytest.mark.parametrize("at", [None, NOW - 20 * HOUR, NOW // HOUR * HOUR - 3 * DAY])
@pytest.mark.parametrize("rule", [DROP, TARGET, SILENCE], ids=["drop", "target", "silence"])
async def test_it_says_of_every_group_what_the_watch_says(rule: dict[str, object], at: int | None) -> None:
    offered = drawn(QUEUES, 400, (NUMBER["offered"],), steady(1.0))
    watch = await center(fallen(), offered, **rule)
    found = explain_rule(watch, watch.rules[0], None, NOW, at)
    judged = by_key(watch, at=at)
    assert {one.key: (one.state, one.reason, one.figures) for one in found} == {
        key: (one.verdict.state, one.verdict.reason, one.verdict.figures) for key, one in judged.items()
    }
    assert [only_one(watch, one.key, at) for one in found] == found
    assert msgspec.json.decode(msgspec.json.encode(found), type=list[Explanation]) == found


async def test_of_a_group_that_nobody_knows_there_is_nothing_to_be_said() -> None:
    for rule in (DROP, TARGET, SILENCE):
        watch = await center(fallen(), **rule)
        assert explain_rule(watch, watch.rules[0], "biling", NOW) == []
    empty = await watched(MemoryStore(), only(one=DROP))
    assert explain_rule(empty, empty.rules[0], None, NOW) == []


# Drops.


async def test_evidence_of_a_drop_rises_to_the_line_and_its_chart_ends_where_it_stands() -> None:
    found = only_one(await center(**DROP), "billing")
    chart, figures = found.chart, found.figures
    assert chart is not None
    assert figures.evidence is not None
    assert (found.state, chart.of, chart.line) == ("fires", "evidence", figures.line)
    assert chart.points[-1].value == figures.evidence
    assert len(chart.points) <= 240
    assert [*chart.points] == sorted(chart.points, key=lambda point: point.at)
    since = [point for point in chart.points if point.at >= NOW - 1.6 * DAY]
    assert max(point.value or 0 for point in chart.points if point not in since) < (chart.line or 0)
    assert max(point.value or 0 for point in since) >= (chart.line or 0)
    assert (
        found.needed
        == f"It is over once the evidence is below {chart.over:.3g}: it is at {figures.evidence:.3g}."
    )


async def test_where_nothing_fell_it_says_how_soon_drops_would_be_noticed() -> None:
    even = drawn(QUEUES, 200, NPS, steady(0.2, 0.3, 0.5), seed=2)
    found = only_one(await center(even, **DROP), "sales")
    assert found.state == "holds"
    match = re.fullmatch(
        r"It fires at an evidence of [\d.]+: it is at [\d.]+\. After a drop to (−?\d+) it would fire "
        r"within about ([\d,]+) answers, to (−?\d+) within about ([\d,]+) answers\.",
        found.needed,
    )
    assert match is not None
    small, late, large, soon = (int(one.replace("−", "-").replace(",", "")) for one in match.groups())
    assert 30 > small > large
    assert late > soon > 5


async def test_what_is_usual_is_said_with_what_it_was_learned_of() -> None:
    part = fallen()
    learned = only_one(await center(part, **DROP), "sales").learned
    assert learned is not None
    first, last = learned.since // HOUR - part.first, learned.until // HOUR - part.first
    assert learned.observations == part.counts[first:last, 1].sum()
    assert learned.value == pytest.approx(30, abs=4)
    assert learned.until == NOW // DAY * DAY - 14 * DAY
    assert learned.an_hour == pytest.approx(200 / 24 * 1.7, rel=0.2)  # in the middle of the morning
    assert learned.a_month == pytest.approx(learned.observations / (last - first) * 730.5)


async def test_of_too_few_to_learn_from_it_says_how_many_are_missing() -> None:
    found = only_one(await center(fallen(a_day=3), **DROP), "sales")
    assert (found.state, found.chart) == ("no_baseline", None)
    assert found.learned is not None
    missing = 300 - found.learned.observations
    assert found.needed.startswith(f"It is evaluated once the baseline has {missing} more observations")


# Targets.


async def test_the_chart_of_a_target_is_its_figure_and_interval_over_a_day() -> None:
    found = only_one(await center(**TARGET), "billing")
    chart, figures = found.chart, found.figures
    assert chart is not None
    assert (found.state, chart.of, chart.line, len(chart.points)) == ("fires", "score", 20, 48)
    last = chart.points[-1]
    assert (last.at, last.value, last.lower, last.upper) == (NOW, figures.value, figures.lower, figures.upper)
    assert {after.at - before.at for before, after in zip(chart.points, chart.points[1:], strict=False)} == {
        30 * MINUTE
    }
    assert found.needed == "It is over once the figure is at 20 again."


async def test_what_chance_may_explain_is_said_with_what_would_decide() -> None:
    watch = await center(drawn(QUEUES, 200, NPS, steady(0.27, 0.3, 0.43)), **TARGET)
    found = only_one(watch, "billing")
    assert found.state == "unclear"
    match = re.fullmatch(
        r"It fires where the whole interval lies below 20: with (\d+) answers, at about (−?\d+); or with "
        r"about ([\d,]+) answers that are no better\.",
        found.needed,
    )
    assert match is not None
    assert int(match[1]) == found.figures.support
    assert int(match[2].replace("−", "-")) < (found.figures.value or 0)
    assert int(match[3].replace(",", "")) > found.figures.support


async def test_of_a_group_without_an_answer_in_the_window_its_target_is_explained() -> None:
    part = fallen()
    counts = part.counts.copy()
    counts[-30:, 1] = 0
    found = only_one(await center(part._replace(counts=counts), **TARGET), "sales")
    assert found.state == "few"
    assert found.reason.startswith("NPS of sales has no data in the last 24")
    assert found.needed == "It is evaluated from 20 answers on: 20 more."


# Silence.


async def test_silence_is_explained_by_hours_and_by_when_it_would_fire() -> None:
    part = drawn(QUEUES, 400, (NUMBER["offered"],), steady(1.0))
    found = only_one(await center(part, **SILENCE))
    assert found.chart is not None
    assert (found.state, found.chart.of, len(found.chart.points)) == ("holds", "events", 24)
    came = [point.value or 0.0 for point in found.chart.points]
    assert came == part.counts[-24:].sum(axis=(1, 2)).tolist()
    assert sum(point.usual or 0.0 for point in found.chart.points) == pytest.approx(sum(came), rel=0.2)
    match = re.search(
        r"about (\d+) contacts are usual: at (\d\d):(\d\d), if none comes until then\.$", found.needed
    )
    assert match is not None
    fires_at = NOW // DAY * DAY + int(match[2]) * HOUR + int(match[3]) * MINUTE
    assert NOW < fires_at < NOW + 2 * HOUR


@pytest.mark.parametrize(("past", "state"), [(-2, "holds"), (2, "fires")])
async def test_silence_fires_at_the_minute_that_was_said(past: int, state: str) -> None:
    part = drawn(QUEUES, 60, (NUMBER["offered"],), steady(1.0))
    counts = part.counts.copy()
    counts[-4:] = 0
    watch = await center(part._replace(counts=counts), **SILENCE)
    asked = NOW // HOUR * HOUR - 2 * HOUR - 55 * MINUTE
    said = only_one(watch, at=asked)
    match = re.search(r"at (\d\d):(\d\d), if none", said.needed)
    assert said.state == "holds"
    assert match is not None
    then = NOW // DAY * DAY + int(match[1]) * HOUR + int(match[2]) * MINUTE
    assert asked < then < NOW
    assert by_key(watch, at=then + past * MINUTE)[""].verdict.state == state


# What is promised.


def test_hours_are_said_by_runs_of_days() -> None:
    assert said_hours(parse_hours({})) == "always"
    assert said_hours(parse_hours({"mon-fri": "08:00-20:00", "sat": "22:00-02:00"})) == (
        "Mon-Fri 08:00-20:00, Sat 22:00-02:00"
    )
    assert said_hours(parse_hours({"sun": "00:00-24:00"})) == "Sun 00:00-24:00"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one a month at most, of each of the queues"),
        ({"shared": True}, "one a month at most, of all queues together"),
        ({"false_alarms": 4, "key": "sales"}, "4 a month at most"),
        ({"false_alarms": 0.5, "by": "all"}, "one in 2 months at most"),
    ],
)
def test_false_alarms_are_promised_in_words(given: dict[str, object], said: str) -> None:
    (rule,) = load_alert_rules(only(one=DROP | given))
    assert false_alarm_promise(rule) == said


async def test_terms_are_the_settings_by_the_names_they_have_in_the_file() -> None:
    found = only_one(
        await center(**TARGET | {"for": "2m", "min_sample": 30, "severity": "critical"}), "sales"
    )
    terms = {term.name: term.words for term in found.terms}
    assert terms["target"] == "at least 20"
    assert terms["for"] == "notified once it lasts 2 min"
    assert terms["clear"] == "over once it is fine for 5 min"
    assert (terms["severity"], terms["least_support"]) == (
        "critical",
        "30 answers at least, or there is no verdict",
    )


async def test_out_of_hours_it_says_when_it_is_judged_again() -> None:
    watch = await center(**DROP | {"hours": {"mon-fri": "08:00-20:00"}})  # it is a Saturday
    found = only_one(watch, "billing")
    assert found.state == "closed"
    assert found.needed == "It is evaluated again in the hours of operation: Mon-Fri 08:00-20:00."


async def test_of_data_that_is_old_it_says_so() -> None:
    found = only_one(await center(**DROP), "billing", now=NOW + 2 * MINUTE)
    assert (found.state, found.needed) == ("no_data", "It is evaluated again once the data is complete.")
