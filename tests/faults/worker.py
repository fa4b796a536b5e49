"""One `streamer worker`, in a process that tests may kill, freeze, thaw and end."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from streamer.demo import parent_death

_LISTEN = "0A"


class Worker:
    """Runs from its making on. It dies with this process."""

    def __init__(
        self,
        settings: Mapping[str, str],
        log: Path,
        program: Sequence[str] = ("-m", "streamer"),
        command: str = "worker",
    ) -> None:
        """`program`: Python's arguments, before the command's."""
        ours = {f"STREAMER_{name.upper()}": value for name, value in settings.items()}
        others = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
        command_line = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())]
        command_line += [sys.executable, *program, command]
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command_line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=others | ours,
                cwd=log.parent,
            )
        self.ended = False
        """Whether it was a test that ended it."""

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def present_limit(self, kind: int) -> int:
        """Return the present limit of a resource."""
        return resource.prlimit(self.pid, kind)[0]

    def limit(self, kind: int, amount: int) -> None:
        """Limit a resource, such as resource.RLIMIT_NOFILE, from now on."""
        _, most = resource.prlimit(self.pid, kind)
        resource.prlimit(self.pid, kind, (amount, most))

    def kill(self) -> None:
        self.ended = True
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    async def stop(self) -> int:
        """Ask it to end, and wait; the exit code."""
        self.ended = True
        self._process.terminate()
        return await self.exit_code()

    async def exit_code(self) -> int:
        return await asyncio.to_thread(self._process.wait)

    def command_line(self) -> str:
        """What everybody sees who lists processes."""
        return Path(f"/proc/{self._process.pid}/cmdline").read_text()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def listens_on(self) -> set[int]:
        """The TCP ports it has open, of all addresses."""
        links = Path(f"/proc/{self._process.pid}/fd").iterdir()
        sockets = {os.readlink(link) for link in links if link.is_symlink()}
        return {port for inode, port in _listening() if f"socket:[{inode}]" in sockets}


def _listening() -> list[tuple[str, int]]:
    """Inode and port of every listening TCP socket here."""
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    return [(row[9], int(row[1].rpartition(":")[2], 16)) for row in rows if row[3] == _LISTEN]


def said(worker: Worker, sentence: str) -> list[str]:
    """The lines of its log in which a pattern is found."""
    return [line for line in worker.log().splitlines() if re.search(sentence, line)]
