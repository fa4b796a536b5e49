"""docs/settings.md follows from the settings' classes."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from pydantic import BaseModel

from streamer.artefacts.settings_reference import setting_meanings, settings_tables
from streamer.settings import Settings
from streamer.settings.named_tables import QueueSettings

REBUILD = "Changing it asks for a rebuild."


def _tables() -> Mapping[str, Mapping[str, list[str]]]:
    """Return the cells of each row by heading ("" is the first table) and setting."""
    tables: dict[str, dict[str, list[str]]] = {"": {}}
    heading = ""
    for line in settings_tables().splitlines():
        if line.startswith("### "):
            heading = line.strip("#` ")
            tables[heading] = {}
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            tables[heading][cells[0].strip("`")] = cells[1:]
    return tables


TABLES = _tables()


def _settings_classes() -> Iterator[type[BaseModel]]:
    def subclasses(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
        for settings_class in base.__subclasses__():
            yield settings_class
            yield from subclasses(settings_class)

    for settings_class in subclasses(BaseModel):
        if settings_class.__module__.startswith("streamer.settings"):
            yield settings_class


CLASSES = [one for one in _settings_classes() if not one.__name__.startswith("Former")]


@pytest.mark.parametrize("settings_class", CLASSES, ids=lambda one: one.__name__)
def test_every_setting_of_every_class_has_a_row_with_its_meaning(settings_class: type[BaseModel]) -> None:
    names = [field.alias or name for name, field in settings_class.model_fields.items()]
    rows = [table for table in TABLES.values() if [*table][: len(names)] == names]
    assert rows, f"no table has exactly the settings of {settings_class.__name__}"
    meanings = setting_meanings(settings_class)
    assert [name for name in settings_class.model_fields if not meanings.get(name)] == []


@pytest.mark.parametrize(
    ("heading", "setting", "type_name", "default"),
    [
        ("", "kafka", "table", "–"),
        ("[kafka]", "bootstrap_servers", "text", '`"127.0.0.1:9092"`'),
        ("", "timezone", "time zone", '`"UTC"`'),
        ("", "horizon", "duration", '`"35d"`'),
        ("", "metrics_port", "whole number, 0 to 65535", "–"),
        ("", "shared_id_limit", "whole number, 1 or more", "`500`"),
        ("", "fcr_same_reason", "true or false", "`false`"),
        ("", "queues", "tables", "–"),
        ("", "customer_keys", "table of text, kept secret", "–"),
        ("[queues.NAME]", "timezone", "time zone", "–"),
        ("[targets]", "abandon_ratio", 'number, or `"none"`', "`0.05`"),
        ("[alerts.NAME]", "for", "duration", '`"0s"`'),
        ("[alerts.NAME]", "false_alarms", "number above 0", "`1`"),
        ("[users.NAME]", "role", "`viewer`, `supervisor` or `admin`", "required"),
        ("[[agents.ID.teams]]", "from", "day", "–"),
    ],
)
def test_a_row_has_type_and_default(heading: str, setting: str, type_name: str, default: str) -> None:
    assert TABLES[heading][setting][:2] == [type_name, default]


class _ReadNames:
    """A stand-in for an object that remembers which of its attributes are read."""

    def __init__(self, original: object) -> None:
        self.original, self.names = original, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(self.original, name)


def test_a_rebuild_is_announced_where_the_counting_rules_read_the_setting() -> None:
    queue = _ReadNames(QueueSettings())
    settings = _ReadNames(Settings.model_construct(queues={"billing": cast(QueueSettings, queue)}))
    Settings.counting_rules(cast(Settings, settings))
    announced = {name for name, text in setting_meanings(Settings).items() if REBUILD in text}
    assert announced == settings.names - {"queues"}
    assert {name for name, text in setting_meanings(QueueSettings).items() if REBUILD in text} == queue.names


def test_the_default_alert_rules_are_listed() -> None:
    assert '`metric = "nps_score"`' in TABLES["The default alert rules"]["nps-drop"][0]
