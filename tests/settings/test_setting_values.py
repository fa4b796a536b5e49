"""Each type of setting: values that are read, and the exact line for one that is not."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from streamer.settings import Settings, SettingsError, load_settings

KEY = "0123456789abcdef0123456789abcdef"
HASH = "0" * 64
DURATION = "expected a duration such as 20s, 15m, 24h or 35d"
ZONE = "expected a time zone of the IANA data base such as Europe/Madrid"
PAIRS = "expected pairs of two of site, queue, team, agent, channel, reason, language, such as queue,channel"
AT_LEAST_1 = "expected input should be greater than or equal to 1"
AT_MOST_A_PORT = "expected input should be less than or equal to 65535"
NAME = "expected string should match pattern '^[A-Za-z0-9._-]+$'"
CURRENCY = "expected string should match pattern '^[A-Z]{3}$'"
TEAMS = "expected teams for a supervisor, and for nobody else"
NETWORK = "expected an address such as 10.0.0.1, or a network such as 10.0.0.0/24"


def value_at(settings: Settings, path: str) -> Any:
    """Return the value at a path such as "queues.vip.service_level"."""
    value: Any = settings
    for step in path.split("."):
        value = value[step] if isinstance(value, dict) else getattr(value, step)
    return value


def nested(path: str, value: object) -> dict[str, Any]:
    """Return the tables that set one value."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


READ: list[tuple[str, str, object, object]] = [
    ("seconds", "horizon", "90s", timedelta(seconds=90)),
    ("milliseconds", "horizon", "250ms", timedelta(milliseconds=250)),
    ("minutes, with blanks", "horizon", " 15 m ", timedelta(minutes=15)),
    ("half hours", "horizon", "1.5h", timedelta(minutes=90)),
    ("days", "horizon", "35d", timedelta(days=35)),
    ("a number is seconds", "horizon", 20, timedelta(seconds=20)),
    ("and so is a fraction", "horizon", 0.5, timedelta(milliseconds=500)),
    ("no time at all", "horizon", "0s", timedelta()),
    ("the duration of one queue", "queues.vip.service_level", "30s", timedelta(seconds=30)),
    ("a time zone", "timezone", "Europe/Madrid", "Europe/Madrid"),
    ("the time zone of one queue", "queues.vip.timezone", "Asia/Kolkata", "Asia/Kolkata"),
    ("a formula", "service_level_formula", "ignore", "ignore"),
    ("the lowest port: any free one", "port", 0, 0),
    ("the highest port", "port", 65_535, 65_535),
    ("a port as text, from the environment", "port", "8080", 8080),
    ("no port for metrics", "metrics_port", None, None),
    ("a name of all signs that are allowed", "center", "a-b.C_9", "a-b.C_9"),
    ("a currency", "currency", "USD", "USD"),
    ("the lowest limit", "shared_id_limit", 1, 1),
    ("the smallest sample", "min_sample", 1, 1),
    ("yes", "fcr_same_reason", "yes", True),
    ("no", "fcr_same_reason", False, False),
    ("no pairs", "dimension_pairs", [], []),
    ("a pair", "dimension_pairs", ["queue,team"], ["queue,team"]),
    ("a list", "export_windows", ["1h"], ["1h"]),
    ("a display name", "names.queue.Q17", "Billing", "Billing"),
    ("a target", "targets.nps_score", 40, 40.0),
    ("no target", "targets.nps_score", "none", None),
    ("the quickest change of pages", "views.wall.rotate", "2s", timedelta(seconds=2)),
    ("six tiles", "views.wall.tiles", [*"abcdef"], [*"abcdef"]),
    ("few false alarms", "alerts.a.false_alarms", 0.001, 0.001),
    ("the address of a receiver", "receivers.desk.url", "https://x/", SecretStr("https://x/")),
    ("a delivery", "delivery.retry_for", "1m", timedelta(minutes=1)),
    ("webhooks a minute", "sources.delighted.rate", 1, 1),
    ("a key of 32 characters", f"customer_keys.{KEY[:16]}", KEY, SecretStr(KEY)),
    ("an empty key: the greatest", "customer_key", "", ""),
    ("the token of a display", "displays.tv.token", HASH, SecretStr(HASH)),
]


@pytest.mark.parametrize(("sentence", "path", "value", "expected"), READ, ids=[row[0] for row in READ])
def test_a_right_value_is_read(sentence: str, path: str, value: object, expected: object) -> None:
    assert value_at(load_settings(**nested(path, value)), path) == expected


WRONG: list[tuple[str, str, object, str]] = [
    ("a duration without its unit", "horizon", "15", f"horizon = '15': {DURATION}"),
    ("an unknown unit", "horizon", "15min", f"horizon = '15min': {DURATION}"),
    ("a negative duration", "horizon", "-5s", f"horizon = '-5s': {DURATION}"),
    ("an empty duration", "horizon", "", f"horizon = '': {DURATION}"),
    ("a duration that is a yes", "horizon", True, f"horizon = True: {DURATION}"),
    ("no duration", "horizon", None, f"horizon = None: {DURATION}"),
    (
        "the duration of one queue",
        "queues.vip.service_level",
        "20",
        f"queues.vip.service_level = '20': {DURATION}",
    ),
    ("the duration of a rule", "alerts.a.for", "soon", f"alerts.a.for = 'soon': {DURATION}"),
    ("an unknown time zone", "timezone", "Mars/Base", f"timezone = 'Mars/Base': {ZONE}"),
    ("an empty time zone", "timezone", "", f"timezone = '': {ZONE}"),
    ("a path for a time zone", "timezone", "/etc/passwd", f"timezone = '/etc/passwd': {ZONE}"),
    ("a number for a time zone", "timezone", 5, "timezone = 5: expected input should be a valid string"),
    ("the time zone of one queue", "queues.vip.timezone", "x", f"queues.vip.timezone = 'x': {ZONE}"),
    (
        "an unknown formula",
        "service_level_formula",
        "ignored",
        "service_level_formula = 'ignored': expected input should be "
        "'negative', 'exclude_short', 'ignore', 'positive' or 'answered_only'",
    ),
    ("a port below", "port", -1, "port = -1: expected input should be greater than or equal to 0"),
    ("a port above", "port", 65_536, f"port = 65536: {AT_MOST_A_PORT}"),
    (
        "a port that is a word",
        "port",
        "http",
        "port = 'http': expected input should be a valid integer, unable to parse string as an integer",
    ),
    ("a port for metrics", "metrics_port", 65_536, f"metrics_port = 65536: {AT_MOST_A_PORT}"),
    ("a blank in the name", "center", "a b", f"center = 'a b': {NAME}"),
    ("an empty name", "center", "", f"center = '': {NAME}"),
    ("a currency in small letters", "currency", "usd", f"currency = 'usd': {CURRENCY}"),
    ("a currency of four", "currency", "EURO", f"currency = 'EURO': {CURRENCY}"),
    ("no limit", "shared_id_limit", 0, f"shared_id_limit = 0: {AT_LEAST_1}"),
    ("no sample", "min_sample", 0, f"min_sample = 0: {AT_LEAST_1}"),
    (
        "neither yes nor no",
        "fcr_same_reason",
        "maybe",
        "fcr_same_reason = 'maybe': expected input should be a valid boolean, unable to interpret input",
    ),
    ("a pair of one", "dimension_pairs", ["queue"], f"dimension_pairs = ['queue']: {PAIRS}"),
    ("a pair of the same", "dimension_pairs", ["queue,queue"], f"dimension_pairs = ['queue,queue']: {PAIRS}"),
    (
        "a pair of three",
        "dimension_pairs",
        ["queue,team,site"],
        f"dimension_pairs = ['queue,team,site']: {PAIRS}",
    ),
    (
        "a pair with no dimension",
        "dimension_pairs",
        ["queue,vip"],
        f"dimension_pairs = ['queue,vip']: {PAIRS}",
    ),
    (
        "one value for a list",
        "export_windows",
        "1h",
        "export_windows = '1h': expected input should be a valid list",
    ),
    ("one value for a table", "queues", "vip", "queues = 'vip': expected input should be a valid dictionary"),
    ("a setting that there is not", "kafkas", "x", "kafkas: there is no such setting, did you mean kafka?"),
    ("one of a queue", "queues.vip.target", 1, "queues.vip.target: there is no such setting"),
    (
        "no target",
        "targets.nps_score",
        float("inf"),
        "targets.nps_score = inf: expected input should be a finite number",
    ),
    (
        "pages that change too quickly",
        "views.wall.rotate",
        "1999ms",
        "views.wall.rotate = '1999ms': expected 2s or more",
    ),
    (
        "no false alarms at all",
        "alerts.a.false_alarms",
        0,
        "alerts.a.false_alarms = 0: expected input should be greater than 0",
    ),
    (
        "an unknown severity",
        "alerts.a.severity",
        "low",
        "alerts.a.severity = 'low': expected input should be 'critical' or 'warning'",
    ),
    (
        "an unknown way of delivery",
        "delivery.alertmanager_via",
        "mail",
        "delivery.alertmanager_via = 'mail': expected input should be 'api' or 'prometheus'",
    ),
    (
        "a header with a blank",
        "proxy",
        {"header": "X U", "addresses": ["10.0.0.0/24"]},
        "proxy.header = 'X U': expected string should match pattern '^[A-Za-z0-9-]+$'",
    ),
    (
        "no address",
        "proxy",
        {"header": "X", "addresses": []},
        "proxy.addresses = []: expected list should have at least 1 item after validation, not 0",
    ),
    (
        "a network that is too narrow",
        "proxy",
        {"header": "X", "addresses": ["10.0.0.0/33"]},
        f"proxy.addresses.0 = '10.0.0.0/33': {NETWORK}",
    ),
    (
        "an address inside its network",
        "proxy",
        {"header": "X", "addresses": ["10.0.0.1/24"]},
        f"proxy.addresses.0 = '10.0.0.1/24': {NETWORK}",
    ),
    (
        "an agent without a team",
        "agents.ann.teams",
        [],
        "agents.ann.teams = []: expected list should have at least 1 item after validation, not 0",
    ),
    (
        "a stay without a team or a site",
        "agents.ann.teams",
        [{}],
        "agents.ann.teams.0: expected a team or a site, or both",
    ),
    (
        "a stay that ends before it begins",
        "agents.ann.teams",
        [{"team": "red", "from": "2026-01-02", "to": "2026-01-01"}],
        "agents.ann.teams.0: expected a last day `to` that is not before the first day `from`",
    ),
    # what may be, or hold, a secret is never repeated
    (
        "a receiver without an address",
        "receivers.desk",
        {},
        "receivers.desk: expected either a url or mail addresses",
    ),
    (
        "an address of another kind",
        "receivers.desk.url",
        "ftp://x/",
        "receivers.desk.url: expected an address that begins with https:// or http://",
    ),
    (
        "an unknown form",
        "receivers.desk",
        {"url": "http://x/", "form": "telegram"},
        "receivers.desk.form: expected input should be 'json', 'slack', 'teams' or 'pagerduty'",
    ),
    (
        "an unknown role",
        "users.ann.role",
        "boss",
        "users.ann.role: expected input should be 'viewer', 'supervisor' or 'admin'",
    ),
    ("a user without a role", "users.ann", {}, "users.ann.role: required"),
    ("a supervisor of nobody", "users.ann.role", "supervisor", f"users.ann: {TEAMS}"),
    ("an admin of a team", "users.ann", {"role": "admin", "teams": ["red"]}, f"users.ann: {TEAMS}"),
    (
        "a password as it is",
        "users.ann",
        {"role": "viewer", "password": "x"},
        "users.ann.password: expected what `streamer secret password` prints",
    ),
    (
        "a hash that is too short",
        "users.ann",
        {"role": "viewer", "tokens": [HASH[1:]]},
        "users.ann.tokens.0: expected what `streamer secret token` prints",
    ),
    (
        "a token as it is",
        "displays.tv.token",
        "x",
        "displays.tv.token: expected what `streamer secret token` prints",
    ),
    ("no webhooks a minute", "sources.delighted.rate", 0, f"sources.delighted.rate: {AT_LEAST_1}"),
    (
        "an unknown option of a source",
        "sources.delighted.foo",
        1,
        "sources: expected delighted without foo: see `streamer sources delighted`",
    ),
    (
        "a key of 31 characters",
        "customer_keys.1",
        KEY[1:],
        "customer_keys.1: expected value should have at least 32 items after validation, not 31",
    ),
    (
        "the id of the center's own key",
        "customer_keys.0",
        KEY,
        "customer_keys: expected another id than 0, which is the center's own key's",
    ),
    (
        "an id of 17 signs",
        f"customer_keys.{KEY[:17]}",
        KEY,
        f"customer_keys.{KEY[:17]}.[key]: expected string should match pattern '^[A-Za-z0-9]{{1,16}}$'",
    ),
    (
        "a key that there is not",
        "customer_key",
        "1",
        "customer_key = '1': expected one of the ids in customer_keys, where there is none",
    ),
]


@pytest.mark.parametrize(("sentence", "path", "value", "line"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_value_is_named_in_one_line(sentence: str, path: str, value: object, line: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(**nested(path, value))
    assert str(error.value) == line


def test_two_wrong_values_are_named_in_the_same_line() -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(port=-1, center="a b")
    assert str(error.value) == (
        "center = 'a b': expected string should match pattern '^[A-Za-z0-9._-]+$'; "
        "port = -1: expected input should be greater than or equal to 0"
    )


@pytest.mark.parametrize(
    ("sentence", "variable", "text", "line"),
    [
        ("a table", "STREAMER_QUEUES", "{", "queues: expected JSON"),
        ("a list", "STREAMER_EXPORT_WINDOWS", "1h", "export_windows: expected JSON"),
        ("a number", "STREAMER_PORT", "70000", f"port = '70000': {AT_MOST_A_PORT} (STREAMER_PORT)"),
    ],
)
def test_a_wrong_variable_of_the_environment_is_named_too(
    sentence: str, variable: str, text: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError) as error:
        load_settings()
    assert str(error.value) == line


def test_the_environment_beats_the_file_and_that_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "streamer.toml").write_text('center = "file"\ncurrency = "USD"')
    monkeypatch.setenv("STREAMER_CONFIG", str(tmp_path / "streamer.toml"))
    monkeypatch.setenv("STREAMER_CENTER", "environment")
    settings = load_settings()
    assert (settings.center, settings.currency, settings.timezone) == ("environment", "USD", "UTC")


@pytest.mark.parametrize(
    ("sentence", "keys", "chosen", "expected"),
    [
        ("without keys the center's own", {}, "", "0"),
        ("the one that is named", {"9": KEY, "10": KEY}, "9", "9"),
        ("else the greatest, by number", {"9": KEY, "10": KEY}, "", "10"),
    ],
)
def test_the_key_in_force(sentence: str, keys: dict[str, str], chosen: str, expected: str) -> None:
    settings = load_settings(customer_keys=keys, customer_key=chosen)
    assert settings.counting_rules().customer_key == expected


def test_a_queue_takes_what_it_does_not_set_from_the_center() -> None:
    rules = load_settings(
        service_level="30s", service_level_formula="ignore", queues={"vip": {"short_abandon": "0s"}}
    ).counting_rules()
    vip = rules.service_level_of("vip")
    assert (vip.within_ms, vip.short_ms, vip.formula) == (30_000, 0, "ignore")
    assert rules.service_level_of("other").short_ms == 5_000


TARGETS = {"abandon_ratio": 0.1, "nps_score": "none", "queues": {"vip": {"abandon_ratio": 0.02}}}


@pytest.mark.parametrize(
    ("sentence", "metric", "queue", "expected"),
    [
        ("the queue's own", "abandon_ratio", "vip", 0.02),
        ("the center's for another queue", "abandon_ratio", "other", 0.1),
        ("the center's for all", "abandon_ratio", None, 0.1),
        ("the usual one where none is set", "csat_ratio", "vip", 0.8),
        ("none where it was taken away", "nps_score", "vip", None),
        ("none where there is no usual one", "contacts", None, None),
    ],
)
def test_the_target_of_a_metric(
    sentence: str, metric: str, queue: str | None, expected: float | None
) -> None:
    assert load_settings(targets=TARGETS).target(metric, queue) == expected
