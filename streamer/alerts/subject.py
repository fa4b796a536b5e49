"""The group that a verdict or a sentence is about."""

from typing import NamedTuple

from streamer.alerts.formatting import clock


class AlertSubject(NamedTuple):
    """Key of a group, its display name, and its time zone."""

    key: str
    name: str
    zone: str


class SentenceContext(NamedTuple):
    """Context of a sentence: the display name of the group, its time zone, and the moment, in ms."""

    name: str
    zone: str
    at_ms: int

    def clock(self, time_ms: int) -> str:
        return clock(time_ms, self.at_ms, self.zone)
