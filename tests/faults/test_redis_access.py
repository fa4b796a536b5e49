"""Redis over TLS with client certificates and an ACL user: the documented rights suffice, and what is wrong
is said in one line."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from streamer.cli import main
from streamer.demo import parent_death
from tests.faults.trial import Trial
from tests.parts.broker import Broker
from tests.parts.redis_tls import USER, TlsRedis, documented_rights
from tests.parts.server import free_port, is_open, run

pytestmark = [pytest.mark.parts, pytest.mark.apache]  # the embedded store knows no TLS


RARE = {"select", "unwatch", "zrem", "hexists", "hstrlen", "hvals"}
"""Rights for another database than 0, a commit that comes too late, an hour that lapses, and deltas that are
merged or read many at once."""


@pytest.fixture
def broker(embedded_broker: Broker) -> Broker:
    """The embedded one: Kafka is not the point."""
    return embedded_broker


@pytest.fixture
def redis(center: str) -> Iterator[TlsRedis]:
    server = TlsRedis(center)
    try:
        run(server.start())
        yield server
    finally:
        run(server.close())


@pytest.fixture
def access(redis: TlsRedis, tmp_path: Path) -> dict[str, str]:
    """Settings by which the ACL user connects."""
    (tmp_path / "password").write_text(f"{redis.password}\n")
    return {
        "redis": f"rediss://{redis.address}/0",
        "redis_username": USER,
        "redis_password_file": str(tmp_path / "password"),
        "redis_tls_ca_cert_file": str(redis.file("ca.pem")),
        "redis_tls_cert_file": str(redis.file("client.pem")),
    }


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"STREAMER_{name.upper()}": value for name, value in settings.items()}


async def streamer(settings: Mapping[str, str], *arguments: str, text: str = "") -> str:
    """Run a command that must succeed. Return all that it printed."""
    process = await start(settings, *arguments)
    output, _ = await process.communicate(text.encode())
    assert process.returncode == 0, f"{arguments}: {output.decode()}"
    return output.decode()


async def start(settings: Mapping[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()),
        sys.executable, "-m", "streamer", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment(settings)},
    )  # fmt: skip


@asynccontextmanager
async def serving(settings: Mapping[str, str]) -> AsyncIterator[None]:
    """Run a server until it is stopped."""
    port = free_port()
    process = await start({**settings, "port": str(port)}, "serve")
    try:
        while not is_open(port):
            assert process.returncode is None
            await asyncio.sleep(0.1)
        yield
    finally:
        process.terminate()
        output, _ = await process.communicate()
    assert (process.returncode, output.decode()) == (0, "")


async def test_the_documented_rights_suffice_for_every_command_and_none_is_idle(
    broker: Broker, redis: TlsRedis, access: dict[str, str], center: str, tmp_path: Path
) -> None:
    trial = Trial(broker, redis, center, tmp_path)
    settings = {**access, "kafka": broker.address, "center": center}
    await trial.open()
    try:
        worker = trial.worker(**access)
        async with trial.load(per_s=200):
            await trial.progress(200)
        await trial.settle()
        async with serving(settings):
            commands = ("check", "query nps_score", "alerts list", "rebuild --yes")
            outputs = [await streamer(settings, *arguments.split()) for arguments in commands]
        outputs.append(await streamer(settings, "forget", "-", text="c-00000001\n"))
        outputs.append(worker.command_line())
        assert not [text for text in (*outputs, worker.log()) if redis.password in text]
    finally:
        await trial.close()
    async with redis.client() as admin:
        assert await admin.acl_log() == []
        used = {name.removeprefix("cmdstat_") for name in await admin.info("commandstats")}
    rights = {right[1:] for right in documented_rights(center) if right.startswith("+")}
    assert rights - used <= RARE


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_way_to_be_refused_is_one_line(
    redis: TlsRedis, access: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign = trustme.CA()
    foreign.cert_pem.write_to_path(str(redis.file("foreign.pem")))
    redis.certify("stranger", "streamer.example", foreign)
    (tmp_path / "wrong").write_text("s3cr3t-4711")
    rows = {
        "certificate verify failed: self": {"redis_tls_ca_cert_file": str(redis.file("foreign.pem"))},
        "certificate verify failed: Hostname mismatch": {"redis": f"rediss://localhost:{redis.port}/0"},
        "gone.pem: No such file or directory": {"redis_tls_ca_cert_file": str(redis.file("gone.pem"))},
        "alert unknown ca": {"redis_tls_cert_file": str(redis.file("stranger.pem"))},
        "key values mismatch": {"redis_tls_key_file": str(redis.file("stranger.pem"))},
        "invalid username-password pair": {"redis_password_file": str(tmp_path / "wrong")},
        "no permissions to access one of the keys": {"center": "another"},
    }
    for sentence, changed in rows.items():
        with monkeypatch.context() as patch:
            for name, value in environment({**access, "center": redis.center, **changed}).items():
                patch.setenv(name, value)
            outcome = CliRunner().invoke(main, ["query", "nps_score"])
        assert sentence in outcome.output
        assert (outcome.exit_code, outcome.output.count("\n")) == (1, 1), outcome.output
        assert redis.password not in outcome.output
        assert "s3cr3t" not in outcome.output
    gc.collect()  # of a TLS connection that the server ended, asyncio leaves a socket to be collected
