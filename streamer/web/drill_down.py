"""Routes that drill down into a number: `/api/v1/contacts` and `/api/v1/distribution`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.events.models import QUESTIONS
from streamer.readings.drill_down import ContactDetails, Order
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.readings.score_distribution import ScoreCount, ScoreDistribution
from streamer.readings.table_columns import TableColumns
from streamer.runtime.clock import Clock
from streamer.web.api import (
    LIST_PARAMETERS,
    check_parameters,
    choice_parameter,
    json_response,
    list_response,
    parse_format,
    parse_query,
    require_data_scope,
    single_parameter,
)
from streamer.web.contact_links import with_links
from streamer.web.heavy_questions import HeavyQuestions
from streamer.web.paging import list_page
from streamer.web.table_responses import ApiTable

DEFAULT_LIMIT, MAX_LIMIT = 50, 1_000
MAX_DISTRIBUTIONS: Final = 1_000
"""Most groups of a page of distributions."""
_CONTACTS_PARAMETERS = ("metric", "window", "by", "key", "stat", "at", "limit", "order", "format")
_DISTRIBUTION_PARAMETERS = ("question", "window", "by", "key", "at", *LIST_PARAMETERS)
_CONTACT_COLUMNS: Final = TableColumns.of(ContactDetails, {"answers": QUESTIONS})
_SCORE_COLUMNS: Final = TableColumns.named(
    (*ScoreDistribution.__struct_encode_fields__[:-1], *ScoreCount.__struct_fields__)
)
ORDERS: Final[dict[str, Order]] = {"newest": "newest", "worst": "worst"}


def drill_down_routes(
    reader: MetricsReader,
    clock: Clock,
    questions: HeavyQuestions,
    links: Mapping[str, Mapping[str, str]],
) -> list[Route]:
    async def contacts(request: Request) -> Response:
        check_parameters(request, _CONTACTS_PARAMETERS)
        query, data_scope = parse_query(request, clock()), require_data_scope(request, reader, clock())
        data_scope.require_access(query.by, query.key)
        order = ORDERS[choice_parameter(request, "order", tuple(ORDERS))]
        teams, limit = data_scope.user.teams, _limit(request)
        found = await reader.contacts(query, order, limit, teams, questions.run)
        linked = [with_links(contact, links) for contact in found]
        return await list_response(request, ApiTable(_CONTACT_COLUMNS, linked), questions)

    async def distribution(request: Request) -> Response:
        check_parameters(request, _DISTRIBUTION_PARAMETERS)
        query, data_scope = parse_query(request, clock()), require_data_scope(request, reader, clock())
        data_scope.require_access(query.by, query.key)
        question = single_parameter(request, "question") or "nps"
        distributions = await questions.run(lambda: reader.distributions(query, question))
        visible = [item for item in distributions if data_scope.covers(item.by, item.key)]
        page = list_page(request, visible, lambda item: (item.key,), MAX_DISTRIBUTIONS)
        if parse_format(request) == "json":
            return json_response(page.items, page.headers)
        table = ApiTable(_SCORE_COLUMNS, _score_rows(page.items))
        return await list_response(request, table, questions, page.headers)

    return [Route("/api/v1/contacts", contacts), Route("/api/v1/distribution", distribution)]


def _score_rows(distributions: Iterable[ScoreDistribution]) -> Iterator[dict[str, Any]]:
    """Yield a row for each score of each group."""
    for distribution in distributions:
        fields = msgspec.to_builtins(distribution)
        yield from ({**fields, **score} for score in fields["scores"])


def _limit(request: Request) -> int:
    default = DEFAULT_LIMIT if parse_format(request) == "json" else MAX_LIMIT
    text = single_parameter(request, "limit") or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise QueryError(f"limit = {text!r}: expected a number from 1 to {MAX_LIMIT}")
    return int(text)
