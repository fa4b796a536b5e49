"""Send reports when they are due: to a folder, by mail, to a webhook.

The leader sends; what was sent is kept in the alert state, which all servers share. So each place is told
once of a period, whoever is leader: twice only if a server dies, or loses the store, between sending and
noting it. What is sent again bears the same names, Message-ID and Idempotency-Key.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import date, datetime, time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import structlog
from msgspec.structs import replace

from streamer.alerts.formatting import group_name
from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import AlertState
from streamer.delivery.http_client import HttpClient, HttpResponse
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.delivery.smtp import Mail, MailFile, SmtpClient
from streamer.delivery.timing import DeliveryTiming, run_with_timeout
from streamer.delivery.webhook import failure_from_response
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE
from streamer.panes.pane_keys import ALL
from streamer.readings.figure_report import FigureReport, ReportPeriod, read_report
from streamer.readings.reader import MetricsReader
from streamer.readings.report_page import ReportWriter
from streamer.runtime.choices import expected_choice
from streamer.settings import ReportKind, ReportLanguage, Settings, SettingsError

CHECK_S: Final = 30.0
"""Time between two looks at whether a report is due."""
SEND_TIMEOUT_S: Final = 120.0
_log = structlog.get_logger(__name__)


class RenderedReport(NamedTuple):
    """A report as it is sent. `id`: the same for the same report of a center."""

    id: str
    period: ReportPeriod
    title: str
    html: str
    csv: bytes


SendReport = Callable[[RenderedReport], Coroutine[Any, Any, DeliverySucceeded | DeliveryFailed]]


class ReportPost(msgspec.Struct, frozen=True):
    """The body of a webhook."""

    version: int
    center: str
    report: ReportKind
    first: str
    last_before: str
    title: str
    html: str
    csv: str


def render_report(
    reader: MetricsReader, settings: Settings, period: ReportPeriod, language: ReportLanguage, now_ms: int
) -> RenderedReport:
    """Read a report and write it. Raise QueryError."""
    report: FigureReport = read_report(reader, period, settings.report, now_ms)
    writer = ReportWriter(settings, language, partial(group_name, settings.names))
    report_id = sha256(f"{settings.center} {period.file_name}".encode()).hexdigest()[:32]
    return RenderedReport(report_id, period, writer.title(report), writer.page(report), report.csv())


def write_report(folder: Path, report: RenderedReport) -> list[Path]:
    """Write the files of a report into a folder, which is made; return their paths.

    Each appears whole: it is written beside its place first."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {".html": report.html.encode(), ".csv": report.csv}
    for ending, content in contents.items():
        draft = folder / f".{report.period.file_name}{ending}.part"
        draft.write_bytes(content)
        draft.replace(folder / f"{report.period.file_name}{ending}")
    return [folder / f"{report.period.file_name}{ending}" for ending in contents]


def report_places(settings: Settings, http: HttpClient, timing: DeliveryTiming) -> Mapping[str, SendReport]:
    """Return how to send to each place of [report], by name."""
    places: dict[str, SendReport] = {}
    own, center = settings.report, settings.center

    async def to_folder(report: RenderedReport) -> DeliverySucceeded | DeliveryFailed:
        assert own.folder is not None
        try:
            await asyncio.to_thread(write_report, own.folder, report)
        except OSError as error:
            return DeliveryFailed(f"{own.folder}: {error.strerror}")
        return DeliverySucceeded(200)

    async def by_mail(report: RenderedReport) -> DeliverySucceeded | DeliveryFailed:
        name = report.period.file_name
        files = [
            MailFile(f"{name}.html", "text/html", report.html.encode()),
            MailFile(f"{name}.csv", "text/csv", report.csv),
        ]
        mail = Mail(report.id, own.mail, report.title, report.title, report.html, files)
        return await SmtpClient(settings.mail).send(mail, timing.clock() / 1000)

    async def to_webhook(report: RenderedReport) -> DeliverySucceeded | DeliveryFailed:
        assert own.webhook is not None
        kind, first = report.period
        end = str(report.period.end)
        post = ReportPost(1, center, kind, str(first), end, report.title, report.html, report.csv.decode())
        headers = {"content-type": "application/json", "idempotency-key": report.id}
        body = msgspec.json.encode(post)
        response = await http.request("POST", own.webhook.get_secret_value(), body, headers)
        if not isinstance(response, HttpResponse):
            return DeliveryFailed(response.reason)
        if response.is_success:
            return DeliverySucceeded(response.status)
        return failure_from_response(response, timing.clock())

    if own.folder is not None:
        places["folder"] = to_folder
    if own.mail:
        places["mail"] = by_mail
    if own.webhook is not None:
        places["webhook"] = to_webhook
    return places


def check_report(settings: Settings) -> None:
    """Raise SettingsError if a report cannot be made, or there is no server to mail it by."""
    report, groupings = settings.report, (ALL, *DIMENSIONS, *settings.dimension_pairs)
    if unknown := [name for name in report.metrics if name not in CATALOGUE]:
        raise SettingsError(f"report.metrics: {unknown[0]!r}: {expected_choice(unknown[0], CATALOGUE)}")
    if report.by not in groupings:
        raise SettingsError(f"report.by = {report.by!r}: {expected_choice(report.by, groupings)}")
    if report.mail and not settings.mail.host:
        raise SettingsError("report.mail: expected a mail.host to send it by")
    if report.send and not (report.folder or report.mail or report.webhook):
        raise SettingsError("report.send: expected a folder, mail or webhook to send to")


class ReportSender:
    """Sends each report of [report] to each place, once it is due and all of its time is counted."""

    def __init__(
        self,
        coordinator: AlertCoordinator,
        settings: Settings,
        places: Mapping[str, SendReport],
        timing: DeliveryTiming,
    ) -> None:
        self._coordinator, self._settings, self._places, self._timing = coordinator, settings, places, timing
        self._zone = ZoneInfo(settings.timezone)
        self._failures: dict[str, str] = {}

    async def run(self) -> None:
        """Run for ever. Raise what the store raises."""
        while True:
            if self._coordinator.is_leader:
                await self._send_due()
            await self._timing.sleep(CHECK_S)

    async def _send_due(self) -> None:
        for kind in self._settings.report.send:
            period = self._due_period(kind)
            if not self._is_counted(period):
                continue
            state = await self._coordinator.update(lambda unchanged: unchanged)  # what others have sent
            names = [name for name in self._places if not _is_sent(state, f"{kind} {name}", period)]
            if not names:
                continue
            language, now_ms = self._settings.report.language, self._timing.clock()
            reader = self._coordinator.reader
            report = await asyncio.to_thread(render_report, reader, self._settings, period, language, now_ms)
            for name in names:
                await self._send(name, report)

    def _due_period(self, kind: ReportKind) -> ReportPeriod:
        """Return the last period whose time of sending has come."""
        now = datetime.fromtimestamp(self._timing.clock() / 1000, self._zone)
        is_due_today = now.time() >= time.fromisoformat(self._settings.report.at)
        today = now.date() if is_due_today else date.fromordinal(now.toordinal() - 1)
        return ReportPeriod.last_before(kind, today)

    def _is_counted(self, period: ReportPeriod) -> bool:
        reader, now_ms = self._coordinator.reader, self._timing.clock()
        data_age_s = reader.data_age_s(now_ms) if reader.ready else None
        end = datetime.combine(period.end, time(), self._zone)
        return data_age_s is not None and now_ms / 1000 - data_age_s >= end.timestamp()

    async def _send(self, name: str, report: RenderedReport) -> None:
        """Send to one place and note it. What fails is tried again, until the next report is due."""
        kind = report.period.kind
        if not self._coordinator.is_leader:
            return
        outcome = await run_with_timeout(self._timing, SEND_TIMEOUT_S, self._places[name](report))
        if isinstance(outcome, DeliverySucceeded):
            self._failures.pop(name, None)
            await self._coordinator.update(
                partial(_mark_sent, slot=f"{kind} {name}", first=str(report.period.first))
            )
            _log.info("a report was sent", report=report.period.file_name, place=name)
            return
        reason = outcome.reason if outcome else f"no answer in {SEND_TIMEOUT_S:.0f} s"
        if self._failures.get(name) != reason:
            self._failures[name] = reason
            _log.warning("sending a report failed, retrying", place=name, reason=reason)


def _is_sent(state: AlertState, slot: str, period: ReportPeriod) -> bool:
    """Tell whether this period or a later one was sent."""
    return state.reports.get(slot, "") >= str(period.first)


def _mark_sent(state: AlertState, slot: str, first: str) -> AlertState:
    return replace(state, reports={**state.reports, slot: max(first, state.reports.get(slot, ""))})
