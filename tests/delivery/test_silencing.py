"""Silences are kept in the alert state; where there is an Alertmanager, the state follows it."""

from datetime import UTC, datetime

import pytest

from streamer.alerts.alert_rules import load_alert_rules
from streamer.delivery.alert_state import EMPTY_STATE, AlertSilence, AlertState, add_silence, remove_silence
from streamer.delivery.alertmanager_client import AlertmanagerSilence, SilenceMatcher, SilenceStatus
from streamer.delivery.silence_matching import CoveredGroup, Via, build_matchers, covered_groups, is_supported
from streamer.delivery.silencing import SilenceService, merge_silences
from streamer.events.counting_rules import HOUR
from streamer.settings import Settings
from streamer.store.memory_documents import MemoryDocument
from tests.delivery.alert_samples import NOW, silence
from tests.delivery.coordinators import make_quiet_coordinator as bell_of

PAIR = Settings(alerts={"pair": {"kind": "drop", "metric": "nps_score", "by": "queue,channel"}})  # type: ignore[dict-item]
RULES = [one for one in load_alert_rules(PAIR) if one.name in ("nps-drop", "csat-drop", "silence", "pair")]
KNOWN = {"nps-drop": ["billing", "sales"], "pair": ["billing,voice", r"a\, b,chat"], "silence": [""]}


async def test_without_an_alertmanager_our_record_alone_knows(document: MemoryDocument) -> None:
    bell, other = bell_of(document, PAIR), bell_of(document, PAIR)
    silencing = SilenceService(bell, lambda: NOW)
    made = await silencing.silence("nps-drop", "billing", NOW + HOUR, "Ana", "known")
    assert made == AlertSilence(
        id=made.id, rule="nps-drop", key="billing", since=NOW, until=NOW + HOUR, by="Ana", comment="known"
    )
    second = await silencing.silence("silence", "", NOW + HOUR, "Ana")
    assert second.key is None
    await SilenceService(other, lambda: NOW).unsilence(made.id)
    assert other.state.silences == {second.id: second}
    await silencing.unsilence("nobody knows this")
    assert bell.state.silences == {second.id: second}


# Silences of Alertmanager.


def kept(*asked: SilenceMatcher) -> AlertmanagerSilence:
    moment = datetime.fromtimestamp(NOW / 1000, UTC)
    return AlertmanagerSilence(
        id="x", matchers=asked, starts_at=moment, ends_at=moment, status=SilenceStatus("active")
    )


def places(via: Via, *asked: SilenceMatcher) -> list[tuple[str, str | None]]:
    assert is_supported(kept(*asked))
    return [(one.rule, one.key) for one in covered_groups(kept(*asked), RULES, KNOWN, via)]


@pytest.mark.parametrize("via", ["api", "prometheus"])
@pytest.mark.parametrize(
    ("rule", "key"),
    [("nps-drop", None), ("nps-drop", "b"), ("pair", r"a\, b,chat"), ("pair", None), ("silence", None)],
)
def test_what_is_silenced_here_is_understood_when_it_comes_back(via: Via, rule: str, key: str | None) -> None:
    (found,) = [one for one in RULES if one.name == rule]
    assert places(via, *build_matchers(found, key, via)) == [CoveredGroup(rule, key)]


@pytest.mark.parametrize(
    ("asked", "covers"),
    [
        ([SilenceMatcher("severity", "critical")], [("silence", None)]),
        ([SilenceMatcher("metric", "nps_score")], [("nps-drop", None), ("pair", None)]),
        ([SilenceMatcher("by", "queue")], [("nps-drop", None), ("csat-drop", None)]),
        (
            [SilenceMatcher("queue", "billing")],
            [("nps-drop", "billing"), ("csat-drop", "billing"), ("pair", "billing,voice")],
        ),
        (
            [SilenceMatcher("queue", "billing"), SilenceMatcher("channel", "voice")],
            [("pair", "billing,voice")],
        ),
        ([SilenceMatcher("queue", "billing"), SilenceMatcher("channel", "sms")], [("pair", "billing,sms")]),
        ([SilenceMatcher("alertname", "nps-drop"), SilenceMatcher("queue", "")], []),
        ([SilenceMatcher("alertname", "nps-drop"), SilenceMatcher("team", "")], [("nps-drop", None)]),
        (
            [SilenceMatcher("alertname", "nps-drop"), SilenceMatcher("team", "x", is_equal=False)],
            [("nps-drop", None)],
        ),
        ([SilenceMatcher("alertname", "nps|nps-drop", is_regex=True)], [("nps-drop", None)]),
        ([SilenceMatcher("alertname", "nps", is_regex=True)], []),
        (
            [SilenceMatcher("alertname", "^(?:nps-drop|pair)$", is_regex=True)],
            [("nps-drop", None), ("pair", None)],
        ),
        (
            [SilenceMatcher("alertname", ".+-drop", is_regex=True, is_equal=False)],
            [("silence", None), ("pair", None)],
        ),
    ],
)  # fmt: skip
def test_a_silence_covers_what_its_matchers_say(
    asked: list[SilenceMatcher], covers: list[tuple[str, str | None]]
) -> None:
    assert sorted(places("api", *asked), key=str) == sorted(covers, key=str)


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+b",
        "(a|a)*b",
        ".*.*.*.*b",
        "a{1,99}",
        "[a-z]+",
        "(?=a)",
        "a++",
        "(",
        "a)(b",
        "\\w+",
        "(a|a)(a|a)",
    ],
)
def test_what_may_take_for_ever_is_not_tried(expression: str) -> None:
    assert not is_supported(kept(SilenceMatcher("queue", expression, is_regex=True)))
    assert is_supported(kept(SilenceMatcher("queue", expression)))


@pytest.mark.parametrize("expression", [".*.*.*", "^(?:.*.*.*|.*.*.*)$", "." * 3000, "|" * 3000])
def test_what_is_tried_comes_to_an_end(expression: str) -> None:
    asked, known = (
        SilenceMatcher("queue", expression, is_regex=True),
        {"nps-drop": ["a" * 100, "a" * 99 + "\n"]},
    )
    assert is_supported(kept(asked))
    assert len([*covered_groups(kept(asked), RULES, known, "api")]) < 3


def record(*names: str, until: int = NOW + HOUR) -> AlertState:
    found = EMPTY_STATE
    for name in names:
        found = add_silence(found, silence(name, until=until))
    return found


def found(*names: str) -> dict[str, AlertSilence]:
    return record(*names).silences


def test_what_is_new_there_is_new_here_and_what_ended_there_ends_here() -> None:
    before = record("ended", "stays")
    assert sorted(merge_silences(before, before, found("stays", "new")).silences) == ["new", "stays"]


def test_what_was_made_or_ended_here_while_alertmanager_was_asked_stays_so() -> None:
    before = record("ended", "stays")
    meanwhile = add_silence(remove_silence(before, "ended"), silence("made"))
    assert sorted(merge_silences(meanwhile, before, found("ended", "stays")).silences) == ["made", "stays"]


def test_what_lasts_longer_there_does_so_here() -> None:
    before = record("longer")
    after = merge_silences(before, before, record("longer", until=NOW + 2 * HOUR).silences)
    assert after.silences["longer"].until == NOW + 2 * HOUR


def test_what_is_the_same_changes_nothing() -> None:
    before = record("stays")
    assert merge_silences(before, before, found("stays")) is before
