"""Tell customers from extensions and withheld numbers, for sources that are telephone systems."""

from typing import Any, Final

from streamer.events.adapters.caller_ids import read_caller_id
from streamer.events.adapters.source import Options

OPTIONS: Final = {"customers": True, "least_digits": 7}
HELP: Final = """\
  customers = true         the caller id is the customer; false: customers are unknown
  least_digits = 7         a caller id of fewer digits is an extension, not a customer. Withheld
                           numbers (anonymous, unknown, …) and mere zeros never are customers"""
_NOBODY: Final = frozenset({"<unknown>", "none", "asterisk", "freeswitch"})
"""Words that telephone systems write in place of a number."""


def read_phone_customer(path: str, value: Any, options: Options) -> str | None:
    """Return a caller's number as a customer id. None if it is withheld, made up, or an extension.

    >>> [read_phone_customer("callerid", number, OPTIONS) for number in ("+34600123456", "201")]
    ['+34600123456', None]
    """
    address = read_caller_id(path, value) if options["customers"] else None
    if address is None or address.lower() in _NOBODY:
        return None
    digits = "".join(filter(str.isdecimal, address))
    return None if len(digits) < options["least_digits"] or (digits and not digits.strip("0")) else address
