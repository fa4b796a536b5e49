"""Routes that drill down into a number: `/api/v1/contacts` and `/api/v1/distribution`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.readings.drill_down import Order
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.web.api import (
    check_parameters,
    choice_parameter,
    json_response,
    parse_query,
    require_data_scope,
    single_parameter,
)
from streamer.web.heavy_questions import HeavyQuestions
from streamer.web.paging import PAGE_PARAMETERS, list_page

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
MAX_DISTRIBUTIONS: Final = 1_000
"""Most groups of a page of distributions."""
_CONTACTS_PARAMETERS = ("metric", "window", "by", "key", "stat", "at", "limit", "order")
_DISTRIBUTION_PARAMETERS = ("question", "window", "by", "key", "at", *PAGE_PARAMETERS)
ORDERS: Final[dict[str, Order]] = {"newest": "newest", "worst": "worst"}


def drill_down_routes(reader: MetricsReader, clock: Clock, questions: HeavyQuestions) -> list[Route]:
    async def contacts(request: Request) -> Response:
        check_parameters(request, _CONTACTS_PARAMETERS)
        query, data_scope = parse_query(request, clock()), require_data_scope(request, reader, clock())
        data_scope.require_access(query.by, query.key)
        order = ORDERS[choice_parameter(request, "order", tuple(ORDERS))]
        return json_response(
            await reader.contacts(query, order, _limit(request), data_scope.user.teams, questions.run)
        )

    async def distribution(request: Request) -> Response:
        check_parameters(request, _DISTRIBUTION_PARAMETERS)
        query, data_scope = parse_query(request, clock()), require_data_scope(request, reader, clock())
        data_scope.require_access(query.by, query.key)
        question = single_parameter(request, "question") or "nps"
        distributions = await questions.run(lambda: reader.distributions(query, question))
        visible = [item for item in distributions if data_scope.covers(item.by, item.key)]
        page = list_page(request, visible, lambda item: (item.key,), MAX_DISTRIBUTIONS)
        return json_response(page.items, page.headers)

    return [Route("/api/v1/contacts", contacts), Route("/api/v1/distribution", distribution)]


def _limit(request: Request) -> int:
    text = single_parameter(request, "limit") or str(DEFAULT_LIMIT)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise QueryError(f"limit = {text!r}: expected a number from 1 to {MAX_LIMIT}")
    return int(text)
