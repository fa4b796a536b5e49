"""Pages of long lists: `limit` items after a `cursor`, and the next page's address in the header `Link`.

A cursor is the position of the last item in the list's order, so items that come and go between two pages
shift no others.
"""

import base64
import binascii
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request

from streamer.readings.query import QueryError

PAGE_PARAMETERS: Final = ("limit", "cursor")
Position = tuple[str | float | bool, ...]
"""The place of an item in the order of its list; no two items have the same."""
T = TypeVar("T")


class PageRequest(NamedTuple):
    """The page that is asked for: at most `limit` items that come after a position (None: the first)."""

    limit: int
    after: Position | None

    @classmethod
    def of(cls, request: Request, maximum: int) -> "PageRequest":
        """Parse `limit`, which is `maximum` if it is not given, and `cursor`. Raises QueryError.

        A file without `limit` holds what all pages do."""
        cursor = request.query_params.get("cursor")
        after = None if cursor is None else _decode_cursor(cursor)
        limit_text = request.query_params.get("limit")
        if limit_text is None:
            is_file = request.query_params.get("format", "json") != "json"
            return cls(sys.maxsize if is_file else maximum, after)
        if not (limit_text.isascii() and limit_text.isdecimal() and 1 <= int(limit_text[:9]) <= maximum):
            raise QueryError(f"limit = {limit_text!r}: expected a number from 1 to {maximum}")
        return cls(int(limit_text), after)


class ListPage(NamedTuple, Generic[T]):
    """The items of one page, and the headers that lead to the next."""

    items: list[T]
    headers: Mapping[str, str]


def list_page(
    request: Request, items: Iterable[T], position: Callable[[T], Position], maximum: int
) -> ListPage[T]:
    """Return the page of a list that the request asks for. Raises QueryError.

    >>> request = Request({"type": "http", "path": "/names", "query_string": b"limit=2"})
    >>> list_page(request, "dbca", lambda letter: (letter,), 10)
    ListPage(items=['a', 'b'], headers={'link': '</names?limit=2&cursor=WyJiIl0>; rel="next"'})
    >>> request = Request({"type": "http", "path": "/names", "query_string": b"cursor=WyJiIl0"})
    >>> list_page(request, "dbca", lambda letter: (letter,), 10)
    ListPage(items=['c', 'd'], headers={})
    """
    limit, after = PageRequest.of(request, maximum)
    ordered = sorted(((position(item), item) for item in items), key=lambda pair: pair[0])
    if ordered and after is not None and len(after) != len(ordered[0][0]):
        raise QueryError(_CURSOR_EXPECTED)
    try:
        following = [pair for pair in ordered if after is None or pair[0] > after]
    except TypeError:
        raise QueryError(_CURSOR_EXPECTED) from None
    headers = {} if len(following) <= limit else next_page_headers(request, following[limit - 1][0])
    return ListPage([item for _, item in following[:limit]], headers)


def next_page_headers(request: Request, last_position: Position) -> Mapping[str, str]:
    """Return a `Link` to the page after this position (RFC 8288), without a host."""
    cursor = base64.urlsafe_b64encode(msgspec.json.encode(last_position)).decode().rstrip("=")
    parameters = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    query = urlencode([*parameters, ("cursor", cursor)])
    return {"link": f'<{quote(request.scope["path"])}?{query}>; rel="next"'}


_CURSOR_EXPECTED: Final = "cursor: expected one from the header Link of the page before"


def _decode_cursor(cursor: str) -> Position:
    try:
        encoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        values: Any = msgspec.json.decode(encoded, type=list[str | float | bool])
    except (binascii.Error, ValueError, RecursionError):
        raise QueryError(_CURSOR_EXPECTED) from None
    return tuple(values)
