"""Generate the content of all derived files, and compare it with the files on disk."""

from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import yaml

from streamer.derived import configuration, dashboards, reference
from streamer.derived.alerts import alerts
from streamer.derived.audit import audit
from streamer.derived.health import PIPELINE, RECORDED
from streamer.derived.pipeline import pipeline
from streamer.derived.routing import alertmanager
from streamer.derived.rules import Group, Recording, rule_file, trial_file
from streamer.derived.supervisor import supervisor
from streamer.derived.wall import wall
from streamer.settings import Settings

HEAD: Final = "# Written by `streamer derive` from the catalogue and the settings; changes here are lost.\n"
WIDTH: Final = 110


def derive(root: Path, settings: Settings) -> dict[Path, str]:
    """Return the content of each file. Raises MarkersError, and SettingsError for invalid alert rules."""
    found = {root / "grafana" / path: text for path, text in _grafana(settings).items()}
    return reference.derive(root) | dict(sorted(found.items()))


def check(root: Path, settings: Settings) -> list[str]:
    """Return the differences from the files on disk, as lines of a unified diff; empty if there are none."""
    try:
        wanted = derive(root, settings)
    except reference.MarkersError as error:
        return [str(error)]
    differing = [line for path, text in wanted.items() for line in _differences(root, path, text)]
    return differing + [
        f"{path.relative_to(root)}: not derived; delete it" for path in _strangers(root, wanted)
    ]


def _grafana(settings: Settings) -> dict[str, str]:
    boards = [page(settings) for page in (wall, supervisor, pipeline)]
    return {
        **{f"dashboards/{board.slug}.json": dashboards.written(board, settings) for board in boards},
        **{path: written(document) for path, document in _documents(settings).items()},
    }


def _documents(settings: Settings) -> dict[str, Mapping[str, Any]]:
    audits, passed_on = audit(settings), alerts(settings)
    recorded = [RECORDED, *(_part(group, recording=True) for group in audits)]
    alerting = [PIPELINE, *(_part(group, recording=False) for group in audits), passed_on]
    files = [f"../{name}" for name in configuration.RULES]
    return {
        "prometheus/prometheus.yml": configuration.PROMETHEUS,
        "prometheus/recording.yml": rule_file(recorded),
        "prometheus/alerts.yml": rule_file(alerting),
        "prometheus/tests/alerts.yml": trial_file([passed_on], files),
        "prometheus/tests/audit.yml": trial_file(audits, files, evaluated="5m"),
        "prometheus/tests/pipeline.yml": trial_file([PIPELINE], files),
        "prometheus/alertmanager.yml": alertmanager(settings),
        "provisioning/datasources/streamer.yml": configuration.SOURCES,
        "provisioning/dashboards/streamer.yml": configuration.DASHBOARDS,
    }


def _part(group: Group, recording: bool) -> Group:
    rules = (rule for rule in group.rules if isinstance(rule, Recording) is recording)
    return Group(group.name + ("_recorded" if recording else ""), tuple(rules))


class _Dumper(yaml.SafeDumper):
    """A dumper that writes multi-line texts as blocks, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def written(document: Mapping[str, Any]) -> str:
    """Encode a document as YAML below a header that says how it was generated."""
    return HEAD + yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)


def _differences(root: Path, path: Path, wanted: str) -> list[str]:
    there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    name = str(path.relative_to(root))
    return list(unified_diff(there, wanted.splitlines(), name, f"{name} (derived)", lineterm="", n=0))


def _strangers(root: Path, wanted: Mapping[Path, str]) -> list[Path]:
    """List the files below grafana/ that are no longer generated."""
    there = {path for path in (root / "grafana").rglob("*") if path.is_file()}
    return sorted(there - wanted.keys())
