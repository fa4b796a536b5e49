"""Teams and sites of agents in streamer.toml: valid tables and rejected ones."""

from pathlib import Path

import pytest

from streamer.events.agent_directory import TeamMembership
from streamer.settings import Settings, SettingsError, load_settings

HOUR = 3_600_000
FIRST_OF_JULY = 1_782_864_000_000
"""At midnight, in UTC."""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "streamer.toml"
    path.touch()
    monkeypatch.setenv("STREAMER_CONFIG", str(path))
    return path


def settings(written: Path, teams: str, before: str = "") -> Settings:
    written.write_text(f"{before}\n[agents.17]\nteams = [{teams}]\n")
    return load_settings()


@pytest.mark.parametrize(("zone", "shift"), [("UTC", 0), ("Europe/Madrid", -2 * HOUR)])
def test_a_last_day_lasts_until_its_midnight_in_the_center_s_zone(
    zone: str, shift: int, written: Path
) -> None:
    teams = '{team = "red", to = 2026-06-30}, {team = "blue", site = "madrid", from = "2026-07-01"}'
    directory = settings(written, teams, f'timezone = "{zone}"').directory()
    midnight = FIRST_OF_JULY + shift
    assert directory.membership_at("17", midnight - 1) == TeamMembership("red", None, None, midnight)
    assert directory.membership_at("17", midnight) == TeamMembership("blue", "madrid", midnight, None)
    assert directory.membership_at("18", midnight) == TeamMembership()


def test_between_two_stays_nothing_is_known(written: Path) -> None:
    teams = '{team = "red", to = 2026-06-29}, {team = "red", from = 2026-07-01}'
    directory = settings(written, teams).directory()
    known = [directory.membership_at("17", FIRST_OF_JULY + day * 24 * HOUR).team for day in (-2, -1, 0)]
    assert known == ["red", None, "red"]


@pytest.mark.parametrize(
    ("teams", "said"),
    [
        ("", r"agents\.17\.teams = \[\]"),
        ("{from = 2026-01-01}", "a team or a site, or both"),
        ('{team = ""}', r"agents\.17\.teams\.0\.team"),
        ('{team = "a", from = 2026-01-02, to = 2026-01-01}', "a last day `to` that is not before"),
        ('{team = "a", to = 2026-01-02}, {team = "b", from = 2026-01-02}', "days that do not overlap"),
        ('{team = "a"}, {team = "b"}', "days that do not overlap"),
        ('{team = "a", from = "then"}', r"agents\.17\.teams\.0\.from"),
        ('{team = "a", queue = "b"}', r"agents\.17\.teams\.0\.queue: there is no such setting"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(teams: str, said: str, written: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        settings(written, teams)


def test_a_stay_of_one_day_and_the_last_day_of_all_are_days(written: Path) -> None:
    one = '{team = "a", from = 2026-07-01, to = 2026-07-01}, {team = "b", from = 2026-07-02, to = 9999-12-31}'
    directory = settings(written, one).directory()
    assert directory.membership_at("17", FIRST_OF_JULY) == TeamMembership(
        "a", None, FIRST_OF_JULY, FIRST_OF_JULY + 24 * HOUR
    )
    assert directory.membership_at("17", FIRST_OF_JULY + 24 * HOUR).end_ms is None


TABLE = """agent,team,site,from,to
17,red,madrid,,2026-06-30
17,blue,madrid,2026-07-01,
18,red,,,
"""


def test_a_table_says_the_same(written: Path) -> None:
    written.with_name("agents.csv").write_text(TABLE, encoding="utf-8-sig")
    directory = load_settings(agents_file=written.with_name("agents.csv")).directory()
    assert directory.membership_at("17", FIRST_OF_JULY - 1) == TeamMembership(
        "red", "madrid", None, FIRST_OF_JULY
    )
    assert directory.membership_at("17", FIRST_OF_JULY) == TeamMembership(
        "blue", "madrid", FIRST_OF_JULY, None
    )
    assert directory.membership_at("18", 0) == TeamMembership("red")


def test_an_agent_of_the_settings_is_as_the_settings_say(written: Path) -> None:
    written.with_name("agents.csv").write_text(TABLE)
    before = f'agents_file = "{written.with_name("agents.csv")}"'
    directory = settings(written, '{team = "own"}', before).directory()
    assert directory.membership_at("17", FIRST_OF_JULY) == TeamMembership("own")
    assert directory.membership_at("18", FIRST_OF_JULY) == TeamMembership("red")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "expected a header of agent, team, site, from, to"),
        ("agent;team\n17;red\n", "expected a header of"),
        ("agent,team,queue\n", "expected a header of"),
        ("agent,team\n17,red\n,blue\n", "expected an agent in line 3"),
        ("agent,team\n1\u202e7,red\n", "expected an agent without .* invisible characters in line 2"),
        ("agent,team\n17,re\u200bd\n", "agent 17: expected a name without control or invisible"),
        ("agent,team\n17,red,blue\n", "expected an agent in line 2"),
        ("agent,team,from\n17,red,yesterday\n", "agent 17: expected .*date"),
        ("agent,team\n17,red\n17,blue\n", "agent 17: expected days that do not overlap"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_by_its_place(table: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "agents.csv"
    file.write_text(table)
    with pytest.raises(SettingsError, match=said):
        load_settings(agents_file=file).directory()


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"agents_file = .*agents\.csv: .*No such file"):
        load_settings(agents_file=tmp_path / "agents.csv").directory()
