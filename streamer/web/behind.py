"""Routes that drill down into a number: `/api/v1/contacts` and `/api/v1/distribution`."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.readings.contacts import Order
from streamer.readings.query import QueryError
from streamer.readings.reader import Reader
from streamer.web.api import answer, choice, one, only, query_of, sight_of
from streamer.web.follower import Clock

LIMIT, MOST = 50, 200
_CONTACTS = ("metric", "window", "by", "key", "stat", "at", "limit", "order")
_DISTRIBUTION = ("question", "window", "by", "key", "at")
ORDERS: Final[dict[str, Order]] = {"newest": "newest", "worst": "worst"}


def routes(reader: Reader, clock: Clock) -> list[Route]:
    async def contacts(request: Request) -> Response:
        only(request, _CONTACTS)
        asked, sight = query_of(request, clock()), sight_of(request, reader, clock())
        sight.permit(asked.by, asked.key)
        order = ORDERS[choice(request, "order", tuple(ORDERS))]
        return answer(await reader.contacts(asked, order, _limit(request), sight.person.teams))

    async def distribution(request: Request) -> Response:
        only(request, _DISTRIBUTION)
        asked, sight = query_of(request, clock()), sight_of(request, reader, clock())
        sight.permit(asked.by, asked.key)
        found = await asyncio.to_thread(reader.distribution, asked, one(request, "question") or "nps")
        return answer([item for item in found if sight.sees(item.by, item.key)])

    return [Route("/api/v1/contacts", contacts), Route("/api/v1/distribution", distribution)]


def _limit(request: Request) -> int:
    text = one(request, "limit") or str(LIMIT)
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise QueryError(f"limit = {text!r}: expected a number from 1 to {MOST}")
    return int(text)
