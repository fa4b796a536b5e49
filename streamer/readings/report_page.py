"""Write a report as one HTML page that needs nothing else: charts are SVG, colours follow the reader's theme.

It is printed as it is read, and has no script.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from itertools import groupby
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from streamer.metrics.catalogue import CATALOGUE
from streamer.readings.display import NO_DATA, format_value
from streamer.readings.figure_report import FigureReport, report_verdict
from streamer.readings.interval_report import IntervalReading
from streamer.readings.report_chart import chart
from streamer.readings.report_words import localized_number, page_words
from streamer.settings import ReportLanguage, Settings

_SIGNS: Final = {"met": "✓", "missed": "▲", "unclear": "◆", "few": "○", "no_target": "", "no_data": ""}
_STYLE: Final = """
:root{color-scheme:light dark;--back:#fff;--text:#14181d;--quiet:#555d68;--line:#d4d9df;--met:#006b47;
--missed:#b42318;--unclear:#8a5a00;--own:#0b5cad;--band:#0b5cad33}
@media (prefers-color-scheme:dark){:root{--back:#0f1419;--text:#eef1f4;--quiet:#a3acb8;--line:#2c343d;
--met:#3ddc97;--missed:#ff8a75;--unclear:#ffc44d;--own:#8ab8ff;--band:#8ab8ff33}}
@media print{:root{--back:#fff;--text:#000;--quiet:#444;--line:#bbb;--met:#006b47;--missed:#b42318;
--unclear:#8a5a00;--own:#0b5cad;--band:#0b5cad33}section,tr{break-inside:avoid}}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--back);color:var(--text);
font:15px/1.45 system-ui,sans-serif}
h1{margin:0;font-size:1.6rem}h2{margin:2rem 0 .5rem;font-size:1.15rem}h3{margin:0;font-size:1rem}
p{margin:.25rem 0}.quiet,small,caption{color:var(--quiet)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:end;vertical-align:top}
th:first-child{text-align:start}thead th{color:var(--quiet);font-weight:600}small{display:block}
td b{white-space:nowrap}
.met b{color:var(--met)}.missed b{color:var(--missed)}.unclear b{color:var(--unclear)}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1.25rem}
svg{width:100%;height:auto}.line{fill:none;stroke:var(--own);stroke-width:2}.band{fill:var(--band)}
.target{stroke:var(--text);stroke-dasharray:2 4}.axis{stroke:var(--line)}.dot{fill:var(--own)}
svg text{fill:var(--quiet);font-size:11px}
"""


class ReportWriter(NamedTuple):
    """What a page is written with."""

    settings: Settings
    language: ReportLanguage
    name_of: Callable[[str, str], str]
    """The name of a grouping's key."""

    def say(self, path: str) -> str:
        """Return a word of the pages, by its path."""
        found = page_words(self.language)
        for name in path.split("."):
            found = found[name]
        return str(found)

    def value(self, number: float | None, unit: str) -> str:
        return localized_number(format_value(number, unit, self.settings.currency), self.language)

    def grouping(self, by: str) -> str:
        groups = page_words(self.language)["supervisor"]["groups"]
        return groups[by]["title"] if by in groups else " × ".join(
            groups.get(part, {}).get("single", part) for part in by.split(",")
        )  # fmt: skip

    def title(self, report: FigureReport) -> str:
        center = "" if self.settings.center == "default" else f"{self.settings.center}: "
        return f"{center}{self.say(f'report.{report.period.kind}')} {report.period.title}"

    def page(self, report: FigureReport) -> str:
        """Return the whole page."""
        title = escape(self.title(report))
        about = "report.about" if all(reading.complete for reading in report.total) else "report.partial"
        return "".join(
            (
                f'<!doctype html><html lang="{self.language}"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1">'
                f"<title>{title}</title><style>{_STYLE}</style></head><body><main>",
                f'<h1>{title}</h1><p class="quiet">{escape(self.say(about))} · ',
                f"{escape(self.settings.timezone)}</p>",
                self._total(report),
                f'<h2>{escape(self.say("supervisor.trend"))}</h2><div class="charts">',
                *self._charts(report),
                f"</div><h2>{escape(self.grouping(report.by))}</h2>",
                self._groups(report),
                "</main></body></html>",
            )
        )

    def _total(self, report: FigureReport) -> str:
        words = ("report.metric", "report.value", "supervisor.target", "supervisor.interval")
        head = [*map(self.say, words), self.say("report.sample"), self.say("report.before")]
        rows = []
        for place, reading in enumerate(report.total):
            before = report.before[place].value if place < len(report.before) else None
            verdict = self._verdict(reading)
            cells = (
                self.value(reading.target, reading.unit),
                self._interval(reading),
                localized_number(f"{reading.support:,}", self.language),
                self.value(before, reading.unit),
            )
            rows.append(
                f'<tr><th scope="row">{escape(self._metric(reading.metric))}</th>'
                f'<td class="{verdict}"><b>{self._marked(reading)}</b></td>'
                f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
            )
        return _table(head, rows)

    def _groups(self, report: FigureReport) -> str:
        """Return a table with a row for each group and a column for each metric."""
        metrics = [*dict.fromkeys(reading.metric for reading in report.groups)]
        by_key: dict[str, dict[str, IntervalReading]] = {}
        for reading in report.groups:
            by_key.setdefault(reading.key, {})[reading.metric] = reading
        rows = [
            f'<tr><th scope="row">{escape(self.name_of(report.by, key))}</th>'
            f"{''.join(self._cell(found.get(metric)) for metric in metrics)}</tr>"
            for key, found in sorted(by_key.items(), key=lambda item: self.name_of(report.by, item[0]))
        ]
        return _table([self.grouping(report.by), *map(self._metric, metrics)], rows)

    def _cell(self, reading: IntervalReading | None) -> str:
        if reading is None:
            return f"<td>{NO_DATA}</td>"
        target = self.say("supervisor.target")
        details = [self._interval(reading)] if reading.lower is not None else []
        details += [f"n {localized_number(f'{reading.support:,}', self.language)}"]
        if reading.target is not None:
            details.append(f"{target} {self.value(reading.target, reading.unit)}")
        lines = "".join(f"<small>{escape(line)}</small>" for line in details)
        return f'<td class="{self._verdict(reading)}"><b>{self._marked(reading)}</b>{lines}</td>'

    def _charts(self, report: FigureReport) -> Iterator[str]:
        zone = ZoneInfo(self.settings.timezone)
        for metric, run in groupby(report.course, lambda reading: reading.metric):
            readings = [*run]
            label = f"{self._metric(metric)}, {self.say('supervisor.trend')}"
            drawn = chart(readings, zone, label, partial(self.value, unit=readings[0].unit))
            yield f"<section><h3>{escape(self._metric(metric))}</h3>{drawn}</section>"

    def _metric(self, name: str) -> str:
        words = page_words(self.language)["metrics"].get(name)
        return str(words["name"]) if words else CATALOGUE[name].help

    def _verdict(self, reading: IntervalReading) -> str:
        return report_verdict(reading, self.settings.min_sample)

    def _marked(self, reading: IntervalReading) -> str:
        """Return the value with the sign and, for those who hear the page, the word of its verdict."""
        verdict, value = self._verdict(reading), escape(self.value(reading.value, reading.unit))
        if not _SIGNS[verdict]:
            return value
        word = escape(self.say(f"states.{verdict}"))
        return f'<span role="img" aria-label="{word}" title="{word}">{_SIGNS[verdict]}</span> {value}'

    def _interval(self, reading: IntervalReading) -> str:
        if reading.lower is None or reading.upper is None:
            return NO_DATA
        return " … ".join(self.value(end, reading.unit) for end in (reading.lower, reading.upper))


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide"><table>{body}</table></div>'
