"""Secrets: read from files, and printed by no command, whatever fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.settings import Settings, SettingsError, load_settings
from tests.parts.server import free_port

SECRET = "s3cr3t-4711-never-shown"
HASH = "0" * 64
ARGON = "$argon2id$v=19$" + SECRET

FILES: list[tuple[str, str, str]] = [
    ("REDIS", "redis", f"redis://:{SECRET}@redis:6379/0"),
    ("REDIS_PASSWORD", "redis_password", SECRET),
    ("CUSTOMER_KEYS__1", "customer_keys.1", SECRET * 2),
    ("RECEIVERS__OPS__URL", "receivers.ops.url", f"https://chat.example/{SECRET}"),
    ("USERS__ANN__PASSWORD", "users.ann.password", ARGON),
    ("DISPLAYS__LOBBY__TOKEN", "displays.lobby.token", HASH),
    ("SOURCES__DELIGHTED__SECRET", "sources.delighted.secret", SECRET),
]
"""Variable, setting and value of each kind of secret."""

URLS: list[tuple[str, str]] = [
    ("nothing listens", f"redis://:{SECRET}@127.0.0.1:{{free}}/0"),
    ("another password", f"redis://:{SECRET}@{{server}}/0"),
    ("another user", f"redis://{SECRET}:{SECRET}@{{server}}/0"),
    ("TLS where the server has none", f"rediss://:{SECRET}@{{server}}/0"),
    ("no Sentinel listens", f"redis+sentinel://:{SECRET}@127.0.0.1:{{free}}/service"),
    ("a slash in the password", f"redis://:/{SECRET}@127.0.0.1:{{free}}/0"),
    ("a password as port", f"redis://127.0.0.1:{SECRET}/0"),
    ("a bracket in the password", f"redis://:[{SECRET}@127.0.0.1/0"),
    ("an unknown scheme", f"http://:{SECRET}@127.0.0.1/0"),
    ("no scheme", SECRET),
    ("a wrong option", f"redis://:{SECRET}@{{server}}/0?db={SECRET}"),
    ("an unknown option", f"redis://:{SECRET}@{{server}}/0?option={SECRET}"),
]
COMMANDS = (
    "worker", "serve", "check", "rebuild", "ingest delighted", "query nps_score", "alerts list",
    "forget --list", "dead-letters list",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings of this machine nor its servers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMER_KAFKA", f"127.0.0.1:{free_port()}")


def secret_at(settings: Settings, path: str) -> str:
    value: Any = settings
    for step in path.split("."):
        value = value[step] if isinstance(value, dict) else getattr(value, step)
    text: str = value.get_secret_value()
    return text


@pytest.mark.parametrize(("variable", "path", "value"), FILES, ids=[path for _, path, _ in FILES])
def test_a_secret_is_read_from_the_file_that_its_variable_names(
    variable: str, path: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{value}\n")
    monkeypatch.setenv(f"STREAMER_{variable}_FILE", str(file))
    monkeypatch.setenv("STREAMER_USERS__ANN__ROLE", "admin")
    settings = load_settings()
    assert secret_at(settings, path) == value
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()


def test_secrets_of_a_table_are_read_from_one_file_of_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text(json.dumps({"1": SECRET * 2}))
    monkeypatch.setenv("STREAMER_CUSTOMER_KEYS_FILE", str(tmp_path / "keys"))
    assert secret_at(load_settings(), "customer_keys.1") == SECRET * 2


def test_a_password_set_apart_is_that_of_the_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("a/b@c\n")
    monkeypatch.setenv("STREAMER_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    settings = load_settings(redis="redis://old:former@redis:6379/2", redis_username="app")
    assert settings.redis_url() == "redis://app:a%2Fb%40c@redis:6379/2"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"REDIS_PASSWORD_FILE": "gone"}, "redis_password_file = gone: No such file or directory"),
        ({"REDIS_PASSWORD_FILE": "empty"}, "redis_password_file = empty: the file is empty"),
        (
            {"REDIS_PASSWORD_FILE": "empty", "REDIS_PASSWORD": SECRET},
            "redis_password: expected a value or a file, not both",
        ),
        ({"RECEIVERS__OPS__URL": SECRET}, "receivers.ops.url: expected an address that begins with https"),
        ({"USERS": f'{{"ann": "{SECRET}"}}'}, "users.ann: expected input should be a valid dictionary"),
        ({"CUSTOMER_KEYS": SECRET}, "customer_keys: expected JSON"),
        ({"REDIS": SECRET}, "redis: expected a URL such as redis://127.0.0.1:6379/0"),
        (
            {"REDIS": f"redis://:{SECRET}@redis:6379", "REDIS_TLS_CA_CERT_FILE": "ca.pem"},
            "settings: expected redis to begin with rediss://",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_secret_is_refused_in_one_line_that_does_not_show_it(
    environment: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("empty").write_text("\n")
    for name, value in environment.items():
        monkeypatch.setenv(f"STREAMER_{name}", value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(sentence)
    assert SECRET not in str(raised.value)
    outcome = CliRunner().invoke(main, ["query", "nps_score"])
    assert (outcome.exit_code, outcome.output) == (2, f"streamer: {raised.value}\n")


def test_a_file_that_is_no_toml_is_refused_in_one_line() -> None:
    Path("streamer.toml").write_text(f"redis_password = {SECRET}")
    outcome = CliRunner().invoke(main, ["query", "nps_score"])
    assert outcome.exit_code == 2
    assert outcome.output.startswith("streamer: streamer.toml: expected TOML: Invalid value (at line 1")
    assert SECRET not in outcome.output


@pytest.mark.parametrize(("_case", "url"), URLS, ids=[case for case, _ in URLS])
def test_no_command_that_fails_prints_the_password_of_redis(
    _case: str, url: str, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = store_url.rpartition("@")[2].removesuffix("/0")
    monkeypatch.setenv("STREAMER_REDIS", url.format(free=free_port(), server=server))
    for command in COMMANDS if "rediss" not in url else ["query nps_score"]:  # which lets a client wait
        outcome = CliRunner().invoke(main, command.split())
        assert outcome.exit_code in (1, 2), command
        assert isinstance(outcome.exception, SystemExit), f"{command}: {outcome.exception!r}"
        assert SECRET not in outcome.output, command
        assert "check" in command or outcome.output.count("\n") == 1, command
