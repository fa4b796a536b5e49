"""Read facts about a process and the machine."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.parts.redis_server import RedisServer

_TICKS = os.sysconf("SC_CLK_TCK")
_PACKAGES = ("faust-streaming", "aiokafka", "redis", "msgspec", "numpy")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all of its threads."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Present resident set."""
    return _status_kb(pid, "VmRSS") * 1024


def peak_bytes(pid: int) -> int:
    """The largest resident set so far."""
    return _status_kb(pid, "VmHWM") * 1024


def _status_kb(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def reset_busy_times(server: RedisServer) -> None:
    async with server.client() as client:
        await client.config_set("latency-tracking-info-percentiles", "50 99 100")
        await client.config_resetstat()


async def busy_times(server: RedisServer) -> dict[str, dict[str, float]]:
    """Time that one script or transaction kept Redis busy since the reset, in ms: median, p99, longest."""
    async with server.client() as client:
        info = await client.info("latencystats")
    return {
        name: {rank: round(float(micros) / 1000, 2) for rank, micros in info[key].items()}
        for name in ("evalsha", "exec")
        if (key := f"latency_percentiles_usec_{name}") in info
    }


def facts() -> dict[str, Any]:
    """Cores, load at this moment, versions."""
    return {
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def first_line(*command: str) -> str:
    """Return the first line of what a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()
