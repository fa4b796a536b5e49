"""Tell errors of Redis that pass by themselves, "not now", from those that do not."""

import os
import re
from typing import Final

from redis import exceptions
from redis.exceptions import RedisError, ResponseError

_REASON_BY_CLASS: Final[dict[type[RedisError], str | None]] = {
    exceptions.AuthenticationError: None,
    exceptions.AuthorizationError: None,
    exceptions.OutOfMemoryError: "oom",
    exceptions.ReadOnlyError: "readonly",
    exceptions.BusyLoadingError: "loading",
    exceptions.MasterDownError: "masterdown",
    exceptions.ClusterDownError: "clusterdown",
    exceptions.TryAgainError: "tryagain",
    exceptions.MovedError: "moved",
    exceptions.AskError: "ask",
    exceptions.TimeoutError: "timeout",
    exceptions.ConnectionError: "connection",
}
"""Reason of each class of redis-py, subclasses first; None: it does not pass."""
_REASON_BY_CODE: Final = {
    code.upper(): code
    for code in ("oom", "misconf", "readonly", "busy", "loading", "masterdown", "clusterdown", "noreplicas")
}
_SLOT_MOVES: Final = "Script attempted to access a non local key in a cluster node"
"""A script found only some of its keys here: its slot is being moved."""
_CONNECTION: Final = re.compile(r"(?:Error (-?\d+) connecting to|Connecting to) (\S+?)\. (.*)", re.DOTALL)
"""redis-py's sentence on a connection that failed: number of the system's error, address, reason."""
_COMMAND: Final = re.compile(r"Command # \d+ \(.*\) of pipeline caused error: \((.*?),?\)$", re.DOTALL)
REDIS_REASONS: Final = (
    "connection", "timeout", "oom", "misconf", "readonly", "busy", "loading", "masterdown", "clusterdown",
    "noreplicas", "tryagain", "ask", "moved",
)  # fmt: skip


def redis_unavailability(error: BaseException) -> str | None:
    """Return the reason why Redis cannot answer now; None for an error that waiting does not mend.

    >>> redis_unavailability(ResponseError("MISCONF Errors writing to the AOF file: No space left on device"))
    'misconf'
    >>> redis_unavailability(ResponseError("WRONGTYPE Operation against a key"))
    """
    if not isinstance(error, RedisError):
        return None
    if isinstance(error.__cause__, ResponseError) and (reason := redis_unavailability(error.__cause__)):
        return reason
    for error_class, reason in _REASON_BY_CLASS.items():
        if isinstance(error, error_class):
            return reason
    message = redis_error_text(error)
    if message.removeprefix("ERR ").startswith(_SLOT_MOVES):
        return "tryagain"
    code = message.removeprefix("Transaction discarded because of: ").partition(" ")[0]
    return _REASON_BY_CODE.get(code)


def redis_error_text(error: BaseException) -> str:
    """Return what Redis answered, without the command, which holds data; or why there is no connection.

    >>> redis_error_text(ResponseError("Command # 2 (SET k v) of pipeline caused error: ('OOM no memory',)"))
    'OOM no memory'
    >>> redis_error_text(exceptions.ConnectionError("Error 111 connecting to db:6379. Connect call failed"))
    'no connection to db:6379, connection refused'
    """
    message = str(error) or type(error).__name__
    if failed := _CONNECTION.fullmatch(message):
        number, address, reason = failed[1], failed[2], failed[3].rstrip(".")
        if reason.startswith("Connect call failed"):  # asyncio's words say less than the number
            reason = os.strerror(int(number))
        return f"no connection to {address}, {reason[0].lower()}{reason[1:]}"
    match = _COMMAND.match(message)
    return match[1].strip("'\"") if match else message
