"""Parse and run actions on alerts (acknowledge, silence), sent as a JSON object of limited size."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

import msgspec
import structlog
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streamer.delivery.silencing import SilencingUnavailable
from streamer.events.rules import DAY, MINUTE
from streamer.readings.query import QueryError
from streamer.readings.times import milliseconds
from streamer.web.people import Person
from streamer.web.posted import body_of, media_type, refuse_early

LARGEST: Final = 8_192
PATIENCE_S: Final = 10.0
LONGEST_MS: Final = 30 * DAY
"""Longest silence; a rule that should never fire again is removed from the settings instead."""
_log = structlog.get_logger(__name__)
Comment = Annotated[str, Meta(max_length=500)]


class Acknowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Acknowledge the alert of this episode; `acknowledged` false takes it back."""

    id: str
    comment: Comment = ""
    acknowledged: bool = True


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Silence one group of a rule, or all (`key` None), until a time or for a number of minutes."""

    rule: str
    key: str | None = None
    until: str | int | float | None = None
    minutes: Annotated[float, Meta(gt=0)] | None = None
    comment: Comment = ""

    def ends_at(self, now: int) -> int:
        """Return the end of the silence in ms since the epoch. Raise QueryError.

        >>> Silence(rule="nps-drop", minutes=30).ends_at(1_000)
        1801000
        """
        if (self.until is None) == (self.minutes is None):
            raise QueryError("until: expected either until or minutes")
        if self.minutes is None:
            ends, given = milliseconds("until", str(self.until)), f"until = {self.until!r}"
        else:
            ends, given = now + round(min(self.minutes, 1e9) * MINUTE), f"minutes = {self.minutes:g}"
        if not now < ends <= now + LONGEST_MS:
            raise QueryError(f"{given}: expected an end in the future, within {LONGEST_MS // DAY} days")
        return ends


Order = TypeVar("Order", Acknowledge, Silence)
T = TypeVar("T")


async def ordered(request: Request, kind: type[Order]) -> Order:
    """Read and decode the body. Raise HTTPException, or QueryError that names the wrong field."""
    if media_type(request.headers.get("content-type", "")) != "application/json":
        refuse_early(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
    body = await body_of(request, PATIENCE_S, LARGEST)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise QueryError(_said(str(error))) from None


def _said(error: str) -> str:
    """Put the field first in an error message of msgspec.

    >>> _said("Expected `str`, got `int` - at `$.comment`")
    'comment: expected `str`, got `int`'
    """
    words, _, place = error.partition(" - at `$.")
    return f"{place.rstrip('`') or 'body'}: {words[:1].lower()}{words[1:]}"


# Running actions.


def name_of(person: Person) -> str:
    """Return the name to record for an action, also where no users are configured.

    >>> name_of(Person("Ana", "supervisor")), name_of(Person("", "admin"))
    ('Ana', 'somebody at this machine')
    """
    return person.name or "somebody at this machine"


async def done(doing: Awaitable[T]) -> T:
    """Await an action. Raise HTTPException (503) if the store or Alertmanager is unavailable."""
    try:
        return await doing
    except HTTPException:
        raise
    except SilencingUnavailable as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _SOON) from None
    except Exception as error:  # whatever the store raises
        _log.warning("alert action failed, the store is unavailable", error=type(error).__name__)
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the store is unavailable", _SOON) from None


_SOON: Final = {"retry-after": "5"}
