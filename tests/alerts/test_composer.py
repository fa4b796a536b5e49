"""Messages of alerts: a title, a few sentences with all figures, the contributors, and links."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pytest
from msgspec.structs import replace

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.formatting import clock
from streamer.alerts.messages.composer import MAX_EXPLAINED, MessageComposer
from streamer.alerts.messages.sentences import contributor_text
from streamer.alerts.rule_evaluator import RuleEvaluator
from streamer.alerts.states import Alert, AlertNotice, NoticeReason, advance_alerts, withdraw_alert
from streamer.alerts.verdict import Verdict, VerdictFigures, VerdictState
from streamer.events.counting_rules import DAY, HOUR, MINUTE
from streamer.events.models import Event, Segment, SurveyResponse
from streamer.readings.reader import MetricsReader
from streamer.settings import Settings
from streamer.settings.named_tables import QueueSettings
from streamer.store.memory import MemoryStore
from tests.alerts.simulated import NOW, NPS, days_ago, drawn, only, read, written
from tests.counting import partition_processor, processing_context
from tests.messages import logs

NAMES = {"queue": {"billing": "Billing", "vip": "VIP"}, "team": {"red": "Red"}, "channel": {"chat": "Chat"}}
DROP = {"kind": "drop", "metric": "nps_score"}
TARGET = {"kind": "threshold", "metric": "service_level_ratio"}
SILENCE = {"kind": "no_data", "metric": "offered"}
LONG = {"kind": "drop", "metric": "handle_time_seconds"}
NOTHING = VerdictFigures()
BEGAN = VerdictFigures(value=1.0, usual=2.0, target=3.0, since=NOW - HOUR, support=30)


def named(**alerts: object) -> Settings:
    return only(**alerts).model_copy(update={"names": NAMES})  # type: ignore[arg-type]


def noticed(
    rule: AlertRule,
    verdict: Verdict,
    what: Literal["firing", "resolved"] = "firing",
    why: NoticeReason = "due",
    began: int = NOW - 25 * MINUTE,
) -> AlertNotice:
    alert = Alert(
        rule=rule.name, key=verdict.key, phase="firing", began_at=began, seen_at=NOW, fired_at=began,
        fired=verdict,
    )  # fmt: skip
    return AlertNotice(id=f"{alert.id}/{what}", alert=alert, what=what, why=why, verdict=verdict)


def judged(
    rule: AlertRule, figures: VerdictFigures = NOTHING, key: str = "billing", state: VerdictState = "fires"
) -> Verdict:
    return Verdict(kind=rule.kind, key=key, state=state, reason="The reason.", figures=figures)


async def said(reader: MetricsReader, settings: Settings, *notices: AlertNotice) -> list[AlertMessage]:
    return await MessageComposer(reader, settings, load_alert_rules(settings)).compose(notices, {}, NOW)


async def nothing() -> MetricsReader:
    return await read(MemoryStore(), Settings())


# Titles.


@pytest.mark.parametrize(
    ("rule", "key", "title"),
    [
        (DROP, "billing", "NPS of Billing dropped"),
        (DROP | {"by": "all"}, "", "NPS of the whole center dropped"),
        (DROP | {"by": "queue,channel"}, "billing,chat", "NPS of Billing · Chat dropped"),
        ({"kind": "drop", "metric": "handle_time_seconds"}, "sales", "Handle time of sales rose"),
        ({"kind": "drop", "metric": "abandon_ratio"}, "vip", "Abandon rate of VIP rose"),
        (
            {"kind": "threshold", "metric": "service_level_ratio"},
            "vip",
            "Service level of VIP misses its target",
        ),
        (
            {"kind": "threshold", "metric": "handle_time_seconds", "target": 300},
            "sales",
            "Handle time of sales is over its target",
        ),
        ({"kind": "no_data", "metric": "offered"}, "billing", "No contacts from Billing"),
        ({"kind": "no_data", "metric": "offered", "by": "all"}, "", "No contacts in the whole center"),
        ({"kind": "no_data", "metric": "surveys"}, "billing", "No answers to surveys from Billing"),
        ({"kind": "no_data", "metric": "callbacks"}, "billing", "No callbacks from Billing"),
    ],
)
async def test_a_title_says_what_is_wrong_with_whom(rule: Mapping[str, object], key: str, title: str) -> None:
    settings = named(one=rule)
    (one,) = load_alert_rules(settings)
    (message,) = await said(await nothing(), settings, noticed(one, judged(one, BEGAN, key)))
    assert message.title == title


async def test_of_data_that_is_not_whole_nobody_says_that_contacts_stay_away() -> None:
    settings = named(one={"kind": "no_data", "metric": "offered", "by": "all"})
    (one,) = load_alert_rules(settings)
    (message,) = await said(await nothing(), settings, noticed(one, judged(one, key="")))
    assert message.title == "Something is wrong with the data"
    assert message.text == "The reason."


# Sentences, through a real store.


def worse(queue: str, hour: int) -> np.ndarray:
    fallen = queue == "billing" and hour >= days_ago(1)
    return np.array([0.6, 0.3, 0.1] if fallen else [0.2, 0.3, 0.5])


async def firing_messages(
    settings: Settings, queues: Sequence[str] = ("billing", "sales")
) -> list[AlertMessage]:
    """Return the messages of all that fires in a center where billing fell a day ago."""
    reader = await read(await written(drawn(queues, 200, NPS, worse)), settings)
    watch = RuleEvaluator(reader, settings, load_alert_rules(settings))
    _, notices = advance_alerts({}, watch.rules, watch.evaluate_rules(NOW), NOW)
    return await MessageComposer(reader, settings, watch.rules).compose(notices, {}, NOW)


async def test_of_a_drop_score_usual_score_support_interval_and_since_when_are_said() -> None:
    (message,) = await firing_messages(named(nps_fell=DROP))
    figures, interval = message.figures, message.interval
    assert interval is not None
    assert figures.value is not None
    assert figures.usual is not None
    lower, upper = (f"{end:.0f}".replace("-", "−") for end in interval)
    value = f"{figures.value:.0f}".replace("-", "−")
    assert abs(message.since - (NOW - DAY)) < 2 * HOUR
    since = clock(message.since, NOW, "UTC")
    assert since.startswith("Fri 20 Nov ")
    assert message.text == (
        f"NPS of Billing has fallen to {value} since about {since}; {figures.usual:.0f} is usual at these "
        f"hours. That rests on {figures.support} answers: with 95 % certainty it is between {lower} and "
        f"{upper}. Chance alone would produce such a change about once a month."
    )
    assert interval[0] < figures.value < interval[1] < figures.usual
    assert message.since == figures.since
    assert 150 < figures.support < 250


async def test_of_a_missed_target_score_target_support_interval_and_since_when_are_said() -> None:
    rule = {"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 30}
    (message,) = await firing_messages(named(one=rule))
    interval, figures = message.interval, message.figures
    assert interval is not None
    assert figures.lower is not None
    assert figures.upper is not None
    lower, upper = (f"{end:.0f}".replace("-", "−") for end in interval)
    assert message.text.startswith("NPS of Billing is −")
    assert " in the last 24 hours and misses its target of 30, since 10:00. That rests on " in message.text
    assert message.text.endswith(f" answers: with 95 % certainty it is between {lower} and {upper}.")
    assert figures.lower < interval[0] < interval[1] < figures.upper  # to look always, one must be surer


@pytest.mark.parametrize(
    ("window", "said_so"), [("1h", "in the last hour"), ("30m", "in the last 30 minutes"), ("today", "today")]
)
async def test_where_lower_is_better_it_is_over_its_target(window: str, said_so: str) -> None:
    rule = {"kind": "threshold", "metric": "handle_time_seconds", "window": window, "target": 300}
    settings = named(one=rule)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=372.4, target=300.0, support=1240))
    (message,) = await said(await nothing(), settings, noticed(one, verdict))
    assert message.text == (
        f"Handle time of Billing is 6:12 min {said_so} and is over its target of 5:00 min, since 09:35. "
        "That rests on 1,240 contacts."
    )


async def test_the_queue_that_pulled_the_center_down_is_named() -> None:
    (message,) = await firing_messages(named(one=DROP | {"by": "all"}), ("billing", "sales", "vip"))
    (one,) = message.contributors
    assert (one.dimension, one.key, one.name) == ("queue", "billing", "Billing")
    assert one.moved < -15
    assert one.value is not None
    assert one.value < -30
    assert contributor_text(one, message) == (
        f"queue Billing: −{-one.moved:.0f} points ({one.support} answers, alone at −{-one.value:.0f})"
    )


async def test_the_clock_is_that_of_the_queue() -> None:
    queues = {"billing": QueueSettings(timezone="Asia/Tokyo")}
    (message,) = await firing_messages(named(one=DROP).model_copy(update={"queues": queues}))
    assert f"since about {clock(message.since, NOW, 'Asia/Tokyo')};" in message.text
    assert clock(message.since, NOW, "Asia/Tokyo") != clock(message.since, NOW, "UTC")


# Who moved it, of contacts that were told of one by one.

TEAMS, REASONS = ("red", "blue", "green"), ("invoice", "outage", "moving")


def contacts(bad: Mapping[str, str], since: int, hours: int = 48) -> list[Event]:
    """Every 3 minutes one with an answer; those that are `bad` are so since then."""
    found: list[Event] = []
    for number, at in enumerate(range(NOW - hours * HOUR, NOW, 3 * MINUTE)):
        facts = {
            "team": TEAMS[number % 3],
            "reason": REASONS[number // 3 % 3],
            "agent_id": f"{TEAMS[number % 3]} {number // 9 % 2}",
        }
        is_bad = at >= since and all(facts[name] == value for name, value in bad.items())
        found.append(
            Segment(
                contact_id=f"k{number}", customer_id=f"c{number}", ended_at=at, outcome="answered",
                queue="billing", channel="voice", wait_ms=5_000, talk_ms=60_000, **facts,  # type: ignore[arg-type]
            )
        )  # fmt: skip
        score = 1 if is_bad else (10, 8, 10, 3)[number % 4]
        found.append(
            SurveyResponse(response_id=f"r{number}", contact_id=f"k{number}", answered_at=at + 1, nps=score)
        )
    return found


async def told(events: Sequence[Event], settings: Settings) -> MetricsReader:
    store = MemoryStore()
    shared = processing_context(store, settings.counting_rules(), NOW)
    for (topic, number), log in logs([(event, 0) for event in events], lambda event: NOW).items():
        one = await partition_processor(shared, topic, number)
        await one.count(log, len(log))
    return await read(store, settings)


BAD: list[tuple[Mapping[str, str], list[tuple[str, str]]]] = [
    ({"team": "red"}, [("team", "red")]),
    ({"reason": "outage"}, [("reason", "outage")]),
    ({"team": "red", "reason": "outage"}, [("team", "red"), ("reason", "outage")]),
]


@pytest.mark.parametrize(("bad", "first"), BAD)
async def test_the_team_or_the_reason_that_went_bad_is_named_and_nothing_else(
    bad: Mapping[str, str], first: list[tuple[str, str]]
) -> None:
    settings, begun = named(one=DROP), NOW // HOUR * HOUR - 20 * HOUR
    reader = await told(contacts(bad, begun), settings)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=0.0, usual=30.0, support=80, since=begun))
    (message,) = await said(reader, settings, noticed(one, verdict))
    assert sorted((found.dimension, found.key) for found in message.contributors) == sorted(first)
    assert all(found.moved < -5 for found in message.contributors)
    assert all((found.value or 0) < -10 for found in message.contributors)
    assert all(found.apart for found in message.contributors)
    assert "stands out" not in message.text


async def test_where_all_fell_alike_it_is_said_and_the_largest_parts_are_named() -> None:
    settings, begun = named(one=DROP), NOW // HOUR * HOUR - 20 * HOUR
    reader = await told(contacts({}, begun), settings)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=-100.0, usual=30.0, support=400, since=begun))
    (message,) = await said(reader, settings, noticed(one, verdict))
    assert message.text.endswith(" No team, reason or other part of it stands out.")
    assert len(message.contributors) == 3
    for found in message.contributors:
        assert found.dimension in ("team", "reason")
        assert not found.apart
        assert found.moved == pytest.approx(-125 / 3, abs=1.5)


async def test_of_a_part_of_few_answers_its_score_is_not_said_but_their_number_is() -> None:
    settings, begun = named(one=DROP | {"min_sample": 80}), NOW // HOUR * HOUR - 10 * HOUR
    reader = await told(contacts({"team": "red"}, begun), settings)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=0.0, usual=30.0, support=80, since=begun))
    (message,) = await said(reader, settings, noticed(one, verdict))
    (red,) = message.contributors
    assert (red.value, red.support) == (None, 66)
    assert contributor_text(red, message) == f"team Red: −{-red.moved:.0f} points (66 answers)"


async def test_without_a_day_before_a_part_is_compared_with_the_target() -> None:
    settings = named(one={"kind": "threshold", "metric": "nps_score", "window": "24h", "target": 30})
    reader = await told(contacts({"team": "red"}, 0, hours=23), settings)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=0.0, target=30.0, support=200))
    (message,) = await said(reader, settings, noticed(one, verdict))
    assert [(found.dimension, found.key) for found in message.contributors] == [("team", "red")]


async def test_today_is_that_of_the_queue() -> None:
    rule = {"kind": "threshold", "metric": "nps_score", "window": "today", "target": 30}
    settings = named(one=rule).model_copy(
        update={"queues": {"billing": QueueSettings(timezone="Asia/Tokyo")}}
    )
    reader = await told(contacts({"team": "red"}, NOW - 20 * HOUR), settings)
    (one,) = load_alert_rules(settings)
    verdict = judged(one, VerdictFigures(value=0.0, target=30.0, support=380))
    (message,) = await said(reader, settings, noticed(one, verdict))
    (red,) = message.contributors
    assert red.support == 19 * 20 // 3  # since 00:00 in Tokyo, 15:00 in Greenwich


# All at once.


async def test_of_200_notices_the_most_severe_are_explained_and_the_order_stays() -> None:
    queues = [f"q{number}" for number in range(MAX_EXPLAINED)]
    settings = named(mild=DROP | {"by": "all"}, hard=DROP | {"severity": "critical"})
    reader = await told(contacts({"team": "red"}, NOW - 10 * HOUR), settings)
    mild, hard = load_alert_rules(settings)
    figures = VerdictFigures(value=0.0, usual=30.0, since=NOW - 10 * HOUR, support=80)
    others = [noticed(hard, judged(hard, figures, queue)) for queue in queues[1:]]
    notices = [noticed(mild, judged(mild, figures, "")), *others, noticed(hard, judged(hard, figures))]
    found = await said(reader, settings, *notices)
    assert [one.id for one in found] == [one.id for one in notices]
    assert [bool(one.contributors) for one in (found[0], found[-1])] == [False, True]
    alone = await said(reader, settings, notices[0])
    assert alone[0].contributors


async def test_where_nothing_is_known_there_are_no_contributors_and_no_interval() -> None:
    settings = named(one=DROP, two={"kind": "threshold", "metric": "nps_score"})
    figures = VerdictFigures(value=0.0, usual=30.0, target=20.0, support=9, since=NOW - 90 * DAY)
    notices = [noticed(rule, judged(rule, figures)) for rule in load_alert_rules(settings)]
    for message in await said(await nothing(), settings, *notices):
        assert (message.contributors, message.interval) == ((), None)
        assert "That rests on 9 answers." in message.text


# The end.


async def ended(
    rule: Mapping[str, object],
    why: NoticeReason,
    state: VerdictState = "holds",
    figures: VerdictFigures = BEGAN,
) -> AlertMessage:
    settings = named(one=rule)
    (one,) = load_alert_rules(settings)
    begin = noticed(one, judged(one, BEGAN))
    (known,) = await said(await nothing(), settings, begin)
    verdict = judged(one, figures, state=state)
    end = replace(begin, id=f"{begin.alert.id}/resolved", what="resolved", why=why, verdict=verdict)
    (message,) = await MessageComposer(await nothing(), settings, ()).compose([end], {known.id: known}, NOW)
    assert (message.episode, message.rule, message.metric) == (known.episode, known.rule, known.metric)
    assert (message.what, message.why, message.id) == ("resolved", why, end.id)
    return message


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        (DROP, "NPS of Billing is as usual again"),
        (LONG, "Handle time of Billing is as usual again"),
        (TARGET, "Service level of Billing meets its target again"),
        (LONG | {"kind": "threshold", "target": 300}, "Handle time of Billing is within its target again"),
        (SILENCE, "Contacts from Billing come in again"),
    ],
)
async def test_what_is_over_says_so_and_how_long_it_lasted(rule: Mapping[str, object], title: str) -> None:
    message = await ended(rule, "over")
    assert message.title == title
    assert message.text == "The reason. It lasted 60 min, since 09:00."


@pytest.mark.parametrize(
    ("rule", "title", "what"),
    [
        (DROP, "NPS of Billing did not drop after all", "answers"),
        (LONG, "Handle time of Billing did not rise after all", "contacts"),
        (TARGET, "Service level of Billing did not miss its target after all", "contacts"),
    ],
)
async def test_what_was_corrected_was_not_due(rule: Mapping[str, object], title: str, what: str) -> None:
    message = await ended(rule, "corrected")
    assert message.title == title
    assert message.text == f"With the {what} corrected since, it was not due at 10:00. The reason."


async def test_what_hours_of_operation_end_is_not_said_to_be_good_again() -> None:
    message = await ended(TARGET, "closed", state="closed")
    assert message.title == "Service level of Billing is no longer evaluated"
    assert message.text == "The hours of operation are over: it is evaluated again when they begin."


@pytest.mark.parametrize(
    ("rule", "verb"), [(DROP, "NPS of Billing is"), (SILENCE, "Contacts from Billing are")]
)
async def test_of_too_few_answers_nobody_says_that_it_is_good_again(
    rule: Mapping[str, object], verb: str
) -> None:
    message = await ended(rule, "over", state="few", figures=VerdictFigures(least=20, support=3))
    assert message.title == f"{verb} no longer evaluated"
    assert message.text == "The reason. So it is unknown whether it goes on."


async def test_of_a_queue_that_is_no_more_it_is_said() -> None:
    settings = named(one=DROP)
    (one,) = load_alert_rules(settings)
    begin = noticed(one, judged(one, BEGAN))
    (known,) = await said(await nothing(), settings, begin)
    alerts, notices, now = {("one", "billing"): begin.alert}, list[AlertNotice](), NOW
    while not notices and now < NOW + HOUR:
        now += MINUTE
        alerts, notices = advance_alerts(alerts, [one], [], now)
    (message,) = await MessageComposer(await nothing(), settings, [one]).compose(
        notices, {known.id: known}, now
    )
    assert message.title == "NPS of Billing is no longer evaluated"
    assert message.text == (
        "Billing is no longer evaluated: it has no data, or is not among the groups of the rule."
    )


async def test_of_a_rule_that_is_no_more_it_is_said() -> None:
    settings = named(one=DROP)
    (one,) = load_alert_rules(settings)
    begin = noticed(one, judged(one, BEGAN))
    (known,) = await said(await nothing(), settings, begin)
    end = withdraw_alert(begin.alert, NOW).notice
    assert end is not None
    (message,) = await MessageComposer(await nothing(), settings, ()).compose([end], {known.id: known}, NOW)
    assert message.title == "NPS of Billing is no longer evaluated"
    assert message.text == "The rule one is no longer in force."


async def test_of_a_metric_that_is_no_more_the_end_can_be_told() -> None:
    settings = named(one=DROP)
    (one,) = load_alert_rules(settings)
    begin = noticed(one, judged(one, BEGAN))
    (known,) = await said(await nothing(), settings, begin)
    known = replace(known, metric="joy_score")
    end = withdraw_alert(begin.alert, NOW).notice
    assert end is not None
    (message,) = await MessageComposer(await nothing(), settings, ()).compose([end], {known.id: known}, NOW)
    assert message.title == "Over: NPS of Billing dropped"


# Where to look.


async def test_a_message_leads_to_the_contacts_behind_it_and_to_why() -> None:
    settings = named(one=DROP, two=TARGET, three=SILENCE)
    drop, target, silence = load_alert_rules(settings)
    figures = VerdictFigures(value=0.1, usual=0.2, target=0.8, support=40, since=NOW - 3 * HOUR)
    found = await said(
        await nothing(),
        settings,
        noticed(drop, judged(drop, figures)),
        noticed(target, judged(target, figures)),
        noticed(silence, judged(silence, figures)),
    )
    links = [message.links for message in found]
    page = "http://127.0.0.1:8080/supervisor"
    assert [one.get("contacts") for one in links] == [
        f"{page}?by=queue&key=billing&window=4h&metric=nps_score&order=worst",
        f"{page}?by=queue&key=billing&window=today&metric=service_level_ratio&order=worst",
        None,
    ]
    assert [one["explain"] for one in links] == [
        f"{page}?alert={name}&group=billing" for name in ("one", "two", "three")
    ]
