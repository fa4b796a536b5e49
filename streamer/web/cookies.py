"""Cookies of the server: HttpOnly and SameSite=Strict, so no script reads and no other site sends them."""

from typing import Final

from starlette.responses import Response

SESSION_COOKIE: Final = "streamer_session"
DISPLAY_COOKIE: Final = "streamer_display"
YEAR_S: Final = 365 * 86_400


def set_cookie(response: Response, name: str, value: str, max_age_s: int, is_https: bool) -> None:
    response.set_cookie(
        name, value, max_age=max_age_s, path="/", secure=is_https, httponly=True, samesite="strict"
    )


def delete_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", httponly=True, samesite="strict")
