"""Variables of the environment: tables by one underscore or two, and names that set nothing."""

from collections.abc import Mapping

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.settings import ignored_variables, load_settings
from tests.parts.server import free_port

SPELLINGS: list[tuple[str, Mapping[str, str]]] = [
    ("two underscores", {"KAFKA__SECURITY_PROTOCOL": "SSL", "KAFKA__BOOTSTRAP_SERVERS": "kafka:9093"}),
    ("one underscore", {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_BOOTSTRAP_SERVERS": "kafka:9093"}),
    ("the address alone beside it", {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA": "kafka:9093"}),
]


@pytest.mark.parametrize(("sentence", "variables"), SPELLINGS, ids=[name for name, _ in SPELLINGS])
def test_a_setting_of_a_table_is_read(
    sentence: str, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"STREAMER_{name}", value)
    kafka = load_settings().kafka
    assert (kafka.security_protocol, kafka.bootstrap_servers) == ("SSL", "kafka:9093"), sentence


def test_a_variable_that_sets_nothing_is_named_by_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMER_KAFKA", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("STREAMER_REDIS", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.setenv("STREAMER_IMAGE_TAG", "30s")
    monkeypatch.setenv("STREAMER_CROWD", "100")  # a former name
    assert ignored_variables() == ["STREAMER_IMAGE_TAG"]
    output = CliRunner().invoke(main, ["check"]).output
    assert "warn  settings: no such setting: STREAMER_IMAGE_TAG" in output, output
