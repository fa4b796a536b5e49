"""The command that writes a report by hand."""

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from streamer.delivery.command_reader import open_reader
from streamer.delivery.report_sender import render_report, write_report
from streamer.readings.figure_report import ReportPeriod
from streamer.readings.query import QueryError
from streamer.settings import ReportKind, Settings


async def run_report(
    settings: Settings,
    now_ms: int,
    kind: ReportKind,
    day: str | None,
    folder: Path,
    changes: Mapping[str, str],
) -> list[Path]:
    """Write the report of a day, by default the last that is over, and return the paths. `changes`: settings
    of [report] in place of those there are. Raise QueryError."""
    period = _period(kind, day, datetime.fromtimestamp(now_ms / 1000, ZoneInfo(settings.timezone)).date())
    own = settings.report.model_copy(update=dict(changes))
    settings = settings.model_copy(update={"report": own})
    async with open_reader(settings, now_ms) as (_, reader, store_now_ms):
        return write_report(folder, render_report(reader, settings, period, own.language, store_now_ms))


def _period(kind: ReportKind, day: str | None, today: date) -> ReportPeriod:
    if day is None:
        return ReportPeriod.last_before(kind, today)
    try:
        return ReportPeriod.containing(kind, date.fromisoformat(day))
    except ValueError:
        raise QueryError(f"date = {day!r}: expected a day such as {today}") from None
