"""Titles of alert messages."""

from typing import NamedTuple, Self

from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.alert_rule import AlertRule
from streamer.alerts.detection.detectors import DETECTORS
from streamer.alerts.states import AlertNotice
from streamer.alerts.verdict import RuleKind, VerdictFigures
from streamer.metrics.catalogue import CATALOGUE, Metric


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
        return cls(rule.kind, rule.metric, rule.by, name, _is_about_data(rule.kind, figures))

    @classmethod
    def from_message(cls, message: AlertMessage) -> Self | None:
        """Return the subject of a message; None: its metric no longer exists."""
        if message.metric not in CATALOGUE:
            return None
        is_about_data = _is_about_data(message.kind, message.figures)
        return cls(message.kind, CATALOGUE[message.metric], message.by, message.group, is_about_data)

    @property
    def phrase(self) -> str:
        """Subject as a phrase: NPS of Billing; for missing data, contacts from Billing."""
        if self.is_about_data:
            return "the data"
        return DETECTORS[self.kind].subject_phrase(self.metric, self.by, self.name)


def _is_about_data(kind: RuleKind, figures: VerdictFigures) -> bool:
    return DETECTORS[kind].fires_on_stale_data and figures.since is None


def firing_title(subject: HeadlineSubject) -> str:
    """Return the title at the start: NPS of Billing dropped."""
    if subject.is_about_data:
        return "Something is wrong with the data"
    return DETECTORS[subject.kind].firing_title(subject.metric, subject.phrase)


def resolved_title(subject: HeadlineSubject, notice: AlertNotice) -> str:
    """Return the title at the end: NPS of Billing is as usual again; or another reason for the end."""
    detector, phrase = DETECTORS[subject.kind], subject.phrase[:1].upper() + subject.phrase[1:]
    verbs = detector.verbs[subject.metric.better]
    if notice.why == "corrected":
        return f"{phrase} {verbs.corrected}"
    if notice.verdict.state != "holds":
        is_plural = detector.is_plural and not subject.is_about_data
        return f"{phrase} {'are' if is_plural else 'is'} no longer evaluated"
    return f"{phrase} {'is whole again' if subject.is_about_data else verbs.recovered}"
