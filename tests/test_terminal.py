"""Tests: what is printed on a terminal holds no control sign but line ends and colours."""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import click
import msgspec
import pytest
import structlog
from click.testing import CliRunner
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from streamer.cli import main
from streamer.runtime.terminal import TerminalStream, terminal_streams, visible_text

CSI_C1, TURNED, TITLE = "\x9b2J", "\u202egnp", "\x1b]0;owned\x07"
NAME = f"Billing{CSI_C1}{TURNED}\x7f\u2028"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


class PseudoTerminal:
    """Both ends of a terminal: a text stream to print on, and what a person's terminal gets."""

    def __init__(self) -> None:
        self._screen, keyboard = os.openpty()
        os.set_blocking(self._screen, False)
        self.stream = os.fdopen(keyboard, "w", encoding="utf-8")

    @contextmanager
    def attached(self) -> Iterator[None]:
        with redirect_stdout(self.stream), redirect_stderr(self.stream), terminal_streams():
            yield
            sys.stdout.flush()

    def shown(self) -> str:
        self.stream.flush()
        return os.read(self._screen, 65_536).decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self._screen)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[PseudoTerminal]:
    monkeypatch.setenv("TERM", "xterm")
    both_ends = PseudoTerminal()
    yield both_ends
    both_ends.close()


def print_table() -> None:
    table = Table(title="nps_score")
    table.add_column("queue")
    table.add_row(Text(NAME))
    Console().print(table)


def log_line() -> None:
    handler = logging.StreamHandler()
    handler.emit(logging.LogRecord("kafka", logging.WARNING, "", 0, f"topic {NAME}", (), None))


PRINTED = {
    "a sentence": lambda: click.echo(f"queue {NAME}"),
    "an error": lambda: click.echo(f"queue {NAME}", err=True),
    "JSON": lambda: click.echo(msgspec.json.encode({"queue": NAME})),
    "a table": print_table,
    "a log line": log_line,
    "a structured log line": lambda: structlog.PrintLogger(sys.stderr).info(f"queue={NAME}"),
    "a line of bytes": lambda: sys.stdout.buffer.writelines([NAME.encode(), b"\n"]),
    "Python's print": lambda: print(NAME),
}


@pytest.mark.parametrize("what", PRINTED)
def test_no_control_sign_reaches_a_terminal_in(what: str, terminal: PseudoTerminal) -> None:
    with terminal.attached():
        PRINTED[what]()
    shown = COLOUR.sub("", terminal.shown()).replace("\r\n", "\n")
    assert "Billing" in shown
    assert "\\u009b" in shown
    assert "\\u202e" in shown
    assert not HARMFUL.search(shown)


def test_a_progress_bar_still_moves_the_cursor(terminal: PseudoTerminal) -> None:
    with terminal.attached(), Progress(console=Console(stderr=True)) as progress:
        progress.add_task("reading", total=2)
        progress.refresh()
        progress.refresh()
    assert "\r\x1b[2K" in terminal.shown()


@pytest.mark.parametrize(
    "sequence", [TITLE, "\x1b[2J", "\x1bc", "\x1b[5n", "\x1b]8;;http://evil.example\x07"]
)
def test_no_other_sequence_reaches_a_terminal(sequence: str, terminal: PseudoTerminal) -> None:
    with terminal.attached():
        click.echo(f"queue {sequence}")
    assert not HARMFUL.search(terminal.shown().replace("\r\n", "\n"))


def test_json_for_another_program_keeps_its_text() -> None:
    inner = StringIO()
    text = msgspec.json.encode({"queue": NAME}).decode()
    TerminalStream(inner).write(text)
    assert msgspec.json.decode(inner.getvalue()) == {"queue": NAME}


@pytest.mark.parametrize("harmful", [CSI_C1, TURNED, TITLE, "\x1b[31m", "\r", "\x08"])
def test_a_text_is_shown_with_escapes(harmful: str) -> None:
    shown = visible_text(f"é\t{harmful}\n")
    assert not HARMFUL.search(shown)
    assert "\r" not in shown
    assert shown[:2] + shown[-1] == "é\t\n"


def test_every_command_prints_so(monkeypatch: pytest.MonkeyPatch) -> None:
    command = click.Command("show", callback=lambda: click.echo(NAME))
    monkeypatch.setitem(main.commands, "show", command)
    outcome = CliRunner().invoke(main, ["show"])
    assert "\\u009b2J" in outcome.output
    assert not HARMFUL.search(outcome.output)
