"""Reports: the days they are about, their figures against targets, and a page that is whole by itself."""

import csv
import io
from datetime import date
from html.parser import HTMLParser

import pytest

from streamer.events.counting_rules import DAY, HOUR
from streamer.metrics.tally import NUMBER, Tally
from streamer.panes.pane_keys import Cell
from streamer.readings.figure_report import FigureReport, ReportPeriod, read_report, report_verdict
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.readings.report_page import ReportWriter
from streamer.settings import ReportKind, ReportLanguage, ReportSettings, Settings
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane

SETTINGS = Settings(
    timezone="Europe/Madrid",
    min_sample=10,
    names={"queue": {"billing": "Billing <b>&</b> payments"}},
    report={"metrics": ["answered", "nps_score", "handle_time_seconds", "fcr_ratio", "waiting"]},
)


def surveyed(promoters: int, detractors: int) -> Tally:
    answers = {NUMBER["nps_10"]: promoters, NUMBER["nps_0"]: detractors}
    return {**answers, NUMBER["surveys"]: promoters + detractors}


async def told_reader() -> MetricsReader:
    """Friday 20 November 2026: 12:00 and 13:00 in Madrid; a week before: 12:00."""
    center = SmallCenter()
    noon = pane(23 * HOUR)  # of the day before NOW, Saturday 11:00:03
    quiet: Cell = cell("vip")
    await center.add(
        {
            (noon, cell()): answered(3, 90_000) | surveyed(5, 45),
            (noon - 360, cell("sales", "bob")): answered(2) | surveyed(60, 0),
            (noon, quiet): answered(1) | surveyed(1, 1),
            (noon - 7 * DAY // 10_000, cell()): answered(8),
        }
    )
    await center.beat(NOW)
    reader = MetricsReader(center.store, SETTINGS)
    await reader.refresh(NOW)
    return reader


async def told_report(kind: ReportKind = "daily") -> FigureReport:
    period = ReportPeriod.containing(kind, date(2026, 11, 20))
    return read_report(await told_reader(), period, SETTINGS.report, NOW)


@pytest.mark.parametrize(
    ("kind", "today", "period"),
    [
        ("daily", date(2026, 11, 21), "2026-11-20"),
        ("daily", date(2026, 3, 1), "2026-02-28"),
        ("weekly", date(2026, 11, 22), "2026-11-09 – 2026-11-15"),  # Sunday: the week is not over
        ("weekly", date(2026, 11, 23), "2026-11-16 – 2026-11-22"),
    ],
)
def test_a_report_is_about_the_last_days_that_are_over(kind: ReportKind, today: date, period: str) -> None:
    assert ReportPeriod.last_before(kind, today).title == period


async def test_a_daily_report_has_the_day_the_week_before_the_hours_and_the_groups() -> None:
    report = await told_report()
    assert [(one.metric, one.value, one.from_) for one in report.total[:2]] == [
        ("answered", 6, "2026-11-19T23:00:00Z"),
        ("nps_score", pytest.approx(100 * (66 - 46) / 112), "2026-11-19T23:00:00Z"),
    ]
    assert [one.value for one in report.before[:1]] == [8]
    hours = [one.value for one in report.course if one.metric == "answered"]
    assert (len(hours), hours[11:13], sum(filter(None, hours))) == (24, [2, 4], 6)
    verdicts = [(one.key, report_verdict(one, 10)) for one in report.groups if one.metric == "nps_score"]
    assert verdicts == [("billing", "missed"), ("sales", "met"), ("vip", "few")]
    assert {one.metric for one in report.total} == {"answered", "nps_score", "handle_time_seconds"}


async def test_a_weekly_report_has_days() -> None:
    report = await told_report("weekly")
    answered_days = [one for one in report.course if one.metric == "answered"]
    assert (len(answered_days), answered_days[4].value, report.total[0].value) == (6, 6, 6)


async def test_an_unknown_metric_is_named() -> None:
    period = ReportPeriod.containing("daily", date(2026, 11, 20))
    with pytest.raises(QueryError, match="metric = 'nonsense': expected one of"):
        read_report(await told_reader(), period, ReportSettings(metrics=["nonsense"]), NOW)


class PageReader(HTMLParser):
    """Reads tags and text; asserts that nothing is loaded and nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "b&")
        assert not {name for name, _ in attrs} & {"src", "href", "onload"}
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Daily report 2026-11-20", "Target", "17.9", "Handle time", "A week before"]),
        ("es", ["Informe diario 2026-11-20", "Objetivo", "17,9", "Colas"]),
        ("zh", ["日报 2026-11-20", "目标", "17.9", "队列"]),
    ],
)
async def test_a_page_is_whole_by_itself_in_each_language(language: ReportLanguage, words: list[str]) -> None:
    writer = ReportWriter(SETTINGS, language, lambda by, key: SETTINGS.names["queue"].get(key, key))
    report, page = await told_report(), PageReader()
    html = writer.page(report)
    page.feed(html)
    assert [word for word in words if word not in page.text] == []
    assert "Billing <b>&</b> payments" in page.text  # as text, not as markup
    assert page.tags.count("svg") == 3
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html
    assert "url(" not in html


async def test_the_file_has_every_reading_of_the_report() -> None:
    report = await told_report()
    rows = [*csv.DictReader(io.StringIO(report.csv().decode(), newline=""))]
    readings = [*report.total, *report.before, *report.course, *report.groups]
    assert [(row["metric"], row["by"], row["key"], row["window"], row["support"]) for row in rows] == [
        (one.metric, one.by, one.key, one.window, str(one.support)) for one in readings
    ]
    assert {"target", "lower", "upper", "complete"} <= rows[0].keys()
