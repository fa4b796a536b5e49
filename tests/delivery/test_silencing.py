"""Silences are kept in the alert state; where there is an Alertmanager, the state follows it."""

from datetime import UTC, datetime

import pytest

from streamer.alerts.rules import rules
from streamer.delivery.alertmanager import Kept, Matcher, Status
from streamer.delivery.matching import Covered, Via, covered, is_understood, matchers
from streamer.delivery.record import EMPTY, Record, Silence, silenced, unsilenced
from streamer.delivery.silencing import Silencing, followed
from streamer.events.rules import HOUR
from streamer.settings import Settings
from streamer.store.redis import RedisStore
from tests.delivery.belfry import bell as bell_of
from tests.delivery.said import NOW, silence

PAIR = Settings(alerts={"pair": {"kind": "drop", "metric": "nps_score", "by": "queue,channel"}})  # type: ignore[dict-item]
RULES = [one for one in rules(PAIR) if one.name in ("nps-drop", "csat-drop", "silence", "pair")]
KNOWN = {"nps-drop": ["billing", "sales"], "pair": ["billing,voice", "a, b,chat"], "silence": [""]}


async def test_without_an_alertmanager_our_record_alone_knows(store: RedisStore) -> None:
    bell, other = bell_of(store, PAIR), bell_of(store, PAIR)
    silencing = Silencing(bell, lambda: NOW)
    made = await silencing.silence("nps-drop", "billing", NOW + HOUR, "Ana", "known")
    assert made == Silence(
        id=made.id, rule="nps-drop", key="billing", since=NOW, until=NOW + HOUR, by="Ana", comment="known"
    )
    second = await silencing.silence("silence", "", NOW + HOUR, "Ana")
    assert second.key is None
    await Silencing(other, lambda: NOW).unsilence(made.id)
    assert other.record.silences == {second.id: second}
    await silencing.unsilence("nobody knows this")
    assert bell.record.silences == {second.id: second}


# Silences of Alertmanager.


def kept(*asked: Matcher) -> Kept:
    moment = datetime.fromtimestamp(NOW / 1000, UTC)
    return Kept(id="x", matchers=asked, starts_at=moment, ends_at=moment, status=Status("active"))


def places(via: Via, *asked: Matcher) -> list[tuple[str, str | None]]:
    assert is_understood(kept(*asked))
    return [(one.rule, one.key) for one in covered(kept(*asked), RULES, KNOWN, via)]


@pytest.mark.parametrize("via", ["api", "prometheus"])
@pytest.mark.parametrize(
    ("rule", "key"),
    [("nps-drop", None), ("nps-drop", "b"), ("pair", "a, b,chat"), ("pair", None), ("silence", None)],
)
def test_what_is_silenced_here_is_understood_when_it_comes_back(via: Via, rule: str, key: str | None) -> None:
    (found,) = [one for one in RULES if one.name == rule]
    assert places(via, *matchers(found, key, via)) == [Covered(rule, key)]


@pytest.mark.parametrize(
    ("asked", "covers"),
    [
        ([Matcher("severity", "critical")], [("silence", None)]),
        ([Matcher("metric", "nps_score")], [("nps-drop", None), ("pair", None)]),
        ([Matcher("by", "queue")], [("nps-drop", None), ("csat-drop", None)]),
        (
            [Matcher("queue", "billing")],
            [("nps-drop", "billing"), ("csat-drop", "billing"), ("pair", "billing,voice")],
        ),
        ([Matcher("queue", "billing"), Matcher("channel", "voice")], [("pair", "billing,voice")]),
        ([Matcher("queue", "billing"), Matcher("channel", "sms")], [("pair", "billing,sms")]),
        ([Matcher("alertname", "nps-drop"), Matcher("queue", "")], []),
        ([Matcher("alertname", "nps-drop"), Matcher("team", "")], [("nps-drop", None)]),
        ([Matcher("alertname", "nps-drop"), Matcher("team", "x", is_equal=False)], [("nps-drop", None)]),
        ([Matcher("alertname", "nps|nps-drop", is_regex=True)], [("nps-drop", None)]),
        ([Matcher("alertname", "nps", is_regex=True)], []),
        ([Matcher("alertname", "^(?:nps-drop|pair)$", is_regex=True)], [("nps-drop", None), ("pair", None)]),
        (
            [Matcher("alertname", ".+-drop", is_regex=True, is_equal=False)],
            [("silence", None), ("pair", None)],
        ),
    ],
)  # fmt: skip
def test_a_silence_covers_what_its_matchers_say(
    asked: list[Matcher], covers: list[tuple[str, str | None]]
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
    assert not is_understood(kept(Matcher("queue", expression, is_regex=True)))
    assert is_understood(kept(Matcher("queue", expression)))


@pytest.mark.parametrize("expression", [".*.*.*", "^(?:.*.*.*|.*.*.*)$", "." * 3000, "|" * 3000])
def test_what_is_tried_comes_to_an_end(expression: str) -> None:
    asked, known = Matcher("queue", expression, is_regex=True), {"nps-drop": ["a" * 100, "a" * 99 + "\n"]}
    assert is_understood(kept(asked))
    assert len([*covered(kept(asked), RULES, known, "api")]) < 3


def record(*names: str, until: int = NOW + HOUR) -> Record:
    found = EMPTY
    for name in names:
        found = silenced(found, silence(name, until=until))
    return found


def found(*names: str) -> dict[str, Silence]:
    return record(*names).silences


def test_what_is_new_there_is_new_here_and_what_ended_there_ends_here() -> None:
    before = record("ended", "stays")
    assert sorted(followed(before, before, found("stays", "new")).silences) == ["new", "stays"]


def test_what_was_made_or_ended_here_while_alertmanager_was_asked_stays_so() -> None:
    before = record("ended", "stays")
    meanwhile = silenced(unsilenced(before, "ended"), silence("made"))
    assert sorted(followed(meanwhile, before, found("ended", "stays")).silences) == ["made", "stays"]


def test_what_lasts_longer_there_does_so_here() -> None:
    before = record("longer")
    after = followed(before, before, record("longer", until=NOW + 2 * HOUR).silences)
    assert after.silences["longer"].until == NOW + 2 * HOUR


def test_what_is_the_same_changes_nothing() -> None:
    before = record("stays")
    assert followed(before, before, found("stays")) is before
