"""Reports are sent when they are due and counted, once to each place, whichever server is leader."""

import asyncio
from datetime import date
from email import message_from_bytes, policy
from math import inf
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from msgspec.structs import replace
from pydantic import SecretStr

from streamer.delivery.alert_coordinator import AlertCoordinator
from streamer.delivery.alert_state import decode_state, encode_state
from streamer.delivery.http_client import HttpClient
from streamer.delivery.receiver import DeliveryFailed, DeliverySucceeded
from streamer.delivery.report_sender import (
    CHECK_S,
    RenderedReport,
    ReportSender,
    SendReport,
    check_report,
    render_report,
    report_places,
)
from streamer.events.counting_rules import HOUR, MINUTE
from streamer.readings.figure_report import ReportPeriod
from streamer.readings.reader import MetricsReader
from streamer.settings import MailSettings, ReportSettings, Settings, SettingsError
from streamer.store.memory_documents import MemoryDocument
from streamer.store.port import LeasedDocument
from tests.delivery.coordinators import make_quiet_coordinator
from tests.delivery.http_listener import HttpListener
from tests.delivery.manual_time import ManualTime
from tests.delivery.test_smtp import RecordingHandler
from tests.parts.server import free_port
from tests.readings.small_center import NOW, SmallCenter, answered, cell, pane

SENT = ("daily mail", "daily folder")
SETTINGS = Settings(timezone="Europe/Madrid", report=ReportSettings(send=["daily"], at="11:30"))
DUE_MS = NOW + 30 * MINUTE  # NOW is Saturday 2026-11-21 11:00:03 in Madrid
PERIOD = ReportPeriod("daily", date(2026, 11, 20))


class ReportServer:
    """A server of a center: its coordinator and its sender, which notes what it sends in a shared list."""

    def __init__(self, document: LeasedDocument, sent: list[str], time: ManualTime, lease_s: float) -> None:
        self.time, self._sent, self.failure = time, sent, ""
        self.coordinator: AlertCoordinator = make_quiet_coordinator(document, SETTINGS, time.clock, lease_s)
        places: dict[str, SendReport] = {"mail": self._send, "folder": self._send}
        self._sender = ReportSender(self.coordinator, SETTINGS, places, time.timing)
        self._tasks: list[asyncio.Task[None]] = []

    async def _send(self, report: RenderedReport) -> DeliverySucceeded | DeliveryFailed:
        if self.failure:
            return DeliveryFailed(self.failure)
        self._sent.append(report.period.file_name)
        return DeliverySucceeded(250)

    async def start(self, caught_up_ms: int = DUE_MS) -> None:
        center = SmallCenter()
        self.coordinator.reader.__dict__["_store"] = center.store
        await center.add({(pane(20 * HOUR), cell()): answered(3)})
        await center.beat(caught_up_ms)
        await self.coordinator.reader.refresh(self.time.clock())
        self._tasks = [asyncio.create_task(self.coordinator.run()), asyncio.create_task(self._sender.run())]

    async def look(self) -> None:
        """Let the sender look once more."""
        await self.time.wait_for_sleep(lambda seconds: seconds == CHECK_S)
        self.time.advance(CHECK_S)
        await asyncio.sleep(0)
        await self.time.wait_for_sleep(lambda seconds: seconds == CHECK_S)

    async def kill(self) -> None:
        """End without giving the lease back, as a process that is killed."""
        self.coordinator.__dict__["_document"] = MemoryDocument()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)


async def leads(server: ReportServer) -> None:
    changed = server.coordinator.subscribe()
    async with asyncio.timeout(10):
        while not server.coordinator.is_leader:
            await changed.wait()
            changed.clear()


async def test_each_place_is_told_once_of_a_day_by_two_servers_of_which_one_is_killed() -> None:
    document, sent = MemoryDocument(), list[str]()
    first, second = (ReportServer(document, sent, ManualTime(DUE_MS), lease_s=60) for _ in range(2))
    await first.start()
    await leads(first)
    await second.start()
    await first.look()
    assert sent == [PERIOD.file_name] * 2
    await first.kill()
    document.__dict__["_lease_until_s"] = -inf  # as time does to the lease of a dead process
    await leads(second)
    await second.look()
    assert sent == [PERIOD.file_name] * 2
    assert second.coordinator.state.reports == {"daily mail": "2026-11-20", "daily folder": "2026-11-20"}
    assert decode_state(encode_state(second.coordinator.state)).reports == second.coordinator.state.reports
    await second.kill()


@pytest.mark.parametrize(
    ("sentence", "now_ms", "caught_up_ms", "expected"),
    [
        ("before its time the day before is not due", DUE_MS - MINUTE, DUE_MS, []),
        ("at its time it is", DUE_MS, DUE_MS, [PERIOD.file_name] * 2),
        ("it waits until all of its day is counted", DUE_MS, NOW - 12 * HOUR, []),
    ],
)
async def test_a_report_is_sent_when_it_is_due_and_counted(
    sentence: str, now_ms: int, caught_up_ms: int, expected: list[str]
) -> None:
    sent, time = list[str](), ManualTime(now_ms)
    server = ReportServer(MemoryDocument(), sent, time, lease_s=60)
    await server.coordinator.update(lambda state: replace(state, reports=dict.fromkeys(SENT, "2026-11-19")))
    await server.start(caught_up_ms)
    await leads(server)
    await server.look()
    assert sent == expected, sentence
    await server.kill()


async def test_what_a_place_did_not_take_it_is_sent_again() -> None:
    server = ReportServer(MemoryDocument(), sent := list[str](), ManualTime(DUE_MS), lease_s=60)
    server.failure = "answered 451"
    await server.start()
    await leads(server)
    await server.look()
    assert (sent, server.coordinator.state.reports) == ([], {})
    server.failure = ""
    await server.look()
    assert sent == [PERIOD.file_name] * 2
    await server.kill()


async def test_a_report_reaches_folder_mail_and_webhook(tmp_path: Path) -> None:
    mails = RecordingHandler()
    controller = Controller(mails, hostname="127.0.0.1", port=free_port())
    controller.start()
    bodies: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.StreamResponse:
        bodies.append({"key": request.headers["idempotency-key"], **await request.json()})
        return web.Response()

    async with HttpListener(take) as listener:
        own = SETTINGS.report.model_copy(
            update={"folder": tmp_path / "new", "mail": ["a@example.com"], "webhook": SecretStr(listener.url)}
        )
        mail = MailSettings(host="127.0.0.1", port=controller.port, security="none")
        settings, http = SETTINGS.model_copy(update={"report": own, "mail": mail}), HttpClient()
        center = SmallCenter()
        await center.add({(pane(20 * HOUR), cell()): answered(3)})
        reader = MetricsReader(center.store, settings)
        await reader.refresh(NOW)
        report = render_report(reader, settings, PERIOD, "es", NOW)
        places = report_places(settings, http, ManualTime(NOW).timing)
        outcomes = [await send(report) for send in places.values()]
        await http.close()
    controller.stop()
    assert [*places] == ["folder", "mail", "webhook"]
    assert [isinstance(outcome, DeliverySucceeded) for outcome in outcomes] == [True] * 3
    assert (tmp_path / "new" / f"{PERIOD.file_name}.html").read_text() == report.html
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        f"{PERIOD.file_name}.csv", f"{PERIOD.file_name}.html",
    ]  # fmt: skip
    message = message_from_bytes(mails.envelopes[0][0].original_content or b"", policy=policy.default)
    assert message["subject"] == "Informe diario 2026-11-20"
    assert [part.get_filename() for part in message.walk() if part.get_filename()] == [
        f"{PERIOD.file_name}.html", f"{PERIOD.file_name}.csv",
    ]  # fmt: skip
    assert (bodies[0]["key"], bodies[0]["report"], bodies[0]["first"]) == (report.id, "daily", "2026-11-20")
    assert bodies[0]["csv"] == report.csv.decode()


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        ({"metrics": ["nonsense"]}, "report.metrics: 'nonsense'"),
        ({"by": "planet"}, "report.by = 'planet'"),
        ({"mail": ["a@example.com"]}, "report.mail: expected a mail.host"),
        ({"send": ["daily"]}, "report.send: expected a folder, mail or webhook"),
    ],
)
def test_a_report_that_cannot_be_made_is_refused_at_the_start(report: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        check_report(Settings(report=report))
