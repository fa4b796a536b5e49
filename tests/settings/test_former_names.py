"""Settings under their former names are read, with a warning."""

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamer.settings import Settings, SettingsError, load_settings

ROWS = [
    ("the limit of shared ids", {"crowd": 7}, {"shared_id_limit": 7}),
    ("the formula", {"formula": "ignore"}, {"service_level_formula": "ignore"}),
    ("pairs of dimensions", {"pairs": ["queue,team"]}, {"dimension_pairs": ["queue,team"]}),
    ("the smallest sample", {"least_support": 3}, {"min_sample": 3}),
    ("the delay of answers", {"response_age": "60s"}, {"survey_response_delay": "60s"}),
    ("users", {"people": {"ann": {"role": "admin"}}}, {"users": {"ann": {"role": "admin"}}}),
    (
        "a queue's formula",
        {"queues": {"vip": {"formula": "ignore"}}},
        {"queues": {"vip": {"service_level_formula": "ignore"}}},
    ),
    (
        "an alert's receivers, end and sample",
        {"alerts": {"a": {"tell": [], "clear": 60.0, "least_support": 3}}},
        {"alerts": {"a": {"receivers": [], "keep_firing_for": 60.0, "min_sample": 3}}},
    ),
    (
        "the kind of a rule for a target",
        {"alerts": {"a": {"kind": "target"}}},
        {"alerts": {"a": {"kind": "threshold"}}},
    ),
    (
        "the kind of a rule for missing data",
        {"alerts": {"a": {"kind": "silence"}}},
        {"alerts": {"a": {"kind": "no_data"}}},
    ),
    (
        "the delivery",
        {"delivery": {"via": "prometheus", "keep": "60s"}},
        {"delivery": {"alertmanager_via": "prometheus", "retry_for": "60s"}},
    ),
]


def toml(values: dict[str, object]) -> str:
    """Return inline TOML: JSON but for the colons of tables."""
    return "\n".join(f"{name} = {json.dumps(value).replace(': ', ' = ')}" for name, value in values.items())


@pytest.fixture(params=["file", "environment", "nested environment"])
def load_from(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    def load(values: dict[str, object]) -> Settings:
        if request.param == "file":
            (tmp_path / "streamer.toml").write_text(toml(values))
            monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
        for name, value in values.items():
            if request.param == "environment":
                text = value if isinstance(value, str) else json.dumps(value)
                monkeypatch.setenv(f"STREAMER_{name.upper()}", text)
            if request.param == "nested environment":
                set_nested(f"STREAMER_{name.upper()}", value)
        return load_settings()

    def set_nested(variable: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                set_nested(f"{variable}__{key.upper()}", inner)
        else:
            monkeypatch.setenv(variable, value if isinstance(value, str) else json.dumps(value))

    return load


@pytest.mark.parametrize(("name", "former", "today"), ROWS, ids=[row[0] for row in ROWS])
def test_a_former_name_is_read_and_named_in_a_warning(
    name: str, former: dict[str, object], today: dict[str, object], load_from: object
) -> None:
    expected, default = load_settings(**today), Settings()
    with capture_logs() as logs:
        settings = load_from(former)  # type: ignore[operator]
    assert {entry["event"] for entry in logs} == {"setting renamed"}
    assert settings == expected != default


def test_the_warning_names_the_former_and_todays_kind_in_one_line() -> None:
    with capture_logs() as logs:
        load_settings(alerts={"quiet": {"kind": "silence", "metric": "offered"}})
    assert logs == [
        {
            "event": "setting renamed",
            "log_level": "warning",
            "former": 'kind = "silence"',
            "now": 'kind = "no_data"',
            "former_name_works_until": "0.3",
        }
    ]


def test_todays_names_warn_of_nothing() -> None:
    with capture_logs() as logs:
        load_settings(shared_id_limit=7, delivery={"alertmanager_via": "prometheus"})
    assert logs == []


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"crowd": 7, "shared_id_limit": 7},
            "settings: expected shared_id_limit only, without crowd, its former name",
        ),
        (
            {"delivery": {"via": "api", "alertmanager_via": "api"}},
            "delivery: expected alertmanager_via only, without via, its former name",
        ),
    ],
)
def test_both_names_at_once_are_an_error(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(**values)
    assert str(error.value) == sentence


def test_a_former_name_in_the_environment_against_todays_in_the_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "streamer.toml").write_text("shared_id_limit = 3")
    monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
    monkeypatch.setenv("STREAMER_CROWD", "7")
    with pytest.raises(SettingsError, match="shared_id_limit only, without crowd"):
        load_settings()
