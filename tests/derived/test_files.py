"""`streamer derive` writes all generated files, and `--check` reports every difference."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.derived.reference import BEGIN, END

DERIVED = {
    "README.md",
    "grafana/dashboards/pipeline.json",
    "grafana/dashboards/supervisor.json",
    "grafana/dashboards/wall.json",
    "grafana/prometheus/alertmanager.yml",
    "grafana/prometheus/alerts.yml",
    "grafana/prometheus/prometheus.yml",
    "grafana/prometheus/recording.yml",
    "grafana/prometheus/tests/alerts.yml",
    "grafana/prometheus/tests/audit.yml",
    "grafana/prometheus/tests/pipeline.yml",
    "grafana/provisioning/dashboards/streamer.yml",
    "grafana/provisioning/datasources/streamer.yml",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    return tmp_path


def derive(*options: str) -> Result:
    return CliRunner().invoke(main, ["derive", *options])


def test_all_is_written_and_then_nothing_differs(place: Path) -> None:
    assert derive().exit_code == 0
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == DERIVED
    again = derive("--check")
    assert (again.exit_code, again.output) == (0, "")


@pytest.mark.parametrize("name", sorted(DERIVED - {"README.md"}))
def test_a_change_by_hand_is_shown(place: Path, name: str) -> None:
    derive()
    path = place / name
    path.write_text(path.read_text() + "changed\n")
    found = derive("--check")
    assert found.exit_code == 1
    assert f"--- {name}" in found.output
    assert "-changed" in found.output


def test_a_file_that_is_missing_is_shown(place: Path) -> None:
    derive()
    (place / "grafana/dashboards/wall.json").unlink()
    found = derive("--check")
    assert found.exit_code == 1
    assert "+++ grafana/dashboards/wall.json (derived)" in found.output


def test_a_file_that_nothing_derives_is_named(place: Path) -> None:
    derive()
    (place / "grafana/dashboards/mine.json").write_text("{}")
    found = derive("--check")
    assert (found.exit_code, found.output) == (1, "grafana/dashboards/mine.json: not derived; delete it\n")


def test_other_settings_are_shown(place: Path) -> None:
    derive()
    (place / "streamer.toml").write_text("targets.nps_score = 44\n")
    found = derive("--check")
    assert found.exit_code == 1
    assert '+                "value": 44' in found.output


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_alert_that_cannot_work_is_named(place: Path, options: tuple[str, ...]) -> None:
    (place / "streamer.toml").write_text('alerts.mine = {kind = "silence", metric = "happiness"}\n')
    found = derive(*options)
    assert found.exit_code == 2
    assert "alerts.mine.metric = 'happiness'" in found.output


def test_a_readme_without_its_markers_is_named(place: Path) -> None:
    (place / "README.md").write_text("")
    for options in ((), ("--check",)):
        found = derive(*options)
        assert found.exit_code == 1
        assert "README.md: expected the lines" in found.output


def test_without_its_extra_it_says_what_to_install() -> None:
    without = "import sys; sys.modules['yaml'] = None; from streamer.cli import main; main(['derive'])"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "streamer: derive: yaml is missing; install streamer with its extra: 'streamer[derive]'\n",
    )
