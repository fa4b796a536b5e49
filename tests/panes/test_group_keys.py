"""Keys of groups: different values have different keys, and every key leads back to its values."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.states import Alert
from streamer.delivery.alertmanager_client import AlertmanagerSilence, SilenceStatus
from streamer.delivery.silence_matching import build_matchers, covered_groups
from streamer.events.models import DIMENSIONS
from streamer.panes.pane_keys import Cell, format_key, parse_key, parse_row_field, row_field
from streamer.readings.query import QueryError, dimension_values
from streamer.settings import Settings

LETTERS = st.sampled_from(",\\ a") | st.characters(exclude_categories=("C", "Z"))
NAMES = st.text(LETTERS, min_size=1, max_size=6)
PAIRS = st.tuples(NAMES, NAMES)
BY = ("queue", "team")
PAIR_SETTINGS = Settings(
    dimension_pairs=["queue,team"],
    alerts={"pair-drop": {"kind": "drop", "metric": "nps_score", "by": "queue,team"}},
)
(PAIR_RULE,) = (rule for rule in load_alert_rules(PAIR_SETTINGS) if rule.name == "pair-drop")
THEN = datetime(2026, 11, 21, tzinfo=UTC)


def cell(queue: str, team: str) -> Cell:
    values = {"queue": queue, "team": team}
    return tuple(values.get(name) for name in DIMENSIONS)


@given(first=PAIRS, second=PAIRS)
def test_two_groups_never_share_a_key_nor_a_row(first: tuple[str, str], second: tuple[str, str]) -> None:
    is_same = first == second
    assert (format_key(first) == format_key(second)) is is_same
    assert (row_field(BY, cell(*first)) == row_field(BY, cell(*second))) is is_same


@given(PAIRS)
def test_each_way_to_a_key_makes_the_same_and_it_parses_back(values: tuple[str, str]) -> None:
    key = format_key(values)
    assert parse_key(key, 2) == [*values]
    assert parse_row_field(row_field(BY, cell(*values))) == ("queue,team", key)
    assert dimension_values("queue,team", key) == dict(zip(BY, values, strict=True))


@given(st.text(st.sampled_from(",\\ab"), max_size=8))
def test_a_text_is_the_key_of_one_group_or_of_none(text: str) -> None:
    values = parse_key(text, 2)
    assert values is None or format_key(values) == text


@given(NAMES)
def test_the_key_of_one_dimension_is_its_value(value: str) -> None:
    assert (format_key([value]), parse_key(value, 1)) == (value, [value])


@given(PAIRS)
def test_a_silence_of_alertmanager_covers_the_group_it_names(values: tuple[str, str]) -> None:
    key = format_key(values)
    matchers = tuple(build_matchers(PAIR_RULE, key, "api"))
    silence = AlertmanagerSilence(
        id="s1", matchers=matchers, starts_at=THEN, ends_at=THEN, status=SilenceStatus("active")
    )
    assert [matcher.value for matcher in matchers] == ["pair-drop", *values]
    assert [*covered_groups(silence, [PAIR_RULE], {}, "api")] == [("pair-drop", key)]


def test_a_text_of_no_group_silences_nothing() -> None:
    with pytest.raises(QueryError, match=r"expected a value for each of queue,team, joined by a comma"):
        build_matchers(PAIR_RULE, "billing,a,red", "api")


def test_the_id_of_an_alert_tells_rule_and_group_apart() -> None:
    alerts = [
        Alert(rule=rule, key=key, phase="firing", began_at=1, seen_at=1)
        for rule, key in (("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"))
    ]
    assert len({alert.id for alert in alerts}) == 3
