"""The demo as a process: what it prints, how it ends. Its own children are stand-ins of the same names."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

STAND_IN = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
name = sys.argv[1]
print(name, sys.argv[2:], "published the last hours, live from here on", flush=True)
if name == os.environ.get("FAILS"):
    sys.exit("boom")
if name != "serve":
    time.sleep(600)
begun = time.monotonic()
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/readyz" and time.monotonic() > begun + 0.5
        self.send_response(200 if ready else 503)
        self.end_headers()
HTTPServer((os.environ["STREAMER_HOST"], int(os.environ["STREAMER_PORT"])), Handler).serve_forever()
"""


@contextmanager
def demo(place: Path, *, fails: str = "", as_json: bool = True) -> Iterator[subprocess.Popen[str]]:
    (place / "streamer").mkdir()
    (place / "streamer/__init__.py").touch()
    (place / "streamer/__main__.py").write_text(STAND_IN)
    # -P: this process imports the real package; its children, started with -m, the one in the working folder.
    run = f"from streamer.demo.run import run_demo as r; raise SystemExit(r(2.0, 7, 0, True, {as_json}))"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", run],
        cwd=place,
        env={"FAILS": fails, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ports(line: str) -> list[int]:
    live = json.loads(line)
    assert set(live) == {"kafka", "redis", "url"}
    found = [urlsplit("//" + live["kafka"]).port, urlsplit(live["redis"]).port, urlsplit(live["url"]).port]
    return [port for port in found if port]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("last", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_once_all_is_live_and_a_signal_ends_all_well(
    last: signal.Signals, tmp_path: Path
) -> None:
    with demo(tmp_path) as process:
        assert process.stdout
        open_ports = ports(process.stdout.readline())
        assert len(open_ports) == 3
        assert all(map(listens, open_ports))
        process.send_signal(last)
        rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")
    assert not any(map(listens, open_ports))


def test_nothing_stays_when_it_is_killed(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        assert process.stdout
        open_ports = ports(process.stdout.readline())
        process.kill()
        process.wait()
    end = time.monotonic() + 10
    while any(map(listens, open_ports)):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["worker", "serve", "simulate"])
def test_a_child_that_dies_is_named_with_its_last_lines(name: str, tmp_path: Path) -> None:
    with demo(tmp_path, fails=name) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"streamer {name} ended with code 1" in errors
    assert "boom" in errors


def test_the_friendly_text_names_the_wallboard(tmp_path: Path) -> None:
    with demo(tmp_path, as_json=False) as process:
        assert process.stdout
        text = "".join(
            iter(
                process.stdout.readline,
                "  All data is in memory, on this machine only. Press Ctrl-C to stop.\n",
            )
        )
        process.terminate()
        process.communicate(timeout=30)
    assert "http://127.0.0.1:" in text
    assert "STREAMER_REDIS=redis://" in text
