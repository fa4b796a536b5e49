"""Measure the plain Faust program: a worker of its own, listened to through what it writes."""

import asyncio
import json
import os
import sys
import tempfile
from typing import Any

from streamer.demo import parent_death

_STARTS_WITHIN_S = 120.0


async def plain(address: str, topic: str, partitions: int, total: int, at_most_s: float) -> dict[str, Any]:
    """Timed from its first event to its last one, or as far as it came in `at_most_s`."""
    env = {
        **os.environ,
        "BENCH_KAFKA": address,
        "BENCH_TOPIC": topic,
        "BENCH_PARTITIONS": str(partitions),
        "BENCH_EVENTS": str(total),
        "PYTHONPATH": os.getcwd(),
    }
    program = [
        sys.executable,
        "-m",
        "tests.benchmarks.plain_faust",
        "worker",
        "--without-web",
        "-l",
        "warn",
    ]
    command = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()), *program]
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=log, env=env, cwd=folder
        )
        try:
            last = await _listen(process, total, at_most_s)
        except TimeoutError:
            log.seek(0)
            raise RuntimeError(f"plain Faust counted nothing\n{log.read()[-4000:].decode()}") from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    return {
        "events": last["events"],
        "seconds": round(last["seconds"], 2),
        "events_per_s": round(last["events"] / last["seconds"]),
        "cpu_us_per_event": round(last["cpu_s"] / last["events"] * 1e6, 1),
    }


async def _listen(process: asyncio.subprocess.Process, total: int, at_most_s: float) -> dict[str, float]:
    """The last line it wrote. Raises TimeoutError if there was none."""
    assert process.stdout is not None
    last: dict[str, float] = {}
    while not last or (last["events"] < total - 1 and last["seconds"] < at_most_s):
        line = await asyncio.wait_for(process.stdout.readline(), _STARTS_WITHIN_S)
        if not line:
            raise TimeoutError
        if line.startswith(b"{"):
            last = json.loads(line)
    return last
