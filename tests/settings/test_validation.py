"""Settings that the server would refuse are refused by every command, with the same line."""

from inspect import unwrap
from pathlib import Path
from types import FunctionType

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.operations import validation
from streamer.operations.validation import validate, validate_server
from streamer.settings import SettingsError, load_settings
from tests.parts.server import free_port

HOST = (
    "host = '0.0.0.0'",
    "host = '0.0.0.0': expected a loopback address such as 127.0.0.1, "
    "or access control: set [users], [displays] or [proxy]",
)
ROWS = [
    (
        "export_windows = ['2h']",
        "export_windows: '2h': expected some of 5m, 15m, 30m, 1h, 4h, today, 24h, 7d, 30d, 90d",
    ),
    ("targets.abandon_ratio = 5", "targets.abandon_ratio = 5: expected a ratio from 0 to 1"),
    (
        "views.wall.tiles = ['nps']",
        "views.wall.tiles: 'nps': did you mean nps_score?",
    ),
    ("users.ann.role = 'admin'", "users.ann: expected a password or tokens, as no proxy logs people in"),
    (
        "alerts.mine.kind = 'drop'",
        "alerts.mine.metric = '': expected one of nps_score, cnx_score",
    ),
    (
        "sources.delighted.secret = 'short'",
        "sources.delighted.secret: expected at least 16 characters",
    ),
    (
        "receivers.desk = {url = 'http://127.0.0.1:9', secret = 'short'}",
        "receivers.desk.secret: expected whsec_ and base64 of 24 bytes or more (`streamer secret webhook`)",
    ),
    (
        "delivery.alertmanager = '127.0.0.1:9093'",
        "delivery.alertmanager: expected an address such as http://127.0.0.1:9093, without /api",
    ),
    ("report.send = ['daily']", "report.send: expected a folder, mail or webhook to send to"),
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings of this machine nor its servers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMER_REDIS", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("STREAMER_KAFKA", f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("command", ["serve", "worker", "ingest", "generate"])
@pytest.mark.parametrize(("setting", "sentence"), ROWS, ids=[setting for setting, _ in ROWS])
def test_every_command_refuses_what_the_server_refuses(setting: str, sentence: str, command: str) -> None:
    Path("streamer.toml").write_text(setting)
    outcome = CliRunner().invoke(main, [command])
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"streamer: {sentence}")
    assert outcome.stderr == f"streamer: {refusal()}\n"


@pytest.mark.parametrize(("setting", "sentence"), [HOST, *ROWS], ids=lambda text: text.split(" = ")[0])
def test_the_check_reports_what_the_server_refuses(setting: str, sentence: str) -> None:
    Path("streamer.toml").write_text(setting)
    outcome = CliRunner().invoke(main, ["check"])
    assert outcome.stdout.startswith(f"fail  settings: {sentence}")
    assert (outcome.exit_code, outcome.stdout) == (1, f"fail  settings: {refusal()}\n")


@pytest.mark.parametrize(("command", "refuses"), [("serve", True), ("worker", False), ("generate", False)])
def test_only_the_server_needs_access_control_off_loopback(
    command: str, refuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("streamer.toml").write_text(HOST[0])
    outcome = CliRunner().invoke(main, [command])
    assert (outcome.stderr == f"streamer: {HOST[1]} (streamer.toml, line 1)\n") is refuses


def test_each_check_has_a_row() -> None:
    refused_by = set()
    for setting, _ in ROWS:
        Path("streamer.toml").write_text(setting)
        with pytest.raises(SettingsError) as error:
            validate(load_settings())
        frames = [entry.frame.code.name for entry in error.traceback]
        refused_by.add(frames[frames.index("validate") + 1])
    called = {
        name
        for name in unwrap(validate).__code__.co_names
        if isinstance(getattr(validation, name, None), FunctionType)
    }
    assert refused_by == called


def refusal() -> str:
    """Return the line with which the settings of streamer.toml are refused."""
    with pytest.raises(SettingsError) as error:
        validate_server(load_settings())
    return str(error.value)
