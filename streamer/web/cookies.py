"""Cookies of the server: HttpOnly and SameSite=Strict, so no script reads and no other site sends them.

Over https their names begin with `__Host-`: browsers take such a cookie only over https, from this very host
and for all of its paths, so that no neighbour under the same domain can plant one. On plain http, as on
loopback, they have their bare names.
"""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION_COOKIE: Final = "streamer_session"
DISPLAY_COOKIE: Final = "streamer_display"
YEAR_S: Final = 365 * 86_400


def cookie_name(name: str, is_https: bool) -> str:
    """Return the name that browsers know a cookie by.

    >>> cookie_name(SESSION_COOKIE, is_https=True)
    '__Host-streamer_session'
    """
    return f"__Host-{name}" if is_https else name


def read_cookie(connection: HTTPConnection, name: str, is_https: bool) -> str:
    """Return the value of a cookie; "" if there is none."""
    return connection.cookies.get(cookie_name(name, is_https), "")


def set_cookie(response: Response, name: str, value: str, max_age_s: int, is_https: bool) -> None:
    response.set_cookie(
        cookie_name(name, is_https), value, max_age=max_age_s, path="/", secure=is_https, httponly=True,
        samesite="strict",
    )  # fmt: skip


def delete_cookie(response: Response, name: str, is_https: bool) -> None:
    response.delete_cookie(
        cookie_name(name, is_https), path="/", secure=is_https, httponly=True, samesite="strict"
    )
