"""Here is what may be ordered of alerts: a JSON object in a body, with limits on all that others decide."""

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
"""What is never to ring again is turned off in the settings."""
_log = structlog.get_logger(__name__)
Comment = Annotated[str, Meta(max_length=500)]


class Acknowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An alert, by its episode; `acknowledged` false takes it back."""

    id: str
    comment: Comment = ""
    acknowledged: bool = True


class Silence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of a rule, or all (None), until a time or for so many minutes."""

    rule: str
    key: str | None = None
    until: str | int | float | None = None
    minutes: Annotated[float, Meta(gt=0)] | None = None
    comment: Comment = ""

    def ends_at(self, now: int) -> int:
        """In ms. Raises QueryError."""
        if (self.until is None) == (self.minutes is None):
            raise QueryError("until: expected a time, or minutes in its place")
        if self.minutes is None:
            ends, given = milliseconds("until", str(self.until)), f"until = {self.until!r}"
        else:
            ends, given = now + round(min(self.minutes, 1e9) * MINUTE), f"minutes = {self.minutes:g}"
        if not now < ends <= now + LONGEST_MS:
            raise QueryError(f"{given}: expected an end to come, within {LONGEST_MS // DAY} days")
        return ends


Order = TypeVar("Order", Acknowledge, Silence)
T = TypeVar("T")


async def ordered(request: Request, kind: type[Order]) -> Order:
    """Raises HTTPException, and QueryError that names the field."""
    if media_type(request.headers.get("content-type", "")) != "application/json":
        refuse_early(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
    body = await body_of(request, PATIENCE_S, LARGEST)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise QueryError(_said(str(error))) from None


def _said(error: str) -> str:
    """Of msgspec's "Expected `str`, got `int` - at `$.comment`": first the field."""
    words, _, place = error.partition(" - at `$.")
    return f"{place.rstrip('`') or 'body'}: {words[:1].lower()}{words[1:]}"


# Carrying it out.


def name_of(person: Person) -> str:
    """By whom; somebody is, even where nobody is set."""
    return person.name or "somebody at this machine"


async def done(doing: Awaitable[T]) -> T:
    """Raises HTTPException where what is ordered cannot be done now."""
    try:
        return await doing
    except HTTPException:
        raise
    except SilencingUnavailable as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _SOON) from None
    except Exception as error:  # whatever the store raises
        _log.warning("an order about alerts was not carried out", error=type(error).__name__)
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the store cannot be reached", _SOON) from None


_SOON: Final = {"retry-after": "5"}
