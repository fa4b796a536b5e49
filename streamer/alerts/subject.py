"""Here is whom a verdict is of."""

from typing import NamedTuple


class Subject(NamedTuple):
    """The key of a group, what people call it, and its time zone."""

    key: str
    name: str
    zone: str
