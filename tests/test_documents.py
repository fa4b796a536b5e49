"""The documents are true: their commands run, their settings load, their links lead somewhere.

The commands of every fenced shell block run for real, against one demo. NOT_RUN names those that cannot, with
the reason.
"""

import asyncio
import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streamer.cli import main
from streamer.events.decoding import DEAD_LETTER_TOPIC
from streamer.operations.validation import validate
from streamer.settings import KafkaSettings, load_settings
from streamer.web.credentials import password_hash
from streamer.worker import kafka
from tests.events.adapters.sample_payloads import sample_lines

ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
TEXTS = {
    name: (ROOT / name).read_text(encoding="utf-8") for name in [*DOCUMENTS, "CHANGELOG.md", "SECURITY.md"]
}
DEMO = ".venv/bin/streamer demo"
TIMEOUT_S = 120

NOT_RUN: Mapping[str, str] = {
    "python3 -m venv": "installs from the package index, as .ci/run does; the demo in it is run",
    "pytest": "the tests themselves",
    ".ci/run": "the tests themselves, and more",
    "ruff": "a step of .ci/run",
    "mypy": "a step of .ci/run",
    "lint-imports": "run by test_architecture.py",
    "streamer worker": "runs until it is stopped; the demo runs it",
    "streamer serve": "runs until it is stopped; the demo runs it",
    "streamer ingest": "runs until it is stopped; run by ingest/test_ingest_process.py",
    "docker compose": "needs Docker; docker-compose.yml is checked by test_compose.py",
    "systemctl": "needs services of the machine",
    "kafka-configs.sh": "is a program of Apache Kafka, and the cluster is an example",
    "kafka-acls.sh": "is a program of Apache Kafka; what it grants is tested in worker/test_secured_kafka.py",
    "redis-cli": "is a program of Redis, which the tests do without",
}
"""Commands by their beginning that are not run, with the reason."""

CANDIDATE = '[alerts.mine]\nkind = "drop"\nmetric = "csat_ratio"\n'
CALLS = (
    "call_id,queue,customer_id,agent_id,ended,wait,talk,outcome\n"
    "c1,sales,4711,17,2026-11-02T09:00:00Z,10,120,answered\n"
    "c2,sales,4712,,2026-11-02T09:05:00Z,31,,abandoned\n"
)
QUEUE_LOG = (
    "1777896000|1.1|sales|NONE|ENTERQUEUE||600123456|1\n"
    "1777896010|1.1|sales|SIP/ann|CONNECT|10|1.2|3\n"
    "1777896100|1.1|sales|SIP/ann|COMPLETEAGENT|10|90|1\n"
)
NEEDS_LETTER = ("docs/operations.md", "docs/sources.md")
"""Documents whose commands close a dead letter: their commands run one after the other."""


class CommandOutcome(NamedTuple):
    """A command of a document, its exit code, and what it printed."""

    document: str
    command: str
    code: int
    output: str


class DemoCenter(NamedTuple):
    """The running demo: its Kafka, and the environment that the line it prints sets."""

    kafka: str
    environment: Mapping[str, str]


def fenced_blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[document], re.MULTILINE | re.DOTALL)


def shell_commands(document: str) -> list[str]:
    """Return the commands of the shell blocks, without comments, each once."""
    lines = [line for block in fenced_blocks(document, "sh") for line in block.splitlines()]
    stripped_lines = [re.sub(r"(^|\s+)#.*", "", line).strip() for line in lines]
    return list(dict.fromkeys(line for line in stripped_lines if line))


def reason_not_to_run(command: str) -> str | None:
    return next(
        (reason for beginning, reason in NOT_RUN.items() if re.match(rf"{re.escape(beginning)}\b", command)),
        None,
    )


RUN = {
    document: [command for command in shell_commands(document) if reason_not_to_run(command) is None]
    for document in DOCUMENTS
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoCenter]:
    """The README's demo, on any free port."""
    assert any(command.endswith(f" && {DEMO}") for command in shell_commands("README.md"))
    folder = tmp_path_factory.mktemp("demo")
    _link_environment(folder)
    with subprocess.Popen(
        [*shlex.split(f"{folder}/{DEMO}"), "--port", "0"],
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            (export,) = (line for line in _lines_until(process.stdout, "Ctrl-C") if "export " in line)
            variables = dict(item.split("=", 1) for item in export.split()[1:])
            yield DemoCenter(variables["STREAMER_KAFKA"], variables)
        finally:
            process.terminate()
            process.wait(60)


def _lines_until(lines: Iterator[str], last: str) -> Iterator[str]:
    for line in lines:
        yield line
        if last in line:
            return


def _link_environment(folder: Path) -> None:
    """Make .venv/bin, where the README installs, of the environment of the tests."""
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    return own | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="module")
def receiver_url() -> Iterator[str]:
    """The address of a receiver that takes every message."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def outcomes(
    demo: DemoCenter, receiver_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Sequence[CommandOutcome]]:
    """The outcomes of all commands by document. Two lanes of documents run side by side."""

    def run_documents(documents: Sequence[str]) -> list[tuple[str, list[CommandOutcome]]]:
        return [
            (document, list(_run_document(document, demo, receiver_url, tmp_path_factory.mktemp("document"))))
            for document in documents
        ]

    lanes = [NEEDS_LETTER, [document for document in DOCUMENTS if document not in NEEDS_LETTER]]
    with ThreadPoolExecutor(len(lanes)) as pool:
        return dict(item for lane in pool.map(run_documents, lanes) for item in lane)


def _run_document(
    document: str, demo: DemoCenter, receiver_url: str, folder: Path
) -> Iterator[CommandOutcome]:
    _prepare_folder(document, folder, receiver_url)
    environment = _environment() | demo.environment
    if document in NEEDS_LETTER:
        environment["LETTER"] = asyncio.run(_send_off_scale(demo.kafka))
    for command in RUN[document]:
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            input="open sesame\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        yield CommandOutcome(document, command, process.returncode, process.stdout)


def _prepare_folder(document: str, folder: Path, receiver_url: str) -> None:
    """Write the files that the commands read."""
    _link_environment(folder)
    for name in ("docs", "grafana"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "candidate.toml").write_text(CANDIDATE)
    (folder / "calls.csv").write_text(CALLS)
    (folder / "queue_log").write_text(QUEUE_LOG)
    (folder / "records.ndjson.gz").write_bytes(gzip.compress(sample_lines("amazon-connect")[0].encode()))
    if document == "docs/alerts.md":
        (folder / "streamer.toml").write_text(f'[receivers.desk]\nurl = "{receiver_url}"\n')


async def _send_off_scale(broker: str) -> str:
    """Send a survey answer that is off its scale. Return its coordinates once it is a dead letter."""
    answer = {
        "response_id": "r2",
        "answered_at": time.time_ns() // 10**9,
        "queue": "hello",
        "answers": {"nps": 11},
    }
    producer = await kafka.start_producer(KafkaSettings(bootstrap_servers=broker))
    record = await producer.send_and_wait("survey-completed", json.dumps(answer).encode())
    await producer.stop()
    coordinates = f"survey-completed:{record.partition}:{record.offset}"
    partition_count = (await kafka.count_partitions(KafkaSettings(bootstrap_servers=broker)))[
        DEAD_LETTER_TOPIC
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(DEAD_LETTER_TOPIC, number) for number in range(partition_count)])
        async with asyncio.timeout(TIMEOUT_S):
            async for letter in consumer:
                if letter.key == coordinates.encode():
                    return coordinates
    finally:
        await consumer.stop()
    raise AssertionError("unreachable: the consumer goes on until it is stopped")


COMMANDS = [(document, command) for document in DOCUMENTS for command in RUN[document]]


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_command_runs_as_it_is_written(
    document: str, command: str, outcomes: Mapping[str, Sequence[CommandOutcome]]
) -> None:
    (outcome,) = (outcome for outcome in outcomes[document] if outcome.command == command)
    assert outcome.code == 0, outcome.output


def test_the_first_event_makes_a_number_move(outcomes: Mapping[str, Sequence[CommandOutcome]]) -> None:
    sent, shown = outcomes["README.md"]
    assert "1 event sent" in sent.output
    assert re.search(r"hello .* 100\.0 .* 1 ", shown.output), shown.output


def test_every_reason_not_to_run_a_command_has_its_command() -> None:
    commands = [command for document in DOCUMENTS for command in shell_commands(document)]
    unused = [
        beginning
        for beginning in NOT_RUN
        if not any(re.match(rf"{re.escape(beginning)}\b", command) for command in commands)
    ]
    assert unused == []


def test_no_document_hides_a_command_in_a_block_that_is_not_run() -> None:
    languages = {
        language
        for document in DOCUMENTS
        for language in re.findall(r"^```(\w+)$", TEXTS[document], re.MULTILINE)
    }
    assert languages <= {"sh", "toml", "ini"}


ALTERNATIVES = ("docs/kafka.md", "docs/security.md")
"""Documents whose blocks of settings are alternatives; those of others are parts of one file."""
PASSWORD_HASH = password_hash("open sesame")


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if fenced_blocks(name, "toml")])
def test_settings_in_a_document_are_valid(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = fenced_blocks(document, "toml")
    for text in blocks if document in ALTERNATIVES else ["\n".join(blocks)]:
        text = text.replace("$argon2id$…", PASSWORD_HASH).replace("whsec_…", "whsec_" + "A" * 32)
        text = re.sub(r'"([0-9a-f]+)…"', lambda match: f'"{match[1]:0<64}"', text)
        for name in re.findall(r'^ssl_\w+_file = "([\w.]+)"', text, re.MULTILINE):
            (tmp_path / name).touch()
        (tmp_path / "streamer.toml").write_text(text)
        validate(load_settings())


@pytest.mark.parametrize("document", TEXTS)
def test_links_lead_to_files_and_headings(document: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[document]):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        assert not heading or heading in _headings(file), target


def _headings(file: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_operations_have_a_row_for_every_command() -> None:
    rows = re.findall(r"^\| `streamer ([\w-]+)", TEXTS["docs/operations.md"], re.MULTILINE)
    visible = {name for name, command in main.commands.items() if not command.hidden}
    assert set(rows) == visible


def test_the_readme_is_two_screens() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 100
