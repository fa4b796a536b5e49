"""Base of every server of the tests: start, stop, be killed, come back with its data."""

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamer.demo import parent_death

_STOP_S = 15.0
_POLL_S = 0.05


class Server(ABC):
    """A server in a process and a folder of its own, on a loopback port that it keeps for life.

    Starting does not belong to an event loop: a fixture may start what a test of another loop
    restarts. It belongs to a thread, though: the kernel ends the server when the thread that
    started it ends, so start from the main thread.
    """

    ready_within_s = 15.0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="streamer-tests-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """The command line. Called at every start."""

    def stdin(self) -> str:
        """Standard input at its start. A password there is not shown to all who list processes."""
        return ""

    @abstractmethod
    async def answers(self) -> bool:
        """Tell whether a client is served by now. Asked only once the port is open."""

    async def start(self) -> None:
        assert self.process is None, f"{self.address} runs already"
        self._launch()
        try:
            async with asyncio.timeout(self.ready_within_s):
                await self._ready()
        except TimeoutError:
            await self.kill()
            raise RuntimeError(f"{self} was not ready in {self.ready_within_s:.0f} s\n{self.log()}") from None

    async def stop(self) -> None:
        """Ends it politely; port and data stay its own. Nothing happens where it does not run."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Ends it as a power cut would end the process."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def close(self) -> None:
        """Ends it and removes its data."""
        await self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address})"

    def log(self) -> str:
        """The end of what it printed."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _launch(self) -> None:
        command = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *self.command()]
        (self.folder / "stdin").write_text(self.stdin())
        with (self.folder / "stdin").open() as stdin, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdin=stdin, stdout=log, stderr=log, cwd=self.folder)

    async def _ready(self) -> None:
        while not (is_open(self.port) and await self.answers()):
            assert self.process is not None
            if (code := self.process.poll()) is not None:
                self.process = None
                raise RuntimeError(f"{self} ended with {code}\n{self.log()}")
            await asyncio.sleep(_POLL_S)

    async def _end(self, how: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(how)
        for _ in range(int(_STOP_S / _POLL_S)):
            if process.poll() is not None:
                return
            await asyncio.sleep(_POLL_S)
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port nobody listens on, from below the range the kernel takes outgoing connections from.

    A port of that range may be gone when a server comes back: a client that keeps trying to reach
    the absent server is itself given the port sooner or later, and connects to itself. Browsers open no page
    at 10080, the last port of the Fetch standard's bad ones.
    """
    while True:
        port = random.randrange(10_081, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs it in a loop of its own, leaving alone whichever loop the tests have set."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()
