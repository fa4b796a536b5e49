"""Read caller ids. A withheld number is an unknown caller."""

from typing import Any, Final

from streamer.events.adapters.fields import read_text

_WITHHELD: Final = frozenset(
    {"anonymous", "private", "restricted", "unavailable", "unknown", "withheld", "266696687"}
)
"""Words for a withheld number. The digits are ANONYMOUS, spelled on a telephone's keys."""


def read_caller_id(path: str, value: Any) -> str | None:
    """Return a telephone number without `tel:`, another address as it is, or None if it is withheld.

    One word for all withheld numbers would make one customer of them, who calls all day.

    >>> read_caller_id("ani", "tel:+34600123456"), read_caller_id("ani", "anonymous")
    ('+34600123456', None)
    """
    address = read_text(path, value)
    if address is None:
        return None
    word = address.lower().removeprefix("tel:").removeprefix("sip:").partition("@")[0]
    return None if word.lstrip("+") in _WITHHELD else address.removeprefix("tel:")
