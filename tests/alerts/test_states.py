"""An alert is told once, ends once, and never for a moment's chance, a pause or a clock."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.alert_rules import load_alert_rules
from streamer.alerts.states import (
    MAX_GAP_MS,
    Alert,
    AlertNotice,
    advance_alert,
    advance_alerts,
    withdraw_alert,
)
from streamer.alerts.verdict import Verdict, VerdictState
from streamer.events.counting_rules import DAY, HOUR, MINUTE, SECOND
from streamer.settings import Settings

FOR, CLEAR = 2 * MINUTE, 5 * MINUTE


def made(**given: object) -> AlertRule:
    given = {
        "kind": "drop",
        "metric": "nps_score",
        "for": FOR / 1000,
        "keep_firing_for": CLEAR / 1000,
        **given,
    }
    return next(rule for rule in load_alert_rules(Settings(alerts={"one": given})) if rule.name == "one")  # type: ignore[arg-type]


RULE = made()


def said(state: VerdictState) -> Verdict:
    return Verdict(kind="drop", key="billing", state=state, reason=state)


class Story:
    """Verdicts one after another, and what was told."""

    def __init__(self, rule: AlertRule = RULE) -> None:
        self.rule, self.now, self.alert = rule, 0, None
        self.told: list[AlertNotice] = []
        self.alert: Alert | None

    def tell(
        self, state: VerdictState, ms: int, then: VerdictState | None = None, every: int = 10 * SECOND
    ) -> "Story":
        """The verdict, again and again for so long."""
        for _ in range(max(1, ms // every)):
            self.now += every
            self.alert, notice = advance_alert(self.alert, self.rule, said(state), self.now, then)
            self.told += [notice] if notice else []
        return self

    @property
    def phase(self) -> str | None:
        return self.alert.phase if self.alert else None

    @property
    def notices(self) -> list[tuple[str, str]]:
        return [(notice.what, notice.why) for notice in self.told]


DUE, OVER = ("firing", "due"), ("resolved", "over")


@pytest.mark.parametrize(("ms", "phase"), [(FOR - 10 * SECOND, "pending"), (FOR + 10 * SECOND, "firing")])
def test_nobody_is_told_before_it_holds_as_long_as_asked(ms: int, phase: str) -> None:
    assert Story().tell("fires", ms).phase == phase


def test_what_holds_no_time_at_all_may_be_told_at_once() -> None:
    assert Story(made(**{"for": 0})).tell("fires", 0).notices == [DUE]


@pytest.mark.parametrize("state", ["holds", "unclear", "few", "closed"])
def test_what_passes_in_time_is_never_told(state: VerdictState) -> None:
    story = Story().tell("fires", FOR - 10 * SECOND).tell(state, 0)
    assert (story.alert, story.notices) == (None, [])


@pytest.mark.parametrize(("ms", "phase"), [(CLEAR, "clearing"), (CLEAR + 10 * SECOND, "resolved")])
def test_it_is_over_when_it_was_over_as_long_as_asked(ms: int, phase: str) -> None:
    assert Story().tell("fires", HOUR).tell("holds", ms).phase == phase


def test_what_may_be_chance_neither_begins_an_alert_nor_ends_one() -> None:
    assert Story().tell("unclear", HOUR).alert is None
    assert Story().tell("fires", HOUR).tell("unclear", HOUR).notices == [DUE]


def test_without_data_an_alert_stays_as_it_is() -> None:
    story = Story().tell("fires", HOUR).tell("holds", CLEAR // 2).tell("no_data", HOUR)
    assert (story.phase, story.notices) == ("clearing", [DUE])
    assert Story().tell("fires", FOR // 2).tell("no_data", HOUR).phase == "pending"


def test_what_comes_and_goes_is_told_once() -> None:
    story = Story().tell("fires", HOUR)
    for _ in range(20):
        story.tell("holds", CLEAR - MINUTE).tell("fires", MINUTE)
    assert (story.phase, story.notices) == ("firing", [DUE])


def test_hours_of_operation_that_end_say_so() -> None:
    story = Story().tell("fires", HOUR).tell("closed", CLEAR + MINUTE)
    assert story.notices == [DUE, ("resolved", "closed")]


@pytest.mark.parametrize("state", ["holds", "unclear", "few"])
def test_what_was_not_due_with_todays_knowledge_is_over_at_once_and_says_why(state: VerdictState) -> None:
    story = Story().tell("fires", HOUR).tell(state, 0, then="unclear")
    assert story.notices == [DUE, ("resolved", "corrected")]


def test_what_is_due_now_stays_due_whatever_it_was() -> None:
    assert Story().tell("fires", HOUR).tell("fires", HOUR, then="holds").notices == [DUE]
    assert Story().tell("fires", HOUR).tell("holds", 0, then="fires").phase == "clearing"


def test_what_is_over_is_remembered_for_a_day() -> None:
    story = Story().tell("fires", HOUR).tell("holds", CLEAR + 10 * SECOND)
    assert story.phase == "resolved"
    story.now += DAY - 20 * SECOND
    assert story.tell("holds", 10 * SECOND).phase == "resolved"
    assert story.tell("holds", 10 * SECOND).alert is None
    assert story.notices == [DUE, OVER]


def test_all_series_are_told_of_together_and_what_nobody_judged_has_no_data() -> None:
    fires = Verdict(kind="drop", key="sales", state="fires", reason="")
    rule = made(**{"for": 0, "keep_firing_for": 0})
    alerts, notices = advance_alerts({}, [rule], [(rule, said("fires"), None), (rule, fires, None)], 0)
    assert [notice.alert.key for notice in notices] == ["billing", "sales"]
    alerts, notices = advance_alerts(alerts, [rule], [(rule, fires, None)], SECOND)
    assert [(notice.alert.key, notice.what) for notice in notices] == [("billing", "resolved")]
    alerts, notices = advance_alerts(alerts, [], [], 2 * SECOND)
    assert [(notice.alert.key, notice.what) for notice in notices] == [("sales", "resolved")]


def test_what_comes_back_is_another_alert() -> None:
    story = Story().tell("fires", HOUR).tell("holds", HOUR).tell("fires", HOUR)
    assert story.notices == [DUE, OVER, DUE]
    assert len({notice.id for notice in story.told}) == 3


def test_a_clock_that_jumps_does_not_stand_for_verdicts() -> None:
    story = Story().tell("fires", 10 * SECOND)
    story.now += 5 * HOUR
    assert story.tell("fires", 10 * SECOND).phase == "pending"
    story.now -= 9 * HOUR
    assert story.tell("fires", 0).phase == "pending"
    assert story.alert is not None
    assert story.alert.held_ms == MAX_GAP_MS


@pytest.mark.parametrize(("most_ms", "phase"), [(FOR - 1, "pending"), (FOR, "firing")])
def test_who_steps_in_more_than_a_minute_counts_as_much_as_is_said(most_ms: int, phase: str) -> None:
    alerts, _ = advance_alerts({}, [RULE], [(RULE, said("fires"), None)], 0)
    alerts, _ = advance_alerts(alerts, [RULE], [(RULE, said("fires"), None)], HOUR, most_ms)
    assert [alert.phase for alert in alerts.values()] == [phase]


def test_a_pause_of_the_watch_ends_no_alert() -> None:
    story = Story().tell("fires", HOUR).tell("holds", 10 * SECOND)
    story.now += 5 * HOUR
    assert story.tell("holds", 10 * SECOND).phase == "clearing"


def test_a_rule_that_is_no_more_takes_its_alert_back_once() -> None:
    story = Story().tell("fires", HOUR)
    assert story.alert is not None
    done, notice = withdraw_alert(story.alert, story.now)
    assert notice is not None
    assert (notice.what, notice.why) == OVER
    assert done is not None
    assert withdraw_alert(done, story.now) == (None, None)
    pending = Story().tell("fires", 0).alert
    assert pending is not None
    assert withdraw_alert(pending, 0) == (None, None)


states = st.sampled_from(["fires", "holds", "unclear", "few", "no_data", "no_baseline", "closed"])
verdicts = st.lists(st.tuples(states, st.integers(-HOUR, HOUR), st.sampled_from([None, "fires", "holds"])))


@given(verdicts, st.integers(0, 50))
def test_stored_and_restored_anywhere_it_tells_the_same(
    told: list[tuple[VerdictState, int, VerdictState | None]], restart: int
) -> None:
    one, other, now = Story(), Story(), 0
    for number, (state, passed, then) in enumerate(told):
        now += passed
        if number == restart and other.alert is not None:
            other.alert = msgspec.json.decode(msgspec.json.encode(other.alert), type=Alert)
        for story in (one, other):
            story.now = now
            story.tell(state, 0, then)
    assert one.told == other.told
    assert one.alert == other.alert


@given(verdicts)
def test_each_alert_that_is_told_ends_once_before_the_next(
    told: list[tuple[VerdictState, int, VerdictState | None]],
) -> None:
    story = Story(made(**{"for": 0, "keep_firing_for": 0}))
    for state, passed, then in told:
        story.now += passed
        story.tell(state, 0, then)
    whats = [notice.what for notice in story.told]
    assert whats == ["firing", "resolved"] * (len(whats) // 2) + ["firing"] * (len(whats) % 2)
    assert (story.phase in ("firing", "clearing")) == bool(len(whats) % 2)
