"""Tests of the oracle itself, with examples small enough to count by hand."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.events.counting_rules import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    SERVICE_LEVEL_FORMULAS,
    CountingRules,
    ServiceLevel,
)
from streamer.events.models import (
    DIMENSIONS,
    Event,
    FactIdentity,
    Tombstone,
)
from streamer.metrics.catalogue import CATALOGUE, WindowSpans, evaluate_metric
from streamer.metrics.formulas import ReadingContext, TallyCounts
from streamer.metrics.tally import BUCKETS, DURATIONS, FIRST_BUCKET_OF, NUMBER, SCALES
from streamer.panes.pane_keys import FINE_MS, Cell, groupings, row_field
from tests import strategies
from tests.facts import NOON, answer, call, evaluation, invitation, valuation
from tests.oracle import (
    Counts,
    Reading,
    Window,
    active_agents,
    by_hour_and_row,
    contacts_by_customer,
    readings,
    shared_ids,
    tallies,
)

PANE = NOON // FINE_MS
RULES = CountingRules()
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def cell(**dimensions: str) -> Cell:
    assert dimensions.keys() <= set(DIMENSIONS)
    return tuple(dimensions.get(name) for name in DIMENSIONS)


def total(events: list[Event], rules: CountingRules = RULES) -> Counts:
    sums: Counter[str] = Counter()
    for counts in tallies(events, rules).values():
        sums.update(counts)
    return dict(sums)


def count_by_cell(
    name: str, events: list[Event], rules: CountingRules = RULES
) -> dict[tuple[int, Cell], int]:
    """Return the amounts of one count by pane and cell."""
    return {pane_cell: counts[name] for pane_cell, counts in tallies(events, rules).items() if name in counts}


def read(
    events: list[Event], metric: str, stat: str = "", rules: CountingRules = RULES, **window: object
) -> Reading | None:
    """Return a reading, of the 30 days around NOON by default."""
    whole = {"start": NOON - 20 * DAY, "end": NOON + 10 * DAY, "at": NOON + 10 * DAY}
    return readings(events, rules, Window(**whole | window)).get((metric, stat))


# Versions


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_score_that_is_given_anew_replaces_the_old_one_in_any_order(order: tuple[int, ...]) -> None:
    events = [answer(version=0, nps=3), answer(version=1, nps=9), answer(version=1, nps=9)]
    assert total([events[index] for index in order]) == {"surveys": 1, "nps_9": 1}


def test_equal_versions_are_decided_by_the_greater_digest_in_either_order() -> None:
    first, other = answer(nps=3), answer(nps=9)
    expected = "nps_3" if first.digest() > other.digest() else "nps_9"
    assert total([first, other]) == total([other, first]) == {"surveys": 1, expected: 1}


@pytest.mark.parametrize(
    ("sentence", "deleted_at", "revived_at", "counted"),
    [
        ("a tombstone of a lower version changes nothing", 0, None, 1),
        ("a tombstone of a higher version takes the fact back", 2, None, 0),
        ("a still higher version revives it", 2, 3, 1),
        ("a version between the two does not", 3, 2, 0),
    ],
)
def test_deletion(sentence: str, deleted_at: int, revived_at: int | None, counted: int) -> None:
    events: list[Event] = [Tombstone(FactIdentity("r", "", "r1"), deleted_at), answer(version=1, nps=9)]
    if revived_at is not None:
        events.append(answer(version=revived_at, nps=9))
    assert total(events).get("nps_9", 0) == counted, sentence


def test_the_same_id_of_another_source_is_another_fact() -> None:
    assert total([answer(nps=9), answer(source="crm", nps=9)]) == {"surveys": 2, "nps_9": 2}


def test_a_segment_without_an_id_has_its_contacts_id() -> None:
    assert total([call("c1"), call("c2", segment_id="c1", version=1)])["contacts"] == 1


# Contacts


def test_a_contact_that_was_passed_on_counts_once_at_its_last_answered_segment() -> None:
    segments = [
        call(
            segment_id="s1", queue="first", agent_id="anna", talk_ms=60_000, transfer="queue", resolved=False
        ),
        call(
            segment_id="s2",
            ended_at=NOON + MINUTE,
            queue="second",
            agent_id="ben",
            talk_ms=30_000,
            resolved=True,
        ),
        call(segment_id="s3", ended_at=NOON + 2 * MINUTE, queue="third", outcome="abandoned"),
    ]
    ben = (PANE + 6, cell(queue="second", agent="ben"))
    for events in permutations(segments):
        assert count_by_cell("contacts", list(events)) == {ben: 1}
        assert count_by_cell("disposed_resolved", list(events)) == {ben: 1}
        assert count_by_cell("talk_ms", list(events)) == {
            (PANE, cell(queue="first", agent="anna")): 60_000,
            ben: 30_000,
        }
        assert count_by_cell("abandoned", list(events)) == {(PANE + 12, cell(queue="third")): 1}
        assert count_by_cell("transferred", list(events)) == {(PANE, cell(queue="first", agent="anna")): 1}
        assert total(list(events))["disposed"] == 1


def test_a_contact_nobody_answered_counts_at_its_last_segment() -> None:
    events = [
        call(segment_id="s1", outcome="overflow"),
        call(segment_id="s2", outcome="abandoned", queue="second"),
    ]
    assert count_by_cell("contacts", events) == {(PANE, cell(queue="second")): 1}, (
        "equal times are decided by the id"
    )
    events += [call(segment_id="s2", source="crm", outcome="timeout", queue="third")]
    assert count_by_cell("contacts", events) == {(PANE, cell(queue="third")): 1}, "equal ids by the source"


def test_a_contact_counts_at_its_inbound_part_but_its_survey_goes_to_the_agent_who_called_back() -> None:
    back = call(segment_id="s2", ended_at=NOON + HOUR, direction="outbound", agent_id="ben", talk_ms=5_000)
    events = [call(agent_id="anna"), back, answer(contact_id="c1", nps=9)]
    assert count_by_cell("contacts", events) == {(PANE, cell(agent="anna")): 1}
    assert count_by_cell("nps_9", events) == {(PANE, cell(agent="ben")): 1}
    assert (
        count_by_cell("outbound", events)
        == count_by_cell("outbound_handle_n", events)
        == {(PANE + 360, cell(agent="ben")): 1}
    )
    assert total(events)["answered"] == 1


@pytest.mark.parametrize("outcome", ["answered", "abandoned"])
def test_an_outbound_contact_is_no_contact(outcome: str) -> None:
    event = call(direction="outbound", outcome=outcome, resolved=True, wait_ms=0, talk_ms=1_000)
    assert {name for name in total([event]) if not name.startswith("outbound_handle")} == {"outbound"}
    assert total([event]).get("outbound_handle_n", 0) == (outcome == "answered")


def test_the_disposition_of_a_contact_nobody_answered_does_not_count() -> None:
    counts = total([call(outcome="abandoned", resolved=True)])
    assert counts == {"abandoned": 1, "offered": 1, "contacts": 1, "own_level_of": 1}


def test_an_unknown_hold_is_not_a_hold_of_0() -> None:
    known_hold, unknown_hold = call(talk_ms=60_000, hold_ms=0), call("c2", talk_ms=30_000)
    assert total([known_hold, unknown_hold])["hold_n"] == 1
    assert total([known_hold])["hold:0"] == 1
    assert "hold_n" not in total([unknown_hold])
    assert read([known_hold, unknown_hold], "hold_time_seconds", "mean") == (0.0, 1)
    assert read([unknown_hold], "hold_time_seconds", "mean") == (None, 0)


def test_an_unknown_talk_has_no_handle_time_but_its_hold_and_wrap_up_count() -> None:
    events = [call(hold_ms=7_000, acw_ms=2_000), call("c2", talk_ms=10_000, hold_ms=7_000, acw_ms=2_000)]
    counts = total(events)
    assert (counts["handle_n"], counts["handle_ms"], counts["handle_s2"]) == (1, 19_000, 361)
    assert (counts["hold_n"], counts["acw_n"], counts["talk_n"]) == (2, 2, 1)
    assert read(events, "handle_time_seconds", "mean") == (19.0, 1)


def test_an_abandoned_contact_adds_to_no_handle_time() -> None:
    counts = total([call(outcome="abandoned", wait_ms=3_000, talk_ms=10_000, acw_ms=1_000)])
    assert not counts.keys() & {"handle_n", "talk_n", "acw_n", "wait_n"}
    assert (counts["abandon_n"], counts["abandon_ms"], counts["abandoned_short"]) == (1, 3_000, 1)


@pytest.mark.parametrize(
    ("outcome", "rules", "offered"),
    [
        ("answered", RULES, 1),
        ("abandoned", RULES, 1),
        ("timeout", RULES, 1),
        ("voicemail", RULES, 1),
        ("overflow", RULES, 0),
        ("overflow", CountingRules(offered_counts_overflow=True), 1),
        ("callback", RULES, 0),
        ("callback", CountingRules(offered_counts_callback=True), 1),
    ],
)
def test_overflow_and_callback_leave_offered_unless_the_rules_say_so(
    outcome: str, rules: CountingRules, offered: int
) -> None:
    assert total([call(outcome=outcome)], rules).get("offered", 0) == offered
    assert read([call(outcome=outcome)], "offered", rules=rules) == (offered, offered)


# Service level


def _thousand_answered() -> list[Event]:
    """Return the segments of the published example for the five formulas."""
    waits = [("answered", 20_000)] * 860 + [("answered", 20_001)] * 140
    waits += [("abandoned", 5_000)] * 10 + [("abandoned", 5_001)] * 10 + [("abandoned", 20_001)] * 40
    return [call(f"c{n}", outcome=outcome, wait_ms=wait) for n, (outcome, wait) in enumerate(waits)]


def _ciscos() -> list[Event]:
    waits = [("answered", 20_000)] * 70 + [("abandoned", 20_000)] * 10 + [("answered", 21_000)] * 20
    return [call(f"c{n}", outcome=outcome, wait_ms=wait) for n, (outcome, wait) in enumerate(waits)]


@pytest.mark.parametrize(
    ("events", "formula", "hits", "of"),
    [
        (_thousand_answered(), "negative", 860, 1060),
        (_thousand_answered(), "exclude_short", 860, 1050),
        (_thousand_answered(), "ignore", 860, 1040),
        (_thousand_answered(), "positive", 880, 1060),
        (_thousand_answered(), "answered_only", 860, 1000),
        (_ciscos(), "ignore", 70, 90),
        (_ciscos(), "negative", 70, 100),
        (_ciscos(), "positive", 80, 100),
    ],
)
def test_service_level_by_the_published_examples(
    events: list[Event], formula: str, hits: int, of: int
) -> None:
    counts = total(events, CountingRules(service_level=ServiceLevel(formula=formula)))
    assert (counts["own_level_hits"], counts["own_level_of"]) == (hits, of)
    reading = read(events, "service_level_ratio", formula)
    assert reading == (pytest.approx(hits / of), of)


@pytest.mark.parametrize("outcome", ["timeout", "voicemail"])
@pytest.mark.parametrize("formula", SERVICE_LEVEL_FORMULAS)
def test_timeout_and_voicemail_are_never_in_time(outcome: str, formula: str) -> None:
    rules = CountingRules(service_level=ServiceLevel(formula=formula))
    counts = total([call(outcome=outcome, wait_ms=0)], rules)
    assert "own_level_hits" not in counts
    assert counts.get("own_level_of", 0) == (0 if formula == "answered_only" else 1)


def test_queues_sum_by_their_own_formula_and_limits() -> None:
    rules = CountingRules(queues={"slow": ServiceLevel(within_ms=60_000, formula="positive")})
    events = [
        call("c1", queue="slow", wait_ms=60_000),
        call("c2", queue="slow", wait_ms=60_000, outcome="abandoned"),
        call("c3", queue="other", wait_ms=60_000),
        call("c4", queue="other", wait_ms=1_000, outcome="abandoned"),
    ]
    assert read(events, "service_level_ratio", "own", rules) == (0.5, 4)
    counts = total(events, rules)
    assert (counts["own_level_hits"], counts["own_level_of"]) == (2, 4)


def test_an_answered_segment_with_an_unknown_wait_is_left_out_of_the_service_level() -> None:
    assert read([call()], "service_level_ratio", "negative") == (None, 0)
    assert total([call()]) == {"answered": 1, "offered": 1, "contacts": 1}


def test_an_abandonment_with_an_unknown_wait_is_offered_by_the_negative_formula_only() -> None:
    event = call(outcome="abandoned")
    support = {stat: read([event], "service_level_ratio", stat).support for stat in SERVICE_LEVEL_FORMULAS}
    assert support == {"negative": 1, "exclude_short": 0, "ignore": 0, "positive": 0, "answered_only": 0}


# First-contact resolution


def test_a_repeat_takes_back_the_earlier_agents_first_contact_at_its_own_pane() -> None:
    first = call("c1", customer_id="ann", agent_id="anna")
    repeat = call("c2", ended_at=NOON + DAY, customer_id="ann", agent_id="ben")
    annas, bens = (PANE, cell(agent="anna")), (PANE + 8640, cell(agent="ben"))
    assert count_by_cell("fcr_kept", [first]) == {annas: 1}
    assert count_by_cell("fcr_kept", [first, repeat]) == {}
    assert count_by_cell("fcr_firsts", [first, repeat]) == {annas: 1}
    assert count_by_cell("fcr_repeats", [first, repeat]) == {bens: 1}
    assert count_by_cell("fcr_contacts", [first, repeat]) == {annas: 1, bens: 1}
    assert count_by_cell("fcr_kept", [first, repeat, Tombstone(repeat.identity, 1)]) == {annas: 1}


@pytest.mark.parametrize(("apart", "repeats", "kept"), [(0, 1, 0), (7 * DAY, 1, 0), (7 * DAY + 1, 0, 2)])
def test_a_repeat_is_one_within_7_days_end_to_end(apart: int, repeats: int, kept: int) -> None:
    events = [call("c1", customer_id="ann"), call("c2", ended_at=NOON + apart, customer_id="ann")]
    counts = total(events)
    assert (counts.get("fcr_repeats", 0), counts.get("fcr_kept", 0)) == (repeats, kept)


def test_contacts_that_end_together_are_in_the_order_of_their_ids() -> None:
    events = [call(id_, customer_id="ann", agent_id=f"of {id_}") for id_ in ("c10", "ñ", "c9")]
    assert count_by_cell("fcr_firsts", events) == {(PANE, cell(agent="of c10")): 1}


def test_a_chain_of_repeats_is_one_first_contact_however_long_it_is() -> None:
    events = [call(f"c{n}", ended_at=NOON + n * 6 * DAY, customer_id="ann") for n in range(4)]
    assert {name: n for name, n in total(events).items() if name.startswith("fcr_")} == {
        "fcr_contacts": 4,
        "fcr_firsts": 1,
        "fcr_repeats": 3,
    }


@pytest.mark.parametrize(
    ("one", "other", "same_reason", "repeats"),
    [
        ("refund", "fault", False, 1),
        ("refund", "fault", True, 0),
        ("refund", "refund", True, 1),
        (None, None, True, 1),
        ("refund", None, True, 0),
    ],
)
def test_only_the_same_reason_repeats_if_the_rules_say_so(
    one: str | None, other: str | None, same_reason: bool, repeats: int
) -> None:
    events = [
        call("c1", customer_id="ann", reason=one),
        call("c2", ended_at=NOON + DAY, customer_id="ann", reason=other),
    ]
    assert total(events, CountingRules(fcr_same_reason=same_reason)).get("fcr_repeats", 0) == repeats


def test_another_reason_in_between_does_not_hide_the_same_one() -> None:
    reasons = ["refund", "fault", "refund"]
    events = [call(f"c{n}", NOON + n, customer_id="ann", reason=reason) for n, reason in enumerate(reasons)]
    counts = total(events, CountingRules(fcr_same_reason=True))
    assert (counts["fcr_firsts"], counts["fcr_kept"], counts["fcr_repeats"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("a callback leg is not a repeat", {"channel": "callback"}),
        ("nor an abandoned contact", {"outcome": "abandoned"}),
        ("nor an outbound one", {"direction": "outbound"}),
        ("nor another customer's", {"customer_id": "bob"}),
        ("nor nobody's", {"customer_id": None}),
        ("nor a second segment of the same contact", {"contact_id": "c1", "segment_id": "s2"}),
    ],
)
def test_what_is_no_repeat(sentence: str, other: dict[str, object]) -> None:
    second = {"contact_id": "c2", "ended_at": NOON + DAY, "customer_id": "ann"} | other
    assert "fcr_repeats" not in total([call("c1", customer_id="ann"), call(**second)]), sentence


def test_fcr_is_read_for_windows_of_its_own_length_only() -> None:
    events = [call("c1", customer_id="ann"), call("c2", ended_at=NOON + DAY, customer_id="ann")]
    week = {"start": NOON - 6 * DAY, "end": NOON + DAY}
    assert read(events, "fcr_ratio", **week) == (0.0, 1)
    assert read(events, "fcr_ratio", **week | {"start": NOON - 6 * DAY + 1}) is None
    assert read(events, "repeat_ratio", start=NOON + DAY, end=NOON + DAY + 1) == (1.0, 1)


def test_the_final_fcr_is_that_of_the_window_7_days_earlier() -> None:
    events = [call("c1", customer_id="ann"), call("c2", ended_at=NOON + 9 * DAY, customer_id="ann")]
    day = {"start": NOON + 7 * DAY, "end": NOON + 8 * DAY}
    assert read(events, "fcr_final_ratio", **day) == (1.0, 1)
    assert read(events, "fcr_final_ratio", **day | {"end": NOON + 8 * DAY - 1}) is None


@pytest.mark.parametrize(("at", "mature"), [(NOON + 7 * DAY, 0.0), (NOON + 7 * DAY + 1, 1.0)])
def test_a_first_contact_is_mature_when_no_repeat_can_come_any_more(at: int, mature: float) -> None:
    assert read([call(customer_id="ann")], "fcr_maturity_ratio", at=at) == (mature, 1)


# Customers


def test_a_later_version_that_names_another_customer_moves_the_contact() -> None:
    events = [
        call("c1", customer_id="ann"),
        call("c2", ended_at=NOON + DAY, customer_id="ann"),
        call("c3", ended_at=NOON + DAY, customer_id="bob"),
    ]
    moved = call("c2", ended_at=NOON + DAY, version=1, customer_id="bob", agent_id="ben")
    assert total(events)["fcr_repeats"] == 1
    assert total([*events, moved])["fcr_repeats"] == 1
    assert count_by_cell("fcr_repeats", [*events, moved]) == {(PANE + 8640, cell()): 1}, (
        "c3 is now bob's second"
    )
    nobodys = call("c2", ended_at=NOON + DAY, version=2)
    assert "fcr_repeats" not in total([*events, moved, nobodys])


@pytest.mark.parametrize(
    ("sentence", "more", "contacts_of_ann"),
    [
        ("nobody is named", [], 1),
        (
            "a survey names the customer where no segment does",
            [answer(contact_id="c2", customer_id="ann")],
            2,
        ),
        ("an invitation does too", [invitation(contact_id="c2", customer_id="ann")], 2),
        (
            "of two the greater version",
            [
                answer(contact_id="c2", customer_id="ann", version=1),
                answer("r2", NOON + 1, contact_id="c2", customer_id="bob"),
            ],
            2,
        ),
        (
            "of equal versions the later",
            [
                answer("r1", NOON + 1, contact_id="c2", customer_id="ann"),
                answer("r2", contact_id="c2", customer_id="bob"),
            ],
            2,
        ),
        (
            "of equal times the greater id",
            [
                answer("r1", contact_id="c2", customer_id="ann"),
                answer("r2", contact_id="c2", customer_id="bob"),
            ],
            1,
        ),
        (
            "a segment beats every survey",
            [
                call("c2", segment_id="s2", outcome="overflow", customer_id="ann"),
                answer(contact_id="c2", customer_id="bob", version=9),
            ],
            2,
        ),
        (
            "a deleted segment names nobody",
            [
                call("c2", segment_id="s2", outcome="overflow", customer_id="ann"),
                Tombstone(FactIdentity("s", "", "s2"), 1),
            ],
            1,
        ),
    ],
)
def test_whose_contact_it_is(sentence: str, more: list[Event], contacts_of_ann: int) -> None:
    events = [call("c1", customer_id="ann"), call("c2", ended_at=NOON + DAY), *more]
    assert total(events).get("fcr_repeats", 0) == contacts_of_ann - 1, sentence


def test_a_customer_named_for_more_contacts_than_a_crowd_needs_is_none() -> None:
    events = [call(f"c{n}", ended_at=NOON + n, customer_id="ann", customer_value=n * 100) for n in range(3)]
    events += [valuation("ann", 99_900), answer(contact_id="c1", nps=0)]
    assert shared_ids(events, CountingRules(shared_id_limit=3)) == set()
    customer_counts = total(events, CountingRules(shared_id_limit=3))
    assert (
        customer_counts["fcr_contacts"],
        customer_counts["fcr_repeats"],
        customer_counts["risk_customers"],
    ) == (3, 2, 1)
    assert customer_counts["valued_sum"] == 3 * 200, "the value that was known last"
    assert shared_ids(events, CountingRules(shared_id_limit=2)) == {"ann"}
    crowd = total(events, CountingRules(shared_id_limit=2))
    assert crowd["contacts"] == 3
    assert crowd["nps_0"] == 1
    assert not crowd.keys() & {"fcr_contacts", "risk_customers"}
    assert (crowd["valued_contacts"], crowd["valued_sum"]) == (3, 0 + 100 + 200), "each its own"


def test_a_crowd_stays_one_when_its_contacts_move_away_or_are_deleted() -> None:
    events: list[Event] = [call(f"c{n}", customer_id="ann") for n in range(3)]
    events += [call("c1", customer_id="bob", version=1), Tombstone(FactIdentity("s", "", "c2"), 1)]
    assert shared_ids(events, CountingRules(shared_id_limit=2)) == {"ann"}
    assert contacts_by_customer(events)["bob"] == {("contact", "c1")}


def test_a_crowd_counts_contacts_and_surveys_but_not_their_facts() -> None:
    events = [
        call("c1", customer_id="ann"),
        call("c1", segment_id="s2", customer_id="ann"),
        answer("r1", survey_id="v1", contact_id="c1", customer_id="ann"),
        answer("r2", survey_id="v1", customer_id="ann"),
        invitation("v1", customer_id="ann"),
        invitation("v2", customer_id="ann"),
        answer("r3", customer_id="ann"),
        valuation("ann", 1),
        Tombstone(FactIdentity("r", "", "r4"), 1),
    ]
    surveys = {("survey", "", "v1"), ("survey", "", "v2")}
    assert contacts_by_customer(events) == {"ann": {("contact", "c1"), *surveys, FactIdentity("r", "", "r3")}}


# Surveys


def test_a_survey_before_its_contact_counts_as_unknown_and_moves_when_the_contact_comes() -> None:
    survey = answer(contact_id="c1", nps=9)
    contact = call(ended_at=NOON + HOUR, queue="billing", agent_id="anna")
    assert count_by_cell("nps_9", [survey]) == {(PANE, cell()): 1}
    moved = {(PANE, cell(queue="billing", agent="anna")): 1}
    assert count_by_cell("nps_9", [survey, contact]) == count_by_cell("nps_9", [contact, survey]) == moved


def test_an_answer_that_knows_only_its_survey_finds_its_contact() -> None:
    events = [answer(survey_id="v1", nps=9), invitation(contact_id="c1"), call(queue="billing")]
    for order in permutations(events):
        assert count_by_cell("nps_9", list(order)) == {(PANE, cell(queue="billing")): 1}
    assert count_by_cell("nps_9", [answer(survey_id="v1", source="crm", nps=9), *events[1:]]) == {
        (PANE, cell()): 1
    }


def test_an_answers_contact_beats_its_invitations_and_all_of_the_survey_follows() -> None:
    events = [
        invitation(contact_id="c1"),
        answer("r1", survey_id="v1", contact_id="c2", version=1),
        answer("r2", survey_id="v1", contact_id="c1", nps=9),
        call("c1", queue="first"),
        call("c2", queue="second"),
    ]
    assert (
        count_by_cell("nps_9", events)
        == count_by_cell("surveys_sent", events)
        == {(PANE, cell(queue="second")): 1}
    )
    deleted = [*events, Tombstone(FactIdentity("r", "", "r1"), 2)]
    assert (
        count_by_cell("nps_9", deleted)
        == count_by_cell("surveys_sent", deleted)
        == {(PANE, cell(queue="first")): 1}
    )


def test_a_contacts_dimension_beats_the_answers_and_that_the_invitations() -> None:
    events = [
        call(queue="of contact"),
        invitation(contact_id="c1", queue="of sent", team="of sent", site="of sent"),
        answer(survey_id="v1", queue="of answer", team="of answer", nps=9),
    ]
    assert count_by_cell("nps_9", events) == {
        (PANE, cell(queue="of contact", team="of answer", site="of sent")): 1
    }
    assert count_by_cell("surveys_sent", events) == {
        (PANE, cell(queue="of contact", team="of sent", site="of sent")): 1
    }
    assert count_by_cell("nps_9", events[1:]) == {
        (PANE, cell(queue="of answer", team="of answer", site="of sent")): 1
    }


@pytest.mark.parametrize(
    ("late", "queue"), [(35 * DAY, "billing"), (35 * DAY + 1, None), (-35 * DAY - 1, None)]
)
def test_a_survey_joins_its_contact_only_within_the_horizon(late: int, queue: str | None) -> None:
    events = [call(queue="billing"), answer(answered_at=NOON + late, contact_id="c1", nps=9)]
    assert [pane_cell[1] for pane_cell in count_by_cell("nps_9", events)] == [
        cell(queue=queue) if queue else cell()
    ]


def test_a_skipped_answer_is_in_no_denominator() -> None:
    events = [answer("r1", nps=10, csat=5), answer("r2", csat=1), answer("r3"), answer("r4", comment="only")]
    assert total(events) == {"surveys": 3, "nps_10": 1, "csat_5": 1, "csat_1": 1, "comments": 1}
    assert read(events, "nps_score") == (100.0, 1)
    assert read(events, "csat_ratio") == (0.5, 2)
    assert read(events, "cnx_score") == (None, 0)
    assert read(events, "surveys") == (3, 3)


@pytest.mark.parametrize(
    ("metric", "question", "scores", "value"),
    [
        ("nps_score", "nps", [9, 10, 8, 7, 6], 20.0),
        ("nps_score", "nps", [6, 0, 8], -200 / 3),
        ("cnx_score", "cnx", [10, 7, 6, 1], -25.0),
        ("csat_ratio", "csat", [4, 3, 5, 1], 0.5),
        ("csat_mean", "csat", [4, 3, 5, 1], 3.25),
        ("ces_score", "ces", [7, 4], 5.5),
        ("ces_easy_ratio", "ces", [5, 4, 7, 1], 0.5),
        ("effort_score", "effort", [1, 5, 2], 8 / 3),
        ("fcr_survey_ratio", "resolved_first", [True, True, False], 2 / 3),
        ("detractors", "nps", [6, 0, 7], 2),
    ],
)
def test_scores(metric: str, question: str, scores: list[int], value: float) -> None:
    events = [answer(f"r{n}", **{question: score}) for n, score in enumerate(scores)]
    support = 2 if metric == "detractors" else len(scores)
    assert read(events, metric) == (pytest.approx(value), support)


def test_an_excluded_answer_counts_only_as_one_that_was_given() -> None:
    events = [invitation(contact_id="c1"), answer(survey_id="v1", nps=0, comment="no", excluded=True)]
    assert total(events) == {"surveys_sent": 1, "surveys_sent_answered": 1}
    assert total([events[0], answer(survey_id="v1", comment="only")]) == {
        "surveys_sent": 1,
        "surveys": 1,
        "comments": 1,
    }


def test_the_response_ratio_waits_24_hours_for_an_answer() -> None:
    events = [
        invitation("v1"),
        invitation("v2", NOON - 1),
        answer(survey_id="v2", answered_at=NOON + DAY, csat=1),
    ]
    assert read(events, "response_ratio", end=NOON + DAY) == (1.0, 1)
    assert read(events, "response_ratio", end=NOON + DAY + 1) == (0.5, 2)


# Evaluations and values


def test_a_quality_score_goes_to_the_agent_it_names_else_to_the_contacts() -> None:
    contact = call(queue="billing", agent_id="anna")
    bens_evaluation, unnamed, lost = (
        evaluation(8_150, contact_id="c1", agent_id="ben"),
        evaluation(50, "e2", contact_id="c1"),
        evaluation(10_000, "e3", agent_id="ben"),
    )
    assert count_by_cell("qa_sum", [contact, bens_evaluation, unnamed, lost]) == {
        (PANE, cell(queue="billing", agent="ben")): 8_150,
        (PANE, cell(queue="billing", agent="anna")): 50,
        (PANE, cell(agent="ben")): 10_000,
    }
    assert total([bens_evaluation]) == {"qa": 1, "qa_sum": 8_150, "qa_squares": 6642}
    assert read([bens_evaluation, unnamed], "qa_score") == (pytest.approx(41.0), 2)


def test_an_evaluation_for_calibration_is_not_counted() -> None:
    counted, calibrated = (
        evaluation(8_000, contact_id="c1", agent_id="ben"),
        evaluation(2_000, "e2", contact_id="c1", agent_id="ben", calibration=True),
    )
    assert total([call(), counted, calibrated])["qa_sum"] == 8_000
    assert read([call(), counted, calibrated], "qa_score") == (80.0, 1)
    no_more = evaluation(8_000, contact_id="c1", agent_id="ben", calibration=True, version=1)
    assert read([call(), counted, no_more], "qa_score") == (None, 0)


@pytest.mark.parametrize(
    ("sentence", "more", "value"),
    [
        ("no value is known", [], None),
        ("a segment's", [call("c2", customer_id="ann", customer_value=500)], 500),
        (
            "a valuation's of the same time comes first",
            [call("c2", customer_id="ann", customer_value=500), valuation("ann", 100)],
            100,
        ),
        (
            "a later segment's",
            [call("c2", NOON + 1, customer_id="ann", customer_value=500), valuation("ann", 100)],
            500,
        ),
        ("a value of 0 is known", [valuation("ann", 0)], 0),
        ("another customer's is not", [valuation("bob", 100)], None),
        (
            "one that was taken back is not",
            [valuation("ann", 100), Tombstone(FactIdentity("c", "", "ann"), NOON + 1)],
            None,
        ),
    ],
)
def test_what_a_customer_is_worth(sentence: str, more: list[Event], value: int | None) -> None:
    events = [call("c1", agent_id="anna", customer_id="ann"), *more]
    mine = tallies(events, RULES)[PANE, cell(agent="anna")]
    assert (mine.get("valued_contacts", 0), mine.get("valued_sum", 0)) == (
        int(value is not None),
        value or 0,
    ), sentence
    reading = read(events, "value_mean", by=("agent",), key=("anna",))
    assert reading == ((None, 0) if value is None else (value / 100, 1))


@pytest.mark.parametrize(
    ("sentence", "events", "at_risk"),
    [
        ("a detractor's value", [answer(customer_id="ann", nps=6)], 5_000),
        ("not a passive's", [answer(customer_id="ann", nps=7)], None),
        ("nor a stranger's", [answer(nps=0)], None),
        (
            "the newest answer decides",
            [answer(customer_id="ann", nps=0), answer("r2", NOON + 1, customer_id="ann", nps=9)],
            None,
        ),
        (
            "of the same time the greater id",
            [answer("r1", customer_id="ann", nps=9), answer("r2", customer_id="ann", nps=0)],
            5_000,
        ),
        (
            "an excluded one does not",
            [
                answer(customer_id="ann", nps=0),
                answer("r2", NOON + 1, customer_id="ann", nps=9, excluded=True),
            ],
            5_000,
        ),
        (
            "nor a skipped one",
            [answer(customer_id="ann", nps=0), answer("r2", NOON + 1, customer_id="ann", csat=5)],
            5_000,
        ),
        (
            "nor one that is too far from its contact",
            [call(customer_id="ann"), answer("r2", NOON + 36 * DAY, contact_id="c1", nps=0)],
            None,
        ),
        (
            "unless it names the customer",
            [
                call(customer_id="ann"),
                answer("r2", NOON + 36 * DAY, contact_id="c1", customer_id="ann", nps=0),
            ],
            5_000,
        ),
    ],
)
def test_value_at_risk(sentence: str, events: list[Event], at_risk: int | None) -> None:
    events = [*events, valuation("ann", 5_000), valuation("bob", 9_000)]
    counts = total(events)
    assert counts.get("risk_customers", 0) == int(at_risk is not None), sentence
    assert counts.get("risk_sum") == at_risk, sentence
    daily_readings = [
        read(events, "value_at_risk", start=NOON + day * DAY, end=NOON + (day + 1) * DAY) for day in (0, 36)
    ]
    assert sum(reading.value or 0 for reading in daily_readings) == (at_risk or 0) / 100, sentence


def test_value_at_risk_lies_where_the_answer_lies() -> None:
    events = [
        call(customer_id="ann", queue="billing", customer_value=700),
        answer(answered_at=NOON + HOUR, contact_id="c1", nps=0),
    ]
    assert count_by_cell("risk_sum", events) == {(PANE + 360, cell(queue="billing")): 700}
    assert read(events, "value_at_risk") == (7.0, 1)


@pytest.mark.parametrize(("length", "is_read"), [(35 * DAY, True), (35 * DAY + 1, False)])
def test_value_at_risk_is_read_for_windows_within_the_horizon_only(length: int, is_read: bool) -> None:
    assert (read([], "value_at_risk", start=NOON, end=NOON + length) is not None) == is_read


# Readings


@pytest.mark.parametrize(("start", "end", "answered"), [(0, 1, 1), (1, 2, 0), (-1, 0, 0)])
def test_a_window_is_half_open(start: int, end: int, answered: int) -> None:
    assert read([call()], "answered", start=NOON + start, end=NOON + end) == (answered, answered)


def test_nothing_is_no_data_but_counts_are_0() -> None:
    readings_by_stat = readings([], RULES, Window(NOON, NOON + 7 * DAY, NOON + 7 * DAY))
    counted = {metric for (metric, _), reading in readings_by_stat.items() if reading == (0, 0)}
    assert counted == {
        *("contacts", "offered", "answered", "abandoned", "short_abandoned", "callbacks", "outbound"),
        *("surveys", "detractors", "comments", "active_agents"),
    }
    assert {reading for (metric, _), reading in readings_by_stat.items() if metric not in counted} == {
        Reading(None, 0)
    }


@pytest.mark.parametrize(
    ("stat", "seconds"), [("mean", 5.5), ("p50", 5), ("p90", 9), ("p95", 10), ("max", 10)]
)
def test_percentiles_are_of_the_nearest_rank(stat: str, seconds: float) -> None:
    events = [call(f"c{n}", wait_ms=n * 1000) for n in range(1, 11)]
    assert read(events, "wait_time_seconds", stat) == (seconds, 10)


def test_workload_is_handled_seconds_per_second() -> None:
    events = [call("c1", talk_ms=90_000), call("c2", talk_ms=60_000, acw_ms=30_000)]
    events += [call("c3", talk_ms=60_000, direction="outbound")]
    assert read(events, "workload_erlangs", start=NOON, end=NOON + MINUTE) == (3.0, 2)


def test_an_agent_is_active_who_answered_someone() -> None:
    events = [
        call("c1", agent_id="anna", queue="billing"),
        call("c2", agent_id="anna"),
        call("c3", agent_id="ben"),
        call("c4", agent_id="cyd", outcome="abandoned"),
        call("c5", agent_id="dan", direction="outbound"),
        call("c6"),
        call("c7", ended_at=NOON + 10, agent_id="eve"),
    ]
    assert active_agents(events, Window(NOON, NOON + 10, NOON + 10)) == {"anna", "ben"}
    assert active_agents(events, Window(NOON, NOON + 10, NOON + 10, ("queue",), ("billing",))) == {"anna"}
    assert read(events, "active_agents", start=NOON, end=NOON + 10) == (2, 2)


def test_an_unknown_dimension_is_the_group_unknown() -> None:
    events = [call("c1"), call("c2", queue="unknown"), call("c3", queue="billing")]
    assert read(events, "contacts", by=("queue",), key=("unknown",)) == (2, 2)
    hour = NOON // HOUR
    rows = {row: counts for (at, row), counts in by_hour_and_row(events, RULES).items() if at == hour}
    assert rows["queue\x1funknown"]["contacts"] == 2
    assert rows["queue\x1fbilling"]["contacts"] == 1
    assert rows["all"]["contacts"] == 3


def test_ratios_of_abandonment_and_time_are_not_read_by_agent() -> None:
    of_agent = {"by": ("agent",), "key": ("anna",)}
    assert read([call(agent_id="anna", wait_ms=0)], "abandon_ratio", **of_agent) is None
    assert read([call(agent_id="anna", wait_ms=0)], "service_level_ratio", "own", **of_agent) is None
    assert read([call(agent_id="anna", transfer="agent")], "transfer_ratio", **of_agent) == (1.0, 1)


# Whatever happens


@SLOW
@given(strategies.events(), strategies.rules(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(
    events: list[Event], rules: CountingRules, random: object
) -> None:
    again = events + random.choices(events, k=len(events) // 2) if events else []
    random.shuffle(again)
    assert tallies(again, rules) == tallies(events, rules)
    assert by_hour_and_row(again, rules) == by_hour_and_row(events, rules)
    assert contacts_by_customer(again) == contacts_by_customer(events)


@SLOW
@given(strategies.events(), strategies.rules())
def test_only_counts_that_have_a_number_are_counted_and_none_is_0(
    events: list[Event], rules: CountingRules
) -> None:
    for counts in tallies(events, rules).values():
        assert counts
        for name, value in counts.items():
            stem, _, number = name.partition(":")
            assert stem in FIRST_BUCKET_OF if number else name in NUMBER
            assert not number or 0 <= int(number) < BUCKETS
            assert value
            assert value > 0 or name in {"valued_sum", "risk_sum"}


@SLOW
@given(strategies.events(), strategies.rules())
def test_hours_and_rows_are_the_sums_of_the_panes(events: list[Event], rules: CountingRules) -> None:
    sums: dict[tuple[int, str], Counter[str]] = {}
    for (pane, of_cell), counts in tallies(events, rules).items():
        for by in groupings(rules.dimension_pairs):
            sums.setdefault((pane * FINE_MS // HOUR, row_field(by, of_cell)), Counter()).update(counts)
    clean = {hour_row: {name: n for name, n in counts.items() if n} for hour_row, counts in sums.items()}
    assert by_hour_and_row(events, rules) == {
        hour_row: counts for hour_row, counts in clean.items() if counts
    }


@SLOW
@given(strategies.events(), strategies.rules())
def test_counts_keep_their_proportions(events: list[Event], rules: CountingRules) -> None:
    n = Counter(total(events, rules))
    assert n["fcr_repeats"] + n["fcr_firsts"] == n["fcr_contacts"] <= n["contacts"]
    assert n["fcr_kept"] <= n["fcr_firsts"]
    assert n["disposed_resolved"] <= n["disposed"] <= n["contacts"]
    assert n["valued_contacts"] <= n["contacts"]
    assert n["surveys_sent_answered"] <= n["surveys_sent"]
    assert n["own_level_hits"] <= n["own_level_of"]
    assert n["risk_customers"] <= n["surveys"]
    for name in DURATIONS:
        assert sum(value for key, value in n.items() if key.startswith(f"{name}:")) == n[f"{name}_n"]
    for question, scale in SCALES.items():
        assert sum(n[f"{question}_{score}"] for score in scale) <= n["surveys"]


@st.composite
def windows(draw: st.DrawFn, rules: CountingRules) -> Window:
    """Draw windows of whole hours or of 10 s panes, for any group."""
    unit = draw(st.sampled_from((HOUR, FINE_MS)))
    start = (strategies.START + draw(st.sampled_from((-8, -1, 0, 1, 7))) * DAY) // unit * unit
    length = draw(st.sampled_from((unit, HOUR, DAY, 7 * DAY, 30 * DAY)))
    by = draw(st.sampled_from(groupings(rules.dimension_pairs)))
    keys = {
        "queue": ("billing", "tech", "unknown"),
        "agent": ("anna", "ben", "unknown"),
        "channel": ("voice", "chat", "callback", "unknown"),
    }
    key = tuple(draw(st.sampled_from((*keys.get(name, ()), "unknown"))) for name in by)
    end = start + length
    return Window(start, end, end + draw(st.sampled_from((0, DAY, 30 * DAY))), by, key)


def _counted(counts: dict[tuple[int, Cell], Counts], window: Window) -> TallyCounts:
    sums: Counter[int] = Counter()
    for (pane, of_cell), tally in counts.items():
        if (pane * FINE_MS, of_cell) in window:
            for name, amount in tally.items():
                stem, _, number = name.partition(":")
                sums[FIRST_BUCKET_OF[stem] + int(number) if number else NUMBER[name]] += amount
    return TallyCounts(sums)


@SLOW
@given(st.data(), strategies.events(), strategies.rules())
def test_readings_from_the_facts_are_the_catalogues_from_the_tallies(
    data: st.DataObject, events: list[Event], rules: CountingRules
) -> None:
    window = data.draw(windows(rules))
    counts = tallies(events, rules)
    readings_by_stat = readings(events, rules, window)
    spans = WindowSpans(fcr_ms=rules.fcr_ms, horizon_ms=rules.horizon_ms)
    length = window.end - window.start
    mature = replace(window, end=min(window.end, window.at - rules.fcr_ms))
    context = ReadingContext(
        window_s=length / SECOND,
        active_agents=len(active_agents(events, window)),
        mature=_counted(counts, mature),
    )
    of_windows: dict[int, TallyCounts] = {}
    for metric in CATALOGUE.values():
        if metric.placed == "as it passes":  # agents' time is the live oracle's
            continue
        is_read = metric.windows.allows(length, spans) and metric.can_group_by(",".join(window.by))
        shift_ms = spans.ms(metric.windows.shift)
        if shift_ms not in of_windows:
            of_windows[shift_ms] = _counted(counts, window.earlier(shift_ms))
        of_window = of_windows[shift_ms]
        for stat in metric.stats:
            if stat == "with_waiting":  # of those who wait now the live oracle knows
                continue
            reading = readings_by_stat.pop((metric.name, stat), None)
            assert (reading is not None) == is_read, (metric.name, stat)
            if reading is not None:
                figure = evaluate_metric(metric, stat, of_window, context)
                # 2 % where it comes from a histogram
                within = 0.02 if stat.startswith(("p", "max")) and stat != "positive" else 1e-9
                value = figure.value and pytest.approx(figure.value, rel=within)
                assert reading == (value, figure.support), (metric.name, stat)
    assert not readings_by_stat, "a metric the catalogue does not know"


@SLOW
@given(strategies.events(), strategies.rules())
def test_counts_read_by_a_dimension_add_up_to_all(events: list[Event], rules: CountingRules) -> None:
    window = Window(strategies.START - 60 * DAY, strategies.START + 60 * DAY, strategies.START + 60 * DAY)
    everyone = readings(events, rules, window)
    keys = {of_cell[DIMENSIONS.index("queue")] or "unknown" for _, of_cell in tallies(events, rules)}
    of_queues = [
        readings(events, rules, Window(window.start, window.end, window.at, ("queue",), (key,)))
        for key in keys
    ]
    for metric in ("contacts", "offered", "answered", "surveys", "comments", "detractors", "outbound"):
        assert (
            sum(readings_by_stat[metric, ""].support for readings_by_stat in of_queues)
            == everyone[metric, ""].support
        )
