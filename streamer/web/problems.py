"""Error responses as `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse

from streamer.readings.query import QueryError


def problem_response(status: int, detail: str) -> JSONResponse:
    """Build an error response.

    >>> problem_response(404, "no such alert").body
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"no such alert"}'
    """
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


async def handle_query_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QueryError)
    return problem_response(HTTPStatus.BAD_REQUEST, str(error))
