"""Generate the content of all generated files, and compare it with the files on disk."""

from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import yaml

from streamer.artefacts import dashboards, service_config
from streamer.artefacts.alert_forwarding import forwarding_group
from streamer.artefacts.alert_routing import alertmanager_config
from streamer.artefacts.marked_text import MarkersError
from streamer.artefacts.metric_reference import generate_metric_reference
from streamer.artefacts.pipeline_alerts import PIPELINE_ALERTS, PIPELINE_RECORDINGS
from streamer.artefacts.pipeline_dashboard import pipeline_page
from streamer.artefacts.prometheus_rules import RecordingRule, RuleGroup, rule_file, rule_test_file
from streamer.artefacts.self_audit import audit_groups
from streamer.artefacts.settings_reference import generate_settings_reference
from streamer.artefacts.supervisor_dashboard import supervisor_page
from streamer.artefacts.wall_dashboard import wall_page
from streamer.settings import Settings

HEADER: Final = "# Do not edit: `streamer generate` writes this file from the catalogue and the settings.\n"
WIDTH: Final = 110


def generate_files(root: Path, settings: Settings) -> dict[Path, str]:
    """Return the content of each file. Raises MarkersError, and SettingsError for invalid alert rules."""
    grafana_files = {root / "grafana" / path: text for path, text in _grafana_files(settings).items()}
    references = generate_metric_reference(root) | generate_settings_reference(root)
    return references | dict(sorted(grafana_files.items()))


def diff_files(root: Path, settings: Settings) -> list[str]:
    """Return the differences from the files on disk, as lines of a unified diff; empty if there are none."""
    try:
        contents = generate_files(root, settings)
    except MarkersError as error:
        return [str(error)]
    differing = [line for path, text in contents.items() for line in _diff_file(root, path, text)]
    return differing + [
        f"{path.relative_to(root)}: not generated; delete it" for path in _orphaned_files(root, contents)
    ]


def _grafana_files(settings: Settings) -> dict[str, str]:
    boards = [page(settings) for page in (wall_page, supervisor_page, pipeline_page)]
    return {
        **{f"dashboards/{board.slug}.json": dashboards.encode_dashboard(board, settings) for board in boards},
        **{path: encode_yaml(document) for path, document in _documents(settings).items()},
    }


def _documents(settings: Settings) -> dict[str, Mapping[str, Any]]:
    audits, passed_on = audit_groups(settings), forwarding_group(settings)
    recorded = [PIPELINE_RECORDINGS, *(_rules_of_kind(group, recording=True) for group in audits)]
    alerting = [PIPELINE_ALERTS, *(_rules_of_kind(group, recording=False) for group in audits), passed_on]
    files = [f"../{name}" for name in service_config.RULE_FILES]
    return {
        "prometheus/prometheus.yml": service_config.PROMETHEUS,
        "prometheus/recording.yml": rule_file(recorded),
        "prometheus/alerts.yml": rule_file(alerting),
        "prometheus/tests/alerts.yml": rule_test_file([passed_on], files),
        "prometheus/tests/audit.yml": rule_test_file(audits, files, evaluation_interval="5m"),
        "prometheus/tests/pipeline.yml": rule_test_file([PIPELINE_ALERTS], files),
        "prometheus/alertmanager.yml": alertmanager_config(settings),
        "provisioning/datasources/streamer.yml": service_config.DATASOURCES,
        "provisioning/dashboards/streamer.yml": service_config.DASHBOARD_PROVIDERS,
    }


def _rules_of_kind(group: RuleGroup, recording: bool) -> RuleGroup:
    rules = (rule for rule in group.rules if isinstance(rule, RecordingRule) is recording)
    return RuleGroup(group.name + ("_recorded" if recording else ""), tuple(rules))


class _BlockTextDumper(yaml.SafeDumper):
    """A dumper that writes multi-line texts as blocks, and no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_BlockTextDumper.add_representer(str, _represent_text)


def encode_yaml(document: Mapping[str, Any]) -> str:
    """Encode a document as YAML below a header that says how it was generated."""
    return HEADER + yaml.dump(
        dict(document), Dumper=_BlockTextDumper, sort_keys=False, allow_unicode=True, width=WIDTH
    )


def _diff_file(root: Path, path: Path, content: str) -> list[str]:
    current_lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    name = str(path.relative_to(root))
    return list(
        unified_diff(current_lines, content.splitlines(), name, f"{name} (generated)", lineterm="", n=0)
    )


def _orphaned_files(root: Path, contents: Mapping[Path, str]) -> list[Path]:
    """List the files below grafana/ that are no longer generated."""
    existing = {path for path in (root / "grafana").rglob("*") if path.is_file()}
    return sorted(existing - contents.keys())
