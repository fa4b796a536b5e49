"""Settings and values that were renamed: the old names are read with a warning until version 0.3."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from pydantic_settings import BaseSettings, SettingsConfigDict

FORMER_NAMES: Final[Mapping[str, str]] = {
    "crowd": "shared_id_limit",
    "formula": "service_level_formula",
    "pairs": "dimension_pairs",
    "least_support": "min_sample",
    "response_age": "survey_response_delay",
    "people": "users",
}
FORMER_QUEUE_NAMES: Final[Mapping[str, str]] = {"formula": "service_level_formula"}
FORMER_ALERT_NAMES: Final[Mapping[str, str]] = {
    "least_support": "min_sample",
    "clear": "keep_firing_for",
    "tell": "receivers",
}
FORMER_ALERT_KINDS: Final[Mapping[str, str]] = {"target": "threshold", "silence": "no_data"}
FORMER_DELIVERY_NAMES: Final[Mapping[str, str]] = {"via": "alertmanager_via", "keep": "retry_for"}

log = structlog.get_logger()


class FormerEnvironment(BaseSettings):
    """Variables of the environment under their former names: STREAMER_PEOPLE__ANN__ROLE."""

    model_config = SettingsConfigDict(env_prefix="STREAMER_", env_nested_delimiter="__")

    crowd: Any = None
    formula: Any = None
    pairs: list[str] = []
    least_support: Any = None
    response_age: Any = None
    people: dict[str, Any] = {}


def read_former_environment() -> dict[str, Any]:
    """Return what the environment sets under former names, by those names."""
    return FormerEnvironment().model_dump(exclude_unset=True)


def rename_former(former_names: Mapping[str, str], values: object) -> object:
    """Return a table of settings under today's names, and warn of each former one.

    Raises ValueError for a setting that is given under both names.

    >>> rename_former(FORMER_QUEUE_NAMES, {"service_level": "30s"})
    {'service_level': '30s'}
    """
    if not isinstance(values, Mapping):
        return values
    renamed = dict(values)
    for former_name in former_names.keys() & renamed.keys():
        name = former_names[former_name]
        if name in renamed:
            raise ValueError(f"{name} only, without {former_name}, its former name")
        renamed[name] = renamed.pop(former_name)
        log.warning("setting renamed", former=former_name, now=name, former_name_works_until="0.3")
    return renamed


def rename_former_kind(values: object) -> object:
    """Return the settings of an alert rule with today's name of its kind, and warn of a former one.

    >>> rename_former_kind({"kind": "drop"})
    {'kind': 'drop'}
    """
    if not isinstance(values, Mapping) or not isinstance(former_kind := values.get("kind"), str):
        return values
    if former_kind not in FORMER_ALERT_KINDS:
        return values
    kind = FORMER_ALERT_KINDS[former_kind]
    former, now = f'kind = "{former_kind}"', f'kind = "{kind}"'
    log.warning("setting renamed", former=former, now=now, former_name_works_until="0.3")
    return {**values, "kind": kind}
