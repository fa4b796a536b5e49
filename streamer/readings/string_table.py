"""Number names in the order in which they were first added."""

from collections.abc import Iterable


class StringTable:
    """Names numbered from 0 in the order in which they were first added.

    >>> queues = StringTable(["billing", "sales"])
    >>> queues.add("tech"), queues.add("billing"), queues.get("unheard of")
    (2, 0, None)
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> int:
        number = self._numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number

    def get(self, name: str) -> int | None:
        return self._numbers.get(name)
