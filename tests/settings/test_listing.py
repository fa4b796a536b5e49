"""What `streamer config` prints: settings in force without secrets, and a schema that fits the documents."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from streamer.cli import main

DOCUMENTS = Path(__file__).parents[2]
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (f"{page.name}, example {number}", block)
    for page in sorted([DOCUMENTS / "README.md", *(DOCUMENTS / "docs").glob("*.md")])
    for number, block in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL), 1
    )
]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("an unknown name", {"timezon": "UTC"}),
    ("a duration without a unit", {"horizon": "35"}),
    ("an unknown name in a table", {"queues": {"sales": {"servce_level": "20s"}}}),
    ("a word that is none of a list", {"kafka": {"security_protocol": "TLS"}}),
    ("a port beyond all", {"port": 70_000}),
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(CliRunner().invoke(main, ["config", "schema"]).stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_schema_takes_every_example_of_the_documents(validator: Draft202012Validator) -> None:
    assert len(BLOCKS) > 10
    for name, block in BLOCKS:
        settings = json.loads(json.dumps(tomllib.loads(block), default=str))  # days as text, as in JSON
        problems = [error.message for error in validator.iter_errors(settings)]
        assert not problems, (name, problems)


@pytest.mark.parametrize(("name", "settings"), WRONG, ids=[name for name, _ in WRONG])
def test_the_schema_refuses(name: str, settings: dict[str, Any], validator: Draft202012Validator) -> None:
    assert not validator.is_valid(settings), name


def test_what_is_in_force_is_shown_with_its_place_and_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is itself a streamer.toml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMER_REDIS", "redis://:hunter2@db:6379/0")
    monkeypatch.setenv("STREAMER_REDIS_PASSWORD", "hunter3")
    token = "0" * 64
    Path("streamer.toml").write_text(
        f'[queues."Sales, EU"]\nservice_level = "90s"\n[users.ann]\nrole = "viewer"\ntokens = ["{token}"]\n'
    )
    output = CliRunner().invoke(main, ["config", "show"]).stdout
    assert {line.replace("…", "hidden") for line in output.splitlines()} == {
        'redis = "hidden"  # STREAMER_REDIS',
        'redis_password = "hidden"  # STREAMER_REDIS_PASSWORD',
        'queues."Sales, EU".service_level = "90s"  # streamer.toml, line 2',
        'users.ann.role = "viewer"  # streamer.toml, line 4',
        'users.ann.tokens = ["hidden"]  # streamer.toml, line 5',
    }
    assert 'retention = "100d"' in CliRunner().invoke(main, ["config", "show", "--all"]).stdout
    assert tomllib.loads(output)["users"]["ann"]["role"] == "viewer"
