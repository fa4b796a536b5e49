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
from streamer.events.counting_rules import DAY, MINUTE
from streamer.events.event_bodies import CONTROL_CHARACTERS
from streamer.readings.query import QueryError
from streamer.readings.query_times import parse_query_time_ms
from streamer.web.request_body import BODY_TIMEOUT_S, media_type, read_body, refuse_and_close
from streamer.web.users import User

MAX_ACTION_BYTES: Final = 8_192
MAX_SILENCE_MS: Final = 30 * DAY
"""Longest silence; a rule that should never fire again is removed from the settings instead."""
_LINE_SIGNS: Final = {ord(sign): " " for sign in "\t\r\n"}
_log = structlog.get_logger(__name__)
Comment = Annotated[str, Meta(max_length=500)]


class AcknowledgeAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Acknowledge the alert of this episode; `acknowledged` false takes it back."""

    id: str
    comment: Comment = ""
    acknowledged: bool = True


class SilenceAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Silence one group of a rule, or all (`key` None), until a time or for a number of minutes."""

    rule: str
    key: str | None = None
    until: str | int | float | None = None
    minutes: Annotated[float, Meta(gt=0)] | None = None
    comment: Comment = ""

    def ends_at(self, now_ms: int) -> int:
        """Return the end of the silence in ms since the epoch. Raise QueryError.

        >>> SilenceAction(rule="nps-drop", minutes=30).ends_at(1_000)
        1801000
        """
        if (self.until is None) == (self.minutes is None):
            raise QueryError("until: expected either until or minutes")
        if self.minutes is None:
            end_ms, parameter = parse_query_time_ms("until", str(self.until)), f"until = {self.until!r}"
        else:
            end_ms, parameter = now_ms + round(min(self.minutes, 1e9) * MINUTE), f"minutes = {self.minutes:g}"
        if not now_ms < end_ms <= now_ms + MAX_SILENCE_MS:
            raise QueryError(
                f"{parameter}: expected an end in the future, within {MAX_SILENCE_MS // DAY} days"
            )
        return end_ms


Order = TypeVar("Order", AcknowledgeAction, SilenceAction)
T = TypeVar("T")


async def parse_action(request: Request, action_type: type[Order]) -> Order:
    """Read and decode the body. Raise HTTPException, or QueryError that names the wrong field."""
    if media_type(request.headers.get("content-type", "")) != "application/json":
        refuse_and_close(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
    body = await read_body(request, BODY_TIMEOUT_S, MAX_ACTION_BYTES)
    try:
        action = msgspec.json.decode(body, type=action_type)
    except (msgspec.DecodeError, RecursionError) as error:
        raise QueryError(_decode_error_text(str(error))) from None
    if CONTROL_CHARACTERS.search(action.comment.translate(_LINE_SIGNS)):
        raise QueryError("comment: expected text without control or invisible characters")
    return action


def _decode_error_text(error: str) -> str:
    """Put the field first in an error message of msgspec.

    >>> _decode_error_text("Expected `str`, got `int` - at `$.comment`")
    'comment: expected `str`, got `int`'
    """
    reason, _, field = error.partition(" - at `$.")
    return f"{field.rstrip('`') or 'body'}: {reason[:1].lower()}{reason[1:]}"


# Running actions.


def author_name(user: User) -> str:
    """Return the name to record for an action, also where no users are configured.

    >>> author_name(User("Ana", "supervisor")), author_name(User("", "admin"))
    ('Ana', 'somebody at this machine')
    """
    return user.name or "somebody at this machine"


async def run_alert_action(action: Awaitable[T]) -> T:
    """Await an action. Raise HTTPException (503) if the store or Alertmanager is unavailable."""
    try:
        return await action
    except HTTPException:
        raise
    except SilencingUnavailable as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY_HEADERS) from None
    except Exception as error:  # whatever the store raises
        _log.warning("alert action failed, the store is unavailable", error=type(error).__name__)
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE, "the store is unavailable", _RETRY_HEADERS
        ) from None


_RETRY_HEADERS: Final = {"retry-after": "5"}
