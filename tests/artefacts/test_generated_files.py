"""`streamer generate` writes all generated files, and `--check` reports every difference."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamer.artefacts.marked_text import begin_marker, end_marker
from streamer.cli import main

REFERENCES = {"docs/metrics.md": "metrics", "docs/settings.md": "settings"}
GENERATED = {
    *REFERENCES,
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
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name, part in REFERENCES.items():
        (tmp_path / name).write_text(f"{begin_marker(part)}\n{end_marker(part)}\n")
    return tmp_path


def run_generate(*options: str) -> Result:
    return CliRunner().invoke(main, ["generate", *options])


def test_all_is_written_and_then_nothing_differs(project: Path) -> None:
    assert run_generate().exit_code == 0
    assert {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()} == GENERATED
    again = run_generate("--check")
    assert (again.exit_code, again.output) == (0, "")


@pytest.mark.parametrize("name", sorted(GENERATED - {*REFERENCES}))
def test_a_change_by_hand_is_shown(project: Path, name: str) -> None:
    run_generate()
    path = project / name
    path.write_text(path.read_text() + "changed\n")
    result = run_generate("--check")
    assert result.exit_code == 1
    assert f"--- {name}" in result.output
    assert "-changed" in result.output


def test_a_file_that_is_missing_is_shown(project: Path) -> None:
    run_generate()
    (project / "grafana/dashboards/wall.json").unlink()
    result = run_generate("--check")
    assert result.exit_code == 1
    assert "+++ grafana/dashboards/wall.json (generated)" in result.output


def test_a_file_that_nothing_generates_is_named(project: Path) -> None:
    run_generate()
    (project / "grafana/dashboards/mine.json").write_text("{}")
    result = run_generate("--check")
    assert (result.exit_code, result.output) == (
        1,
        "grafana/dashboards/mine.json: not generated; delete it\n",
    )


def test_other_settings_are_shown(project: Path) -> None:
    run_generate()
    (project / "streamer.toml").write_text("targets.nps_score = 44\n")
    result = run_generate("--check")
    assert result.exit_code == 1
    assert '+                "value": 44' in result.output


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_alert_that_cannot_work_is_named(project: Path, options: tuple[str, ...]) -> None:
    (project / "streamer.toml").write_text('alerts.mine = {kind = "no_data", metric = "happiness"}\n')
    result = run_generate(*options)
    assert result.exit_code == 2
    assert "alerts.mine.metric = 'happiness'" in result.output


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_changed_by_hand_is_shown(project: Path, name: str) -> None:
    run_generate()
    path = project / name
    path.write_text(path.read_text().replace("| --- |", "| changed |", 1))
    result = run_generate("--check")
    assert result.exit_code == 1
    assert f"--- {name}" in result.output
    assert "-| changed |" in result.output


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_without_its_markers_is_named(project: Path, name: str) -> None:
    (project / name).write_text("")
    for options in ((), ("--check",)):
        result = run_generate(*options)
        assert result.exit_code == 1
        assert f"{name}: expected the lines" in result.output


def test_without_its_extra_it_says_what_to_install() -> None:
    without = "import sys; sys.modules['yaml'] = None; from streamer.cli import main; main(['generate'])"
    process = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (
        1,
        "streamer: generate: yaml is missing: pip install 'contact-center-streamer[generate]'\n",
    )


def test_the_former_name_of_the_command_does_the_same_but_is_not_listed(project: Path) -> None:
    assert CliRunner().invoke(main, ["derive"]).exit_code == 0
    again = run_generate("--check")
    assert (again.exit_code, again.output) == (0, "")
    (project / "grafana/dashboards/wall.json").unlink()
    assert CliRunner().invoke(main, ["derive", "--check"]).exit_code == 1
    commands = CliRunner().invoke(main, ["--help"]).output
    assert "  generate " in commands
    assert "derive" not in commands
