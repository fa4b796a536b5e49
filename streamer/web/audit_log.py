"""Audit lines: who logged in, was refused, or changed what others see, and from where.

Each is one structured log line. No line holds a password, a token, a comment or the query of an address.
"""

from typing import Final

import structlog
from starlette.requests import HTTPConnection

from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import Clock
from streamer.web.client_address import address_block
from streamer.web.proxy import TrustedProxy
from streamer.web.recent_activity import RecentCounter

MAX_REFUSALS: Final = 60
"""Refusals of an address per minute that are logged; a flood of them must not fill a disk."""
MAX_ADDRESSES: Final = 10_000
_MAX_LENGTH: Final = 200
_log = structlog.get_logger("streamer.audit")


class AuditLog:
    """Write the audit lines of a server."""

    def __init__(self, clock: Clock, proxy: TrustedProxy) -> None:
        self._proxy = proxy
        self._refusals = RecentCounter(clock, MINUTE, MAX_ADDRESSES)

    def record(
        self, connection: HTTPConnection, action: str, user: str | None = None, **details: object
    ) -> None:
        """Log an action of a user; by default that of the request. `details` say what it was about."""
        person = connection.scope.get("person")
        name = user if user is not None else person.name if person is not None else None
        texts = {key: printable(value) for key, value in details.items() if value is not None}
        address = printable(self._proxy.client_address(connection))
        _log.info("audit", action=action, user=name and printable(name), address=address, **texts)

    def record_refusal(
        self, connection: HTTPConnection, action: str, user: str | None = None, **details: object
    ) -> None:
        """Log a refusal, up to MAX_REFUSALS a minute for each address; the last says that it is the last."""
        address = address_block(self._proxy.client_address(connection))
        if self._refusals.wait_s(address, MAX_REFUSALS):
            return
        self._refusals.count(address)
        is_last = self._refusals.wait_s(address, MAX_REFUSALS) > 0
        remark = {"remark": "further refusals of this address are not logged for a minute"} if is_last else {}
        self.record(connection, action, user, **details, **remark)


def printable(value: object) -> str:
    """Return a text without control signs, separators and marks that turn the direction of writing.

    >>> printable("ana\\n2026-11-30 login user=eve"), printable("ana\\u202e")
    ('ana\\\\n2026-11-30 login user=eve', 'ana\\\\u202e')
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in str(value)[:_MAX_LENGTH]
    )
