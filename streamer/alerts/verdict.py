"""Here is a verdict: what is to be said of one series at one moment, and why."""

from typing import Literal

import msgspec

Kind = Literal["target", "drop", "silence"]
State = Literal["fires", "holds", "unclear", "few", "no_data", "no_baseline", "closed"]
"""`fires`: it is as bad as the rule says, beyond what chance explains; `holds`: it is not; `unclear`: it
looks so, but chance explains it; `few`: of too few observations to say, or none; `no_data`: of data that
is not whole; `no_baseline`: nobody knows yet what is usual; `closed`: out of hours of operation."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a verdict rests on. Values in the metric's unit, times in ms since the epoch, `z` in standard
    deviations, evidence and line in log likelihood. None: this kind of verdict has none."""

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
    """Observations."""
    learned_of: int | None = None
    """Observations that what is usual was learned of."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    key: str
    state: State
    reason: str
    """A sentence for who is on the floor."""
    figures: Figures = Figures()
