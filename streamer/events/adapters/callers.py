"""Read caller ids. A withheld number is an unknown caller."""

from typing import Any, Final

from streamer.events.adapters.fields import text

_WITHHELD: Final = frozenset(
    {"anonymous", "private", "restricted", "unavailable", "unknown", "withheld", "266696687"}
)
"""Words for a withheld number. The digits are ANONYMOUS, spelled on a telephone's keys."""


def caller(path: str, value: Any) -> str | None:
    """Return a telephone number without `tel:`, another address as it is, or None if it is withheld.

    One word for all withheld numbers would make one customer of them, who calls all day.

    >>> caller("ani", "tel:+34600123456"), caller("ani", "anonymous")
    ('+34600123456', None)
    """
    found = text(path, value)
    if found is None:
        return None
    word = found.lower().removeprefix("tel:").removeprefix("sip:").partition("@")[0]
    return None if word.lstrip("+") in _WITHHELD else found.removeprefix("tel:")
