"""A test notification says that it is one; the doctor finds unreachable receivers and sends nothing."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from streamer.delivery.connectivity import connection_error
from streamer.delivery.endpoint_checks import check_receivers
from streamer.delivery.webhook import new_secret
from streamer.operations.doctor import CheckFinding, _check_notifications
from streamer.settings import Settings
from tests.delivery.http_listener import HttpListener, status
from tests.parts.alertmanager import Alertmanager as AlertmanagerServer
from tests.parts.server import free_port


async def streamer(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")} | settings
    return await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "streamer", *arguments], env=env, cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


async def test_a_receiver_is_sent_a_test_that_says_so(tmp_path: Path) -> None:
    async with HttpListener() as listener:
        (tmp_path / "streamer.toml").write_text(f'[receivers.desk]\nurl = "{listener.url}"\n')
        done = await streamer(tmp_path, "alerts", "try", "desk")
        assert (done.returncode, done.stdout) == (0, "desk: has it, and answered 200\n")
        listener.answer = status(404, text="no_service")
        done = await streamer(tmp_path, "alerts", "try", "desk")
        assert (done.returncode, done.stderr) == (1, "streamer: desk: answered 404 (no_service)\n")
        done = await streamer(tmp_path, "alerts", "try", "nobody")
        expected = "streamer: receivers.nobody: no such receiver, expected one of desk\n"
        assert (done.returncode, done.stderr) == (2, expected)
        first, _ = listener.posts
        (alert,) = json.loads(first.body)["alerts"]
        assert (alert["rule"], alert["title"]) == ("test", "Test: nothing is wrong")
        assert alert["id"].startswith("test//")


async def test_a_chat_is_sent_a_test_that_says_so(tmp_path: Path) -> None:
    async with HttpListener() as listener:
        (tmp_path / "streamer.toml").write_text(f'[receivers.chat]\nurl = "{listener.url}"\nform = "slack"\n')
        assert (await streamer(tmp_path, "alerts", "try", "chat")).returncode == 0
        assert json.loads(listener.posts[0].body)["text"] == "WARNING: Test: nothing is wrong"


async def test_a_secret_that_is_made_is_one(tmp_path: Path) -> None:
    done = await streamer(tmp_path, "secret", "webhook")
    assert done.stdout.strip() != new_secret()
    receiver = {"url": "http://x/", "secret": done.stdout.strip()}
    check_receivers(Settings(receivers={"desk": receiver}))  # type: ignore[dict-item]


async def test_who_cannot_be_reached_is_found_without_saying_the_address() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)  # an authority that nobody knows
    async with HttpListener() as plain, HttpListener(tls=context) as secure:
        assert await connection_error(plain.url) is None
        assert await connection_error(secure.url) == "TLS certificate not trusted"
        assert await connection_error(plain.url.replace("http:", "https:")) == "TLS handshake failed"
        assert (plain.posts, secure.posts) == ([], [])
    assert await connection_error(plain.url) == "Connection refused"
    assert await connection_error("http://secret.invalid/") == "DNS lookup failed"
    for wrong in ("http://x:port/", "http://x:99999/", "http:///secret"):
        assert await connection_error(wrong) == "invalid URL"


async def test_the_doctor_says_who_can_be_reached_and_how_to_mend_it() -> None:
    async with HttpListener() as listener:
        away = f"http://127.0.0.1:{free_port()}"
        settings = Settings(
            receivers={"well": {"url": listener.url}, "dead": {"url": f"{away}/secret"}},  # type: ignore[dict-item]
            delivery={"alertmanager": away},  # type: ignore[arg-type]
        )
        assert [finding async for finding in _check_notifications(settings)] == [
            CheckFinding("ok", "receiver well: can be reached (`streamer alerts try well` tells it)"),
            CheckFinding(
                "fail", "receiver dead: Connection refused", "correct receivers.dead.url, or start it"
            ),
            CheckFinding(
                "fail",
                "Alertmanager: connection failed (Connection refused)",
                "correct delivery.alertmanager, or start it",
            ),
        ]
        assert listener.posts == []
    (finding,) = [finding async for finding in _check_notifications(Settings())]
    assert finding.verdict == "ok"


@pytest.mark.prometheus
async def test_the_doctor_says_which_alertmanager_answers() -> None:
    async with AlertmanagerServer() as server:
        settings = Settings(delivery={"alertmanager": server.url})  # type: ignore[arg-type]
        (finding,) = [finding async for finding in _check_notifications(settings)]
        assert finding.verdict == "ok"
        assert finding.message.startswith("Alertmanager: version 0.")
        assert server.alerts() == []
