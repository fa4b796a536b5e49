"""Error responses as `application/problem+json` (RFC 9457), and the exception handlers that build them."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from streamer.readings.query import QueryError


def problem(status: int, detail: str) -> JSONResponse:
    """Build an error response.

    >>> problem(404, "no such alert").body
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"no such alert"}'
    """
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


async def wrong_question(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QueryError)
    return problem(HTTPStatus.BAD_REQUEST, str(error))


async def refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


async def failed(request: Request, error: Exception) -> JSONResponse:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error, see the server's log")
