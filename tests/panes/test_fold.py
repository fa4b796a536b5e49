"""Counts of each kind of fact, and of a contact among the others of its customer, at each boundary."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from streamer.events.counting_rules import DAY, CountingRules, ServiceLevel
from streamer.events.models import Segment, StatedFact
from streamer.journeys.journey import Journey, contact_key, identity_key, own_journey_key
from streamer.metrics.tally import bucket
from streamer.panes.fold import CommitDelta, add_delta, fold, group_contexts
from streamer.panes.pane_keys import FINE_MS
from tests.counting import tally_by_name
from tests.facts import NOON, answer, call, evaluation, invitation, valuation
from tests.panes.journey_counts import ANN, cell_of, count_facts, journey_of, sum_rows

RULES = CountingRules()
Counts = Mapping[str, int]


def of_duration(name: str, ms: int, seconds2: int) -> Counts:
    """Return the counts of one duration, without those that are 0."""
    counts = {f"{name}_n": 1, f"{name}_ms": ms, f"{name}_s2": seconds2, f"{name}:{bucket(ms)}": 1}
    return {count: amount for count, amount in counts.items() if amount}


ANSWERED = {"answered": 1, "offered": 1, "contacts": 1}
ABANDONED = {"abandoned": 1, "offered": 1, "contacts": 1}
WAITED = {"answered_waited": 1, "own_level_of": 1}
LEFT = {"abandoned_waited": 1, "own_level_of": 1}

SEGMENTS: list[tuple[str, Segment, Counts]] = [
    ("an unknown wait counts for no service level", call(), ANSWERED),
    (
        "a wait as long as the target is within",
        call(wait_ms=20_000),
        ANSWERED | WAITED | {"answered_within": 1, "own_level_hits": 1} | of_duration("wait", 20_000, 400),
    ),
    (
        "a wait of 1 ms more is not",
        call(wait_ms=20_001),
        ANSWERED | WAITED | of_duration("wait", 20_001, 400),
    ),
    (
        "a wait of 0 is known",
        call(wait_ms=0),
        ANSWERED | WAITED | {"answered_within": 1, "own_level_hits": 1} | of_duration("wait", 0, 0),
    ),
    ("abandoned after an unknown wait", call(outcome="abandoned"), ABANDONED | {"own_level_of": 1}),
    (
        "abandoned at the limit of short ones",
        call(outcome="abandoned", wait_ms=5_000),
        ABANDONED | LEFT | {"abandoned_within": 1, "abandoned_short": 1} | of_duration("abandon", 5_000, 25),
    ),
    (
        "abandoned 1 ms later is not short",
        call(outcome="abandoned", wait_ms=5_001),
        ABANDONED | LEFT | {"abandoned_within": 1} | of_duration("abandon", 5_001, 25),
    ),
    (
        "abandoned after the target",
        call(outcome="abandoned", wait_ms=20_001),
        ABANDONED | LEFT | of_duration("abandon", 20_001, 400),
    ),
    (
        "a time-out is offered and never within",
        call(outcome="timeout", wait_ms=0),
        {"timeout": 1, "offered": 1, "contacts": 1, "own_level_of": 1},
    ),
    (
        "so is a voicemail",
        call(outcome="voicemail", wait_ms=0),
        {"voicemail": 1, "offered": 1, "contacts": 1, "own_level_of": 1},
    ),
    ("an overflow is not offered", call(outcome="overflow", wait_ms=0), {"overflow": 1, "contacts": 1}),
    ("nor is a callback", call(outcome="callback", wait_ms=0), {"callback": 1, "contacts": 1}),
    (
        "a handle time is talk, hold and after-call work",
        call(talk_ms=60_000, hold_ms=5_000, acw_ms=1_499),
        ANSWERED
        | of_duration("talk", 60_000, 3600)
        | of_duration("hold", 5_000, 25)
        | of_duration("acw", 1_499, 2)
        | of_duration("handle", 66_499, 4422),
    ),
    (
        "unknown hold and after-call work are left out of it",
        call(talk_ms=60_000),
        ANSWERED | of_duration("talk", 60_000, 3600) | of_duration("handle", 60_000, 3600),
    ),
    (
        "without a talk time there is no handle time",
        call(hold_ms=5_000, acw_ms=0),
        ANSWERED | of_duration("hold", 5_000, 25) | of_duration("acw", 0, 0),
    ),
    (
        "an abandoned one has no talk time",
        call(outcome="abandoned", talk_ms=9_000),
        ABANDONED | {"own_level_of": 1},
    ),
    ("a transfer", call(transfer="queue"), ANSWERED | {"transferred": 1}),
    (
        "an abandoned one is not transferred",
        call(outcome="abandoned", transfer="queue"),
        ABANDONED | {"own_level_of": 1},
    ),
    ("resolved, says the agent", call(resolved=True), ANSWERED | {"disposed": 1, "disposed_resolved": 1}),
    ("not resolved, says the agent", call(resolved=False), ANSWERED | {"disposed": 1}),
    (
        "the disposition of an abandoned one does not count",
        call(outcome="abandoned", resolved=True),
        ABANDONED | {"own_level_of": 1},
    ),
    (
        "an outbound segment is no contact and has a handle time of its own",
        call(direction="outbound", wait_ms=0, talk_ms=3_000, acw_ms=1_000, resolved=True),
        {"outbound": 1} | of_duration("outbound_handle", 4_000, 16),
    ),
    (
        "an outbound one without a talk time has none",
        call(direction="outbound", acw_ms=1_000),
        {"outbound": 1},
    ),
    (
        "an outbound one that nobody took has none",
        call(direction="outbound", outcome="abandoned", talk_ms=1),
        {"outbound": 1},
    ),
    (
        "a value of 0 is known",
        call(customer_value=0),
        ANSWERED | {"valued_contacts": 1},
    ),
    ("a value", call(customer_value=-1_250), ANSWERED | {"valued_contacts": 1, "valued_sum": -1_250}),
]


@pytest.mark.parametrize(("sentence", "segment", "expected"), SEGMENTS, ids=[row[0] for row in SEGMENTS])
def test_counts_of_a_segment(sentence: str, segment: Segment, expected: Counts) -> None:
    assert count_facts(segment, key=own_journey_key(contact_key("c1"))) == expected


SURVEYS: list[tuple[str, Sequence[StatedFact], Counts]] = [
    ("an invitation", [invitation()], {"surveys_sent": 1}),
    (
        "an invitation with its answer",
        [invitation(), answer(survey_id="v1", nps=10)],
        {"surveys_sent": 1, "surveys_sent_answered": 1, "surveys": 1, "nps_10": 1},
    ),
    (
        "a comment alone does not answer it",
        [invitation(), answer(survey_id="v1", comment="late")],
        {"surveys_sent": 1, "surveys": 1, "comments": 1},
    ),
    (
        "an excluded answer does, and counts for nothing else",
        [invitation(), answer(survey_id="v1", nps=0, comment="no", excluded=True)],
        {"surveys_sent": 1, "surveys_sent_answered": 1},
    ),
    (
        "the lowest scores",
        [answer(nps=0, csat=1, ces=1, effort=1, cnx=1)],
        {"surveys": 1, "nps_0": 1, "csat_1": 1, "ces_1": 1, "effort_1": 1, "cnx_1": 1},
    ),
    (
        "the highest scores",
        [answer(nps=10, csat=5, ces=7, effort=5, cnx=10)],
        {"surveys": 1, "nps_10": 1, "csat_5": 1, "ces_7": 1, "effort_5": 1, "cnx_10": 1},
    ),
    ("resolved at first, says the customer", [answer(resolved_first=True)], {"surveys": 1, "first_yes": 1}),
    ("not resolved, says the customer", [answer(resolved_first=False)], {"surveys": 1, "first_no": 1}),
    ("an answer with all skipped is none", [answer()], {}),
    ("two answers", [answer("r1", nps=9), answer("r2", nps=9)], {"surveys": 2, "nps_9": 2}),
    ("an evaluation", [evaluation(8_150)], {"qa": 1, "qa_sum": 8_150, "qa_squares": 6_642}),
    ("the lowest evaluation", [evaluation(0)], {"qa": 1}),
    ("the highest evaluation", [evaluation(10_000)], {"qa": 1, "qa_sum": 10_000, "qa_squares": 10_000}),
]


@pytest.mark.parametrize(("sentence", "facts", "expected"), SURVEYS, ids=[row[0] for row in SURVEYS])
def test_counts_of_surveys_and_evaluations(
    sentence: str, facts: Sequence[StatedFact], expected: Counts
) -> None:
    assert count_facts(*facts) == expected


RISKS: list[tuple[str, Sequence[StatedFact], int | None]] = [
    ("a detractor's 6 puts the value at risk", [answer(nps=6), valuation("ann", 500)], 500),
    ("a passive's 7 does not", [answer(nps=7), valuation("ann", 500)], None),
    ("an unknown value is not at risk", [answer(nps=0)], None),
    (
        "a later 9 takes the risk back",
        [answer(nps=0), answer("r2", NOON + 1, nps=9), valuation("ann", 500)],
        None,
    ),
    ("an earlier 9 does not", [answer(nps=0), answer("r2", NOON - 1, nps=9), valuation("ann", 500)], 500),
    (
        "a later skipped score does not",
        [answer(nps=0), answer("r2", NOON + 1, csat=5), valuation("ann", 500)],
        500,
    ),
    (
        "an excluded score does not",
        [answer(nps=0), answer("r2", NOON + 1, nps=9, excluded=True), valuation("ann", 500)],
        500,
    ),
    (
        "the value that was stated last counts",
        [answer(nps=0), valuation("ann", 500), valuation("ann", 700, NOON + 1, source="crm")],
        700,
    ),
    (
        "of equal times a valuation beats a segment",
        [call(customer_value=900), answer(contact_id="c1", nps=0), valuation("ann", 500)],
        500,
    ),
    (
        "a later segment beats a valuation",
        [call(ended_at=NOON + 1, customer_value=900), answer(contact_id="c1", nps=0), valuation("ann", 500)],
        900,
    ),
    (
        "an answer at the horizon of its contact is the customer's",
        [call(), answer("r1", NOON + RULES.horizon_ms, contact_id="c1", nps=0), valuation("ann", 500)],
        500,
    ),
    (
        "1 ms beyond it is not",
        [call(), answer("r1", NOON + RULES.horizon_ms + 1, contact_id="c1", nps=0), valuation("ann", 500)],
        None,
    ),
    (
        "unless it names the customer itself",
        [
            call(),
            answer("r1", NOON + RULES.horizon_ms + 1, contact_id="c1", customer_id="ann", nps=0),
            valuation("ann", 500),
        ],
        500,
    ),
]


@pytest.mark.parametrize(("sentence", "facts", "at_risk"), RISKS, ids=[row[0] for row in RISKS])
def test_value_at_risk_of_a_customer(sentence: str, facts: Sequence[StatedFact], at_risk: int | None) -> None:
    counts = count_facts(*facts)
    assert counts.get("risk_sum") == at_risk
    assert counts.get("risk_customers", 0) == int(at_risk is not None)
    assert "risk_sum" not in count_facts(*facts, key=own_journey_key(contact_key("c1")))


PLACES: list[tuple[str, Sequence[StatedFact], str, tuple[int, dict[str, str]]]] = [
    (
        "a survey at the horizon has its contact's dimensions",
        [call(queue="billing"), answer("r1", NOON + RULES.horizon_ms, contact_id="c1", csat=5)],
        "csat_5",
        (NOON + RULES.horizon_ms, {"queue": "billing"}),
    ),
    (
        "1 ms later it has only its own",
        [
            call(queue="billing"),
            answer("r1", NOON + RULES.horizon_ms + 1, contact_id="c1", csat=5, team="red"),
        ],
        "csat_5",
        (NOON + RULES.horizon_ms + 1, {"team": "red"}),
    ),
    (
        "before its contact the horizon is as far",
        [call(queue="billing"), answer("r1", NOON - RULES.horizon_ms - 1, contact_id="c1", csat=5)],
        "csat_5",
        (NOON - RULES.horizon_ms - 1, {}),
    ),
    (
        "an invitation at the horizon has its contact's dimensions",
        [call(queue="billing"), invitation("v1", NOON + RULES.horizon_ms, contact_id="c1")],
        "surveys_sent",
        (NOON + RULES.horizon_ms, {"queue": "billing"}),
    ),
    (
        "an evaluation goes to the agent it names, in the contact's queue",
        [call(queue="billing", agent_id="anna"), evaluation(1, contact_id="c1", agent_id="ben")],
        "qa",
        (NOON, {"queue": "billing", "agent": "ben"}),
    ),
    (
        "else to the contact's agent",
        [call(queue="billing", agent_id="anna"), evaluation(1, contact_id="c1")],
        "qa",
        (NOON, {"queue": "billing", "agent": "anna"}),
    ),
    (
        "1 ms beyond the horizon to nobody",
        [call(agent_id="anna"), evaluation(1, "e1", NOON + RULES.horizon_ms + 1, contact_id="c1")],
        "qa",
        (NOON + RULES.horizon_ms + 1, {}),
    ),
    (
        "a contact lies at its last answered segment",
        [call(agent_id="anna"), call(segment_id="s2", ended_at=NOON + 1, outcome="abandoned")],
        "contacts",
        (NOON, {"agent": "anna"}),
    ),
    (
        "the contact's dimension beats the answer's and that the invitation's",
        [
            call(queue="of call"),
            answer(survey_id="v1", contact_id="c1", queue="of answer", team="of answer", csat=5),
            invitation(contact_id="c1", team="of sent", site="of sent"),
        ],
        "csat_5",
        (NOON, {"queue": "of call", "team": "of answer", "site": "of sent"}),
    ),
]


@pytest.mark.parametrize(("sentence", "facts", "count", "place"), PLACES, ids=[row[0] for row in PLACES])
def test_place_of_a_count(
    sentence: str, facts: Sequence[StatedFact], count: str, place: tuple[int, dict[str, str]]
) -> None:
    rows = [row for _, _, rows in fold(ANN, journey_of(*facts), RULES) for row in rows]
    time_ms, dimensions = place
    assert [(row.time_ms, row.cell) for row in rows if count in tally_by_name(row.tally())] == [
        (time_ms, cell_of(**dimensions))
    ]


N = RULES.fcr_ms
BILL, FAULT = {"reason": "bill"}, {"reason": "fault"}
SAME_REASON = CountingRules(fcr_same_reason=True)
KEPT, FIRST, REPEAT, NONE = (True, True), (True, False), (False, None), (None, None)
"""A first contact that is resolved, one that is not, a repeat, a contact that is left out."""

REPEATS: list[tuple[str, CountingRules, Sequence[tuple[int, dict[str, object]]], Sequence[object]]] = [
    ("one contact is resolved", RULES, [(0, {})], [KEPT]),
    (
        "a contact at the same time repeats the one of the lower id",
        RULES,
        [(0, {}), (0, {})],
        [FIRST, REPEAT],
    ),
    ("a contact N days later to the millisecond is a repeat", RULES, [(0, {}), (N, {})], [FIRST, REPEAT]),
    ("1 ms later it is not", RULES, [(0, {}), (N + 1, {})], [KEPT, KEPT]),
    ("a repeat is repeated in its turn", RULES, [(0, {}), (N, {}), (2 * N, {})], [FIRST, REPEAT, REPEAT]),
    (
        "the chain ends 1 ms after N days",
        RULES,
        [(0, {}), (N, {}), (2 * N + 1, {})],
        [FIRST, REPEAT, KEPT],
    ),
    (
        "another N ends it earlier",
        CountingRules(fcr_ms=DAY),
        [(0, {}), (DAY, {}), (2 * DAY + 1, {})],
        [FIRST, REPEAT, KEPT],
    ),
    ("an abandoned contact is left out", RULES, [(0, {}), (1, {"outcome": "abandoned"})], [KEPT, NONE]),
    ("so is an outbound one", RULES, [(0, {}), (1, {"direction": "outbound"})], [KEPT, NONE]),
    ("so is the leg of a callback", RULES, [(0, {}), (1, {"channel": "callback"})], [KEPT, NONE]),
    (
        "what is left out does not prolong the window",
        RULES,
        [(0, {}), (1, {"outcome": "abandoned"}), (N + 1, {})],
        [KEPT, NONE, KEPT],
    ),
    ("reasons do not matter", RULES, [(0, BILL), (1, FAULT)], [FIRST, REPEAT]),
    ("unless the rules say so", SAME_REASON, [(0, BILL), (1, FAULT)], [KEPT, KEPT]),
    ("the same reason N days later repeats", SAME_REASON, [(0, BILL), (N, BILL)], [FIRST, REPEAT]),
    ("not 1 ms after", SAME_REASON, [(0, BILL), (N + 1, BILL)], [KEPT, KEPT]),
    ("unknown reasons are the same", SAME_REASON, [(0, {}), (1, {})], [FIRST, REPEAT]),
    (
        "another reason between does not hide a repeat",
        SAME_REASON,
        [(0, BILL), (1, FAULT), (N, BILL)],
        [FIRST, KEPT, REPEAT],
    ),
]


@pytest.mark.parametrize(
    ("sentence", "rules", "visits", "expected"), REPEATS, ids=[row[0] for row in REPEATS]
)
def test_first_contacts_and_repeats(
    sentence: str,
    rules: CountingRules,
    visits: Sequence[tuple[int, dict[str, object]]],
    expected: Sequence[object],
) -> None:
    segments = [call(f"c{n}", NOON + after_ms, **more) for n, (after_ms, more) in enumerate(visits)]
    for order in (segments, segments[::-1]):
        contexts = group_contexts(ANN, journey_of(*order), rules)
        found = [contexts.get(contact_key(segment.contact_id)) for segment in segments]
        assert [(c.is_first, c.is_resolved) if c is not None else NONE for c in found] == expected
    assert group_contexts(own_journey_key(contact_key("c1")), journey_of(*segments), rules) == {}
    firsts, repeats = expected.count(KEPT) + expected.count(FIRST), expected.count(REPEAT)
    counts = count_facts(*segments, rules=rules)
    names = ("fcr_contacts", "fcr_firsts", "fcr_kept", "fcr_repeats")
    assert [counts.get(name, 0) for name in names] == [
        firsts + repeats, firsts, expected.count(KEPT), repeats,
    ]  # fmt: skip


def test_queues_count_by_their_own_target() -> None:
    rules = CountingRules(queues={"slow": ServiceLevel(within_ms=60_000, short_ms=0, formula="positive")})
    slow = count_facts(call(queue="slow", wait_ms=60_000, outcome="abandoned"), rules=rules)
    usual = count_facts(call(queue="other", wait_ms=60_000, outcome="abandoned"), rules=rules)
    assert (slow["own_level_hits"], slow["own_level_of"], slow["abandoned_within"]) == (1, 1, 1)
    assert (usual.get("own_level_hits"), usual["own_level_of"], usual.get("abandoned_within")) == (
        None,
        1,
        None,
    )


# Deltas


OLD, NEW = call(wait_ms=9_000), call(wait_ms=8_000, version=1)
KEPT_CONTACT = {"fcr_contacts": 1, "fcr_firsts": 1, "fcr_kept": 1}
LEVEL = ANSWERED | WAITED | {"answered_within": 1, "own_level_hits": 1}


def minus(counts: Counts) -> Counts:
    return {name: -amount for name, amount in counts.items()}


DELTAS: list[tuple[str, Sequence[StatedFact], Sequence[StatedFact], Counts]] = [
    ("nothing changes", [OLD], [OLD], {}),
    ("the first fact adds its counts", [], [OLD], LEVEL | KEPT_CONTACT | of_duration("wait", 9_000, 81)),
    (
        "a fact taken back subtracts them",
        [OLD],
        [],
        minus(LEVEL | KEPT_CONTACT | of_duration("wait", 9_000, 81)),
    ),
    (
        "a correction takes the old counts out and puts the new ones in",
        [OLD],
        [NEW],
        {"wait_ms": -1_000, "wait_s2": -17, f"wait:{bucket(9_000)}": -1, f"wait:{bucket(8_000)}": 1},
    ),
    (
        "a repeat takes back the earlier first-contact resolution",
        [call("c1")],
        [call("c1"), call("c2", NOON + N)],
        ANSWERED | {"fcr_contacts": 1, "fcr_repeats": 1, "fcr_kept": -1},
    ),
    (
        "a contact that comes late turns the next one into a repeat",
        [call("c2", NOON + N)],
        [call("c2", NOON + N), call("c1")],
        ANSWERED | {"fcr_contacts": 1, "fcr_repeats": 1, "fcr_kept": -1},
    ),
    (
        "a better score takes the value at risk back",
        [answer(nps=0), valuation("ann", 500)],
        [answer(nps=9, version=1), valuation("ann", 500)],
        {"nps_0": -1, "nps_9": 1, "risk_customers": -1, "risk_sum": -500},
    ),
    (
        "a valuation adds to contacts that were there",
        [call("c1"), call("c2", NOON + N + 1)],
        [call("c1"), call("c2", NOON + N + 1), valuation("ann", 500)],
        {"valued_contacts": 2, "valued_sum": 1_000},
    ),
]


@pytest.mark.parametrize(("sentence", "before", "after", "expected"), DELTAS, ids=[row[0] for row in DELTAS])
def test_the_delta_is_the_fold_after_less_the_fold_before(
    sentence: str, before: Sequence[StatedFact], after: Sequence[StatedFact], expected: Counts
) -> None:
    delta = CommitDelta.empty()
    add_delta(delta, ANN, journey_of(*before), journey_of(*after), RULES)
    sums = sum_rows(delta.added)
    for number, amount in sum_rows(delta.removed).items():
        sums[number] = sums.get(number, 0) - amount
    assert {name: amount for name, amount in tally_by_name(sums).items() if amount} == expected


def test_untouched_groups_add_no_rows() -> None:
    far, first, repeat = call("c0", NOON - 2 * N), call("c1"), call("c2", NOON + N)
    before = journey_of(far, answer(answered_at=far.ended_at, contact_id="c0", csat=5), first)
    after = Journey({**before.groups, **journey_of(repeat).groups})
    delta = CommitDelta.empty()
    add_delta(delta, ANN, before, after, RULES)
    assert [(row.time_ms, "answered" in tally_by_name(row.tally())) for row in delta.removed] == [
        (NOON, False)
    ]
    assert [(row.time_ms, "answered" in tally_by_name(row.tally())) for row in delta.added] == [
        (NOON, False),
        (NOON + N, True),
    ]
    assert delta.journeys == {NOON // FINE_MS: [ANN], (NOON + N) // FINE_MS: [ANN]}


def test_a_journey_is_linked_to_the_panes_it_adds_rows_to_and_not_to_those_it_leaves() -> None:
    delta = CommitDelta.empty()
    moved = replace(OLD, ended_at=NOON + FINE_MS, version=1)
    add_delta(delta, ANN, journey_of(OLD), journey_of(moved), RULES)
    assert delta.journeys == {NOON // FINE_MS + 1: [ANN]}


def test_a_group_that_leaves_a_journey_is_subtracted_with_the_context_it_had() -> None:
    delta = CommitDelta.empty()
    both = journey_of(call("c1"), call("c2", NOON + N))
    remaining = Journey({identity_key(call("c1").identity): both.groups[contact_key("c1")]})
    add_delta(delta, ANN, both, remaining, RULES)
    assert tally_by_name(sum_rows(delta.removed))["fcr_repeats"] == 1
    assert tally_by_name(sum_rows(delta.added)) == {"contacts": 1} | KEPT_CONTACT
