"""Titles of alert messages."""

from typing import Final, NamedTuple, Self

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rules import AlertRule
from streamer.alerts.formatting import arrivals_phrase, group_noun, metric_label
from streamer.alerts.states import AlertNotice
from streamer.alerts.verdict import RuleKind, VerdictFigures
from streamer.metrics.catalogue import CATALOGUE, Metric

_FIRING_VERBS: Final = {
    ("target", "higher"): "misses its target",
    ("target", "lower"): "is over its target",
    ("drop", "higher"): "dropped",
    ("drop", "lower"): "rose",
}
_RECOVERED_VERBS: Final = {
    ("target", "higher"): "meets its target again",
    ("target", "lower"): "is within its target again",
    ("drop", "higher"): "is as usual again",
    ("drop", "lower"): "is as usual again",
}
_CORRECTED_VERBS: Final = {
    ("target", "higher"): "did not miss its target after all",
    ("target", "lower"): "was not over its target after all",
    ("drop", "higher"): "did not drop after all",
    ("drop", "lower"): "did not rise after all",
}


def headline(message: AlertMessage) -> str:
    """Return one short line for a banner or a list."""
    return message.title


class HeadlineSubject(NamedTuple):
    """Subject of an alert's title. `is_about_data`: the problem is the data itself."""

    kind: RuleKind
    metric: Metric
    by: str
    name: str
    is_about_data: bool

    @classmethod
    def from_rule(cls, rule: AlertRule, name: str, figures: VerdictFigures) -> Self:
        return cls(rule.kind, rule.metric, rule.by, name, rule.kind == "silence" and figures.since is None)

    @classmethod
    def from_message(cls, message: AlertMessage) -> Self | None:
        """Return the subject of a message; None: its metric no longer exists."""
        if message.metric not in CATALOGUE:
            return None
        is_about_data = message.kind == "silence" and message.figures.since is None
        return cls(message.kind, CATALOGUE[message.metric], message.by, message.group, is_about_data)

    @property
    def phrase(self) -> str:
        """Subject as a phrase: NPS of Billing; for missing data, contacts from Billing."""
        if self.is_about_data:
            return "the data"
        if self.kind == "silence":
            return arrivals_phrase(self.metric, self.by, self.name)
        return f"{metric_label(self.metric)} of {group_noun(self.by, self.name)}"

    def with_verb(self, verbs: dict[tuple[str, str], str]) -> str:
        return f"{self.phrase} {verbs[self.kind, self.metric.better]}"


def firing_title(subject: HeadlineSubject) -> str:
    """Return the title at the start: NPS of Billing dropped."""
    if subject.is_about_data:
        return "Something is wrong with the data"
    return f"No {subject.phrase}" if subject.kind == "silence" else subject.with_verb(_FIRING_VERBS)


def resolved_title(subject: HeadlineSubject, notice: AlertNotice) -> str:
    """Return the title at the end: NPS of Billing is as usual again; or another reason for the end."""
    if notice.why == "corrected":
        return subject.with_verb(_CORRECTED_VERBS)
    plural = subject.kind == "silence" and not subject.is_about_data
    phrase = subject.phrase[:1].upper() + subject.phrase[1:]
    if notice.verdict.state != "holds":
        return f"{phrase} {'are' if plural else 'is'} no longer evaluated"
    if subject.kind == "silence":
        return f"{phrase} {'come in' if plural else 'is whole'} again"
    return subject.with_verb(_RECOVERED_VERBS)
