"""Tests: no name in the settings holds signs that cannot be seen or that a terminal obeys."""

import json
from pathlib import Path

import pytest

from streamer.settings import SettingsError, load_settings

TABLES = """queues.NAME.timezone = "Europe/Paris"|names.queue.q1 = "NAME"|names.queue.NAME = "Billing"
views.NAME.window = "1h"|views.wall.title = "NAME"|views.wall.queues = ["NAME"]|alerts.NAME.enabled = false
alerts.nps-drop.key = "NAME"|receivers.NAME.url = "https://chat.example.org"|targets.queues.NAME.nps_score = 3
agents.NAME.teams = [{team = "red"}]|agents.a1.teams = [{team = "NAME"}]|agents.a1.teams = [{site = "NAME"}]
users.NAME.role = "viewer"|displays.NAME.token = "TOKEN"
users.sue = {role = "supervisor", teams = ["NAME"]}""".replace("\n", "|").split("|")
HARMFUL = ("\u202e", "\u2066", "\u2028", "\u200b", "\ufeff", "\x9b", "\x1b", "\n")


def written(table: str, name: str) -> str:
    quoted = json.dumps(name, ensure_ascii=False)[1:-1]
    key = table.partition(" = ")[0].replace("NAME", f'"{quoted}"')
    return f"{key} = {table.partition(' = ')[2]}".replace("NAME", quoted).replace("TOKEN", "0" * 64)


@pytest.mark.parametrize("table", TABLES)
def test_a_name_is_refused_for_signs_that_cannot_be_seen(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for harmful in HARMFUL:
        Path("streamer.toml").write_text(written(table, f"bill{harmful}ing"))
        with pytest.raises(SettingsError, match="a name without control or invisible characters") as refusal:
            load_settings()
        assert str(refusal.value).isprintable()
    Path("streamer.toml").write_text(written(table, "می\u200cخواهم 👩\u200d💻"))
    load_settings()
