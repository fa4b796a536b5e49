"""What is typed wrong is answered in one line that says what was expected. Each line is pinned."""

from pathlib import Path
from socket import socket

import pytest
from click.testing import CliRunner

from streamer.cli import main
from tests.parts.server import free_port

NO_REDIS = "streamer: Redis: no connection to 127.0.0.1:{port}, connection refused"
NO_KAFKA = "streamer: Kafka at 127.0.0.1:{port}: connection refused — start it, or set STREAMER_KAFKA"
TIME = "expected a time such as 2026-11-21T10:00:00Z, or epoch seconds"
DURATION = "expected a duration such as 90s, 20m or 28d"
TOPIC = (
    "expected one of call-completed, survey-sent, survey-completed, contact-evaluated, customer-valued, "
    "contact-state, agent-state"
)
GROUPING = "expected one of all, site, queue, team, agent, channel, reason, language, queue,channel"
SELECTION = "streamer: nothing selected: give coordinates, --reason, --topic, --since or --all"

COMMANDS = [
    ("quer", 2, "Error: No such command 'quer'. Did you mean query?"),
    ("serve --foo", 2, "Error: No such option: --foo"),
    ("demo --port 99999", 2, "Error: Invalid value for '--port': 99999 is not in the range 0<=x<=65535."),
    ("demo --rate 0", 2, "Error: Invalid value for '--rate': 0.0 is not in the range x>0."),
    ("simulate --rate -1", 2, "Error: Invalid value for '--rate': -1.0 is not in the range x>0."),
    ("simulate --history x", 2, f"streamer: --history = 'x': {DURATION}"),
    ("simulate --incident-lasts 5", 2, f"streamer: --incident-lasts = '5': {DURATION}"),
    ("simulate", 1, NO_KAFKA),
    ("query", 2, "Error: Missing argument 'METRIC'."),
    ("query nps", 2, "streamer: metric = 'nps': did you mean nps_score?"),
    ("query Handle-Time", 2, "streamer: metric = 'Handle-Time': did you mean handle_time_seconds?"),
    ("query nps_score --by quee", 2, f"streamer: by = 'quee': {GROUPING}"),
    ("query nps_score --stat p90", 2, "streamer: stat of nps_score = 'p90': there is none"),
    ("query nps_score --at yesterday", 2, f"streamer: at = 'yesterday': {TIME}"),
    ("query waiting --window 1h", 2, "streamer: window = '1h': waiting is read over now"),
    ("query abandon_ratio --by agent", 2, "streamer: by = 'agent': abandon_ratio cannot be read by agent"),
    ("query nps_score", 1, NO_REDIS),
    ("worker", 1, NO_REDIS),
    ("serve", 1, NO_REDIS),
    ("rebuild", 1, NO_REDIS),
    ("alerts list", 1, NO_REDIS),
    ("alerts try foo", 2, "streamer: receivers.foo: no such receiver, there is none"),
    ("ingest", 2, "streamer: sources: none configured, expected `streamer ingest NAME` or [sources.NAME]"),
    ("ingest twillio", 2, "streamer: twillio: no such source, did you mean twilio?"),
    ("sources zen", 2, "streamer: zen: no such source, did you mean zendesk?"),
    ("schema call", 2, f"streamer: call: {TOPIC}"),
    ("dead-letters list", 1, NO_KAFKA),
    ("dead-letters list --since x", 2, f"streamer: since = 'x': {TIME}"),
    ("dead-letters show 1", 2, "streamer: 1: expected coordinates such as call-completed:0:17"),
    ("dead-letters retry", 2, SELECTION),
    ("dead-letters close", 2, SELECTION),
    ("replay nope.csv", 2, "streamer replay: nope.csv: No such file or directory, expected a file to read"),
    ("replay folder", 2, "streamer replay: folder: Is a directory, expected a file to read"),
    ("replay empty.csv --guess", 2,
     "streamer replay: empty.csv: the file is empty, expected a header line with column names"),
    ("replay calls.csv --map nope.toml", 2,
     "streamer replay: nope.toml: No such file or directory, expected a map to read"),
    ("replay calls.csv --format deligted", 2,
     "streamer replay: --format deligted: no such source, did you mean delighted?"),
    ("replay calls.csv --topic call", 2, f"streamer replay: topic 'call': {TOPIC}"),
    ("replay calls.csv --topic call-completed --speed 0", 2,
     "streamer: --speed = '0': expected a number above 0 such as 1 or 60, or max"),
    ("replay calls.csv --topic call-completed", 1, NO_KAFKA),
    ("secret password", 2,
     "streamer: expected a password, on the terminal or in the first line of standard input"),
]  # fmt: skip
SETTINGS: list[tuple[str, str]] = [
    ("timezon = 'UTC'",
     "timezon: there is no such setting, did you mean timezone? (streamer.toml, line 1)"),
    ("[queues.sales]\nservce_level = '30s'",
     "queues.sales.servce_level: there is no such setting, did you mean service_level? "
     "(streamer.toml, line 2)"),
    ("# few\n\nmax_connections = 1",
     "max_connections = 1: expected input should be greater than or equal to 10 (streamer.toml, line 3)"),
    ("[views.wall]\nwindow = '1h'\ntiles = [\n  'nps',\n]",
     "views.wall.tiles: 'nps': did you mean nps_score? (streamer.toml, line 3)"),
    ("[targets",
     "streamer.toml: expected TOML: Expected ']' at the end of a table declaration "
     "(at end of document)"),
    ("redis = 'http://db'",
     "redis: expected a URL such as redis://127.0.0.1:6379/0, rediss://… for TLS, or "
     "redis+sentinel://HOST:PORT,…/SERVICE (streamer.toml, line 1)"),
    ("timezone = 'Madrid'",
     "timezone = 'Madrid': expected a time zone of the IANA data base such as Europe/Madrid "
     "(streamer.toml, line 1)"),
]  # fmt: skip
VARIABLES: list[tuple[str, str, str]] = [
    ("STREAMER_CONFIG", "nope.toml", "STREAMER_CONFIG = nope.toml: there is no such file"),
    ("STREAMER_CONFIG", "folder", "STREAMER_CONFIG = folder: expected a file, not a folder"),
    ("STREAMER_TIMEZON", "UTC",
     "STREAMER_TIMEZON: there is no such setting, did you mean STREAMER_TIMEZONE?"),
    ("STREAMER_QUEUS__SALES__TIMEZONE", "UTC",
     "STREAMER_QUEUS__SALES__TIMEZONE: there is no such setting, did you mean "
     "STREAMER_QUEUES__SALES__TIMEZONE?"),
    ("STREAMER_PORT", "http", "port = 'http': expected input should be a valid integer, "
     "unable to parse string as an integer (STREAMER_PORT)"),
    ("STREAMER_KAFKA_SECURITY_PROTOCOL", "TLS",
     "kafka.security_protocol = 'TLS': expected input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or "
     "'SASL_SSL' (STREAMER_KAFKA_SECURITY_PROTOCOL)"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def closed_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Neither settings of this machine nor Kafka and Redis, which are looked for where nobody listens."""
    port = free_port()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMER_REDIS", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setenv("STREAMER_KAFKA", f"127.0.0.1:{port}")
    monkeypatch.setenv("STREAMER_PORT", "0")
    Path("folder").mkdir()
    Path("empty.csv").touch()
    Path("calls.csv").write_text("contact_id,ended_at\nc1,2026-11-21T10:00:00Z\n")
    return port


@pytest.mark.parametrize(("line", "code", "sentence"), COMMANDS, ids=[line for line, _, _ in COMMANDS])
def test_a_wrong_command_line_is_answered_in_one_line(
    line: str, code: int, sentence: str, closed_port: int
) -> None:
    outcome = CliRunner().invoke(main, line.split(), input="")
    assert (outcome.stderr.splitlines()[-1], outcome.exit_code) == (sentence.format(port=closed_port), code)


@pytest.mark.parametrize(("text", "sentence"), SETTINGS, ids=[text for text, _ in SETTINGS])
def test_a_wrong_setting_is_named_with_its_line(
    text: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMER_REDIS")
    Path("streamer.toml").write_text(text)
    assert refusal() == f"streamer: {sentence}\n"


@pytest.mark.parametrize(("name", "value", "sentence"), VARIABLES, ids=[name for name, *_ in VARIABLES])
def test_a_wrong_variable_is_named(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal() == f"streamer: {sentence}\n"


def test_a_file_of_settings_that_is_no_text_is_named() -> None:
    Path("streamer.toml").write_bytes(b"\xff\xfe")
    assert refusal() == "streamer: streamer.toml: expected text in UTF-8\n"


def test_a_file_of_settings_that_nobody_may_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("streamer.toml").touch()

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal() == "streamer: streamer.toml: permission denied\n"


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_is_named(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("STREAMER_PORT", str(port))
        outcome = CliRunner().invoke(main, [command, *(["--port", str(port)] if command == "demo" else [])])
    sentence = f"port {port} of 127.0.0.1 is taken: another program listens there"
    prefix = "streamer demo" if command == "demo" else "streamer"
    assert (outcome.exit_code, outcome.stderr) == (1, f"{prefix}: {sentence}\n")


def refusal() -> str:
    """Return the line with which a command refuses the settings."""
    outcome = CliRunner().invoke(main, ["worker"])
    assert outcome.exit_code == 2, outcome.output
    return outcome.stderr
