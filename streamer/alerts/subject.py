"""The group that a verdict is about."""

from typing import NamedTuple


class AlertSubject(NamedTuple):
    """Key of a group, its display name, and its time zone."""

    key: str
    name: str
    zone: str
