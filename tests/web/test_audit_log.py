"""Audit lines: who did or tried what, from where; no secrets, and nothing that forges a line."""

import asyncio
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette

from streamer.events.counting_rules import MINUTE
from streamer.store.memory_documents import MemoryDocument
from streamer.web.audit_log import MAX_REFUSALS
from tests.readings.small_center import NOW
from tests.web.alerted_center import alerted_server, notified_alert
from tests.web.asgi_client import send_request
from tests.web.test_user_login import DISPLAY, SettableClock, log_in, login_app, session

SECRETS = ("open sesame", "of ann", DISPLAY, "hunter2", "because of Bob")


async def audited(*requests: Any) -> list[dict[str, Any]]:
    """Return the audit lines of some requests, without event and level."""
    with structlog.testing.capture_logs() as lines:
        for request in requests:
            await request
    assert not any(secret in str(lines) for secret in SECRETS)
    return [
        {name: value for name, value in line.items() if name not in ("event", "log_level")}
        for line in lines
        if line["event"] == "audit"
    ]


def ask(app: Starlette, path: str, method: str = "GET", **how: Any) -> Any:
    return send_request(app, path, method, **{"address": "192.0.2.7", **how})


def refused(status: int, path: str, user: str | None = None, method: str = "GET") -> dict[str, Any]:
    return {
        "action": "request refused", "user": user, "address": "192.0.2.7", "status": str(status),
        "method": method, "path": path,
    }  # fmt: skip


AT = {"address": "192.0.2.7"}


async def test_log_ins_failures_and_log_outs() -> None:
    app = login_app()
    assert await audited(log_in(app, **AT)) == [{"action": "login", "user": "ann", **AT}]
    assert await audited(log_in(app, password="hunter2", **AT)) == [
        {"action": "login failed", "user": "ann", **AT}
    ]
    # what is typed as a name may be a password
    assert await audited(log_in(app, "hunter2", "x", **AT)) == [{"action": "login failed", "user": "", **AT}]
    mine = session(await log_in(app))
    assert await audited(ask(app, "/logout", "POST", cookies=mine)) == [
        {"action": "logout", "user": "ann", **AT}
    ]
    assert await audited(ask(app, f"/?display={DISPLAY}")) == [
        {"action": "display login", "user": "lobby", **AT}
    ]
    for _ in range(10):
        await log_in(app, password="wrong", **AT)
    assert (await audited(log_in(app, **AT)))[0]["action"] == "login refused"


@pytest.mark.parametrize(
    ("sentence", "path", "how", "expected"),
    [
        ("an unknown token", "/api/v1/me", {"headers": {"authorization": "Bearer hunter2"}}, (401, None)),
        ("an unknown display", "/?display=hunter2", {}, (401, None)),
        ("a display elsewhere", "/supervisor", {"cookies": {"streamer_display": DISPLAY}}, (403, "lobby")),
        ("a viewer elsewhere", "/supervisor", {"headers": {"authorization": "Bearer of eve"}}, (403, "eve")),
        ("a view that a route refuses", "/api/v1/stream?view=default",
         {"cookies": {"streamer_display": DISPLAY}}, (403, "lobby")),
        ("a page of another site", "/api/v1/me", {"method": "POST", "headers": {"origin": "http://evil"}},
         (403, None)),
        ("who has yet to log in", "/api/v1/me", {}, None),
        ("what is allowed", "/api/v1/me", {"headers": {"authorization": "Bearer of ann"}}, None),
        ("what is not there", "/nothing", {"headers": {"authorization": "Bearer of ann"}}, None),
    ],
)  # fmt: skip
async def test_refusals(
    sentence: str, path: str, how: dict[str, Any], expected: tuple[int, str | None] | None
) -> None:
    bare_path, method = path.partition("?")[0], how.get("method", "GET")
    lines = [] if expected is None else [refused(expected[0], bare_path, expected[1], method)]
    assert await audited(ask(login_app(), path, **how)) == lines, sentence


async def test_a_sign_that_forges_a_line_is_escaped() -> None:
    how = {"headers": {"authorization": "Bearer x"}}
    (line,) = await audited(ask(login_app(), "/api/v1/me\n2026 audit user=ann\u202e\x1b[2J", **how))
    assert line["path"] == "/api/v1/me\\n2026 audit user=ann\\u202e\\x1b[2J"


async def test_a_flood_of_refusals_is_logged_so_far_and_others_go_on() -> None:
    clock = SettableClock()
    app, how = login_app(clock=clock), {"headers": {"authorization": "Bearer x"}}
    lines = await audited(*(ask(app, "/api/v1/me", **how) for _ in range(MAX_REFUSALS + 5)))
    assert [("remark" in line) for line in lines] == [False] * (MAX_REFUSALS - 1) + [True]
    assert len(await audited(ask(app, "/api/v1/me", **how, address="192.0.2.8"))) == 1
    assert await audited(log_in(app, **AT)) == [{"action": "login", "user": "ann", **AT}]
    clock.now += MINUTE
    assert len(await audited(ask(app, "/api/v1/me", **how))) == 1


async def test_acknowledgements_and_silences() -> None:
    server = await alerted_server(MemoryDocument())
    alert = notified_alert("nps-drop", "billing")
    await server.set_alerts(alert)
    comment = {"comment": "because of Bob"}

    async def act(path: str, method: str, **order: Any) -> list[dict[str, Any]]:
        return await audited(server.ask(f"/api/v1{path}", "supervisor", method, order))

    by_sue = {"user": "sue", "address": "127.0.0.1"}
    assert await act("/alerts/acknowledge", "POST", id=alert.alert.id, **comment) == [
        {"action": "alert acknowledged", "alert": alert.alert.id, **by_sue}
    ]
    assert await act("/alerts/acknowledge", "POST", id=alert.alert.id, acknowledged=False) == [
        {"action": "acknowledgement withdrawn", "alert": alert.alert.id, **by_sue}
    ]
    (begun,) = await act("/silences", "POST", rule="nps-drop", key="billing", minutes=10, **comment)
    silence = begun.pop("silence")
    until = "2026-11-21T10:10:03Z"
    about = {"rule": "nps-drop", "key": "billing", **by_sue}
    assert (begun, NOW % 1000) == ({"action": "silence created", "until": until, **about}, 0)
    assert await act(f"/silences/{silence}", "DELETE") == [
        {"action": "silence ended", "silence": silence, "by": "sue", **about}
    ]
    assert await act("/silences", "POST", rule="nothing") == []
    await asyncio.sleep(0)
