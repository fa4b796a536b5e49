"""Tell customers from extensions and withheld numbers, for sources that are telephone systems."""

from typing import Any, Final

from streamer.events.adapters.callers import caller
from streamer.events.adapters.source import Options

OPTIONS: Final = {"customers": True, "least_digits": 7}
HELP: Final = """\
  customers = true         the caller id is the customer; false: customers are unknown
  least_digits = 7         a caller id of fewer digits is an extension, not a customer. Withheld
                           numbers (anonymous, unknown, …) and mere zeros never are customers"""
_NOBODY: Final = frozenset({"<unknown>", "none", "asterisk", "freeswitch"})
"""Words that telephone systems write in place of a number."""


def customer(path: str, value: Any, options: Options) -> str | None:
    """Return a caller's number as a customer id. None if it is withheld, made up, or an extension.

    >>> customer("callerid", "+34600123456", OPTIONS), customer("callerid", "201", OPTIONS)
    ('+34600123456', None)
    """
    found = caller(path, value) if options["customers"] else None
    if found is None or found.lower() in _NOBODY:
        return None
    digits = "".join(filter(str.isdecimal, found))
    return None if len(digits) < options["least_digits"] or (digits and not digits.strip("0")) else found
