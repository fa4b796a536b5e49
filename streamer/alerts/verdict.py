"""Verdicts: the state of one series at one moment, with its reason and figures."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

RuleKind = Literal["threshold", "drop", "no_data", "limit", "unattended"]
FORMER_KINDS: Final[Mapping[str, RuleKind]] = {"target": "threshold", "silence": "no_data"}
"""Kinds under their former names, as alerts may still be stored."""
AlertSymptom = Literal["missed", "fell", "rose", "silent", "odd", "exceeded", "short", "unserved"]
"""The cause of an alert: a target is missed; a figure fell, or rose, to worse than its baseline; no more
data comes; the data itself looks wrong; what is going on now is over its limit, or below it; contacts wait
and nobody is there for them."""
VerdictState = Literal["fires", "holds", "unclear", "few", "no_data", "no_baseline", "closed"]
"""`fires`: as bad as the rule says, beyond what chance explains; `holds`: not so; `unclear`: it looks so,
but chance explains it; `few`: too few observations to say, or none; `no_data`: the data is incomplete;
`no_baseline`: no baseline is known yet; `closed`: outside the hours of operation."""


class VerdictFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that a verdict rests on. Values are in the metric's unit, times in ms since the epoch, `z`
    in standard deviations, evidence and line in log likelihood. None: this kind of verdict has none."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    support: int = 0
    least: int = 0
    target: float | None = None
    z: float | None = None
    usual: float | None = None
    evidence: float | None = None
    line: float | None = None
    since: int | None = None
    a_month: float | None = None
    """Observations a month."""
    learned_of: int | None = None
    """Observations that the baseline was learned from."""
    waiting: int | None = None
    """Contacts that wait now."""
    signed_in: int | None = None
    """Agents who are signed in now."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    kind: RuleKind
    key: str
    state: VerdictState
    reason: str
    """One sentence for the people on the floor."""
    figures: VerdictFigures = VerdictFigures()
