"""Here is who calls: an address as a customer's id, and no id at all where the caller withholds it."""

from typing import Any, Final

from streamer.events.adapters.fields import text

_WITHHELD: Final = frozenset(
    {"anonymous", "private", "restricted", "unavailable", "unknown", "withheld", "266696687"}
)
"""What stands in place of a number; the digits are ANONYMOUS as a telephone's keys spell it."""


def caller(path: str, value: Any) -> str | None:
    """A telephone number without `tel:`, or an address as it is. One word for all who hide their number
    would make one customer of them, who calls all day: it is unknown."""
    found = text(path, value)
    if found is None:
        return None
    word = found.lower().removeprefix("tel:").removeprefix("sip:").partition("@")[0]
    return None if word.lstrip("+") in _WITHHELD else found.removeprefix("tel:")
