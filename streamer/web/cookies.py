"""Cookies of the server: HttpOnly and SameSite=Strict, so no script reads and no other site sends them."""

from typing import Final

from starlette.responses import Response

SESSION: Final = "streamer_session"
DISPLAY: Final = "streamer_display"
YEAR_S: Final = 365 * 86_400


def keep(answer: Response, name: str, value: str, seconds: int, https: bool) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=https, httponly=True, samesite="strict")


def forget(answer: Response, name: str) -> None:
    answer.delete_cookie(name, path="/", httponly=True, samesite="strict")
