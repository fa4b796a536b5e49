"""Titles of alert messages."""

from typing import Final, NamedTuple, Self

from streamer.alerts.message import Message
from streamer.alerts.rules import Rule
from streamer.alerts.states import Notice
from streamer.alerts.verdict import Figures, Kind
from streamer.alerts.words import coming, title, whom
from streamer.metrics.catalogue import CATALOGUE, Metric

_BEGUN: Final = {
    ("target", "higher"): "misses its target",
    ("target", "lower"): "is over its target",
    ("drop", "higher"): "dropped",
    ("drop", "lower"): "rose",
}
_AGAIN: Final = {
    ("target", "higher"): "meets its target again",
    ("target", "lower"): "is within its target again",
    ("drop", "higher"): "is as usual again",
    ("drop", "lower"): "is as usual again",
}
_NOT_DUE: Final = {
    ("target", "higher"): "did not miss its target after all",
    ("target", "lower"): "was not over its target after all",
    ("drop", "higher"): "did not drop after all",
    ("drop", "lower"): "did not rise after all",
}


def headline(message: Message) -> str:
    """Return one short line for a banner or a list."""
    return message.title


class Matter(NamedTuple):
    """Subject of an alert's title. `is_about_data`: the problem is the data itself."""

    kind: Kind
    metric: Metric
    by: str
    name: str
    strange: bool

    @classmethod
    def of_rule(cls, rule: Rule, name: str, figures: Figures) -> Self:
        return cls(rule.kind, rule.metric, rule.by, name, rule.kind == "silence" and figures.since is None)

    @classmethod
    def of_message(cls, told: Message) -> Self | None:
        """Return the subject of a message; None: its metric no longer exists."""
        if told.metric not in CATALOGUE:
            return None
        strange = told.kind == "silence" and told.figures.since is None
        return cls(told.kind, CATALOGUE[told.metric], told.by, told.group, strange)

    @property
    def whose(self) -> str:
        """Subject as a phrase: NPS of Billing; for missing data, contacts from Billing."""
        if self.strange:
            return "the data"
        if self.kind == "silence":
            return coming(self.metric, self.by, self.name)
        return f"{title(self.metric)} of {whom(self.by, self.name)}"

    def said(self, verbs: dict[tuple[str, str], str]) -> str:
        return f"{self.whose} {verbs[self.kind, self.metric.better]}"


def begun(matter: Matter) -> str:
    """Return the title at the start: NPS of Billing dropped."""
    if matter.strange:
        return "Something is wrong with the data"
    return f"No {matter.whose}" if matter.kind == "silence" else matter.said(_BEGUN)


def over(matter: Matter, notice: Notice) -> str:
    """Return the title at the end: NPS of Billing is as usual again; or another reason for the end."""
    if notice.why == "corrected":
        return matter.said(_NOT_DUE)
    plural = matter.kind == "silence" and not matter.strange
    whose = matter.whose[:1].upper() + matter.whose[1:]
    if notice.verdict.state != "holds":
        return f"{whose} {'are' if plural else 'is'} no longer evaluated"
    if matter.kind == "silence":
        return f"{whose} {'come in' if plural else 'is whole'} again"
    return matter.said(_AGAIN)
