"""Routes of what is going on now: `/api/v1/waiting`, contacts under way, and `/api/v1/agents`."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.events.models import CONTACT_STATES
from streamer.panes.live_index import LiveAgent, LiveContact
from streamer.readings.live_lists import (
    SIGNED_IN_STATES,
    UNDER_WAY_STATES,
    ContactUnderWay,
    SignedInAgent,
    live_agent_state,
)
from streamer.readings.live_state import contact_start_ms, is_waiting
from streamer.readings.query import QueryError
from streamer.readings.reader import MetricsReader
from streamer.readings.table_columns import TableColumns
from streamer.runtime.clock import Clock
from streamer.web.api import (
    LIST_PARAMETERS,
    check_parameters,
    list_parameter,
    list_response,
    require_data_scope,
)
from streamer.web.heavy_questions import HeavyQuestions
from streamer.web.paging import Position, list_page
from streamer.web.table_responses import ApiTable

MAX_ENTRIES: Final = 1_000
"""Most contacts or agents of a page."""
_PARAMETERS: Final = ("queue", "team", "state", *LIST_PARAMETERS)
_CONTACT_COLUMNS: Final = TableColumns.of(ContactUnderWay)
_AGENT_COLUMNS: Final = TableColumns.of(SignedInAgent)


def live_routes(reader: MetricsReader, clock: Clock, questions: HeavyQuestions) -> list[Route]:
    async def waiting(request: Request) -> Response:
        check_parameters(request, _PARAMETERS)
        queues, teams = list_parameter(request, "queue"), list_parameter(request, "team")
        states, now_ms = _states(request, UNDER_WAY_STATES), clock()
        data_scope, live = require_data_scope(request, reader, now_ms), reader.live_state()
        contacts = [
            contact
            for contact in live.under_way(now_ms)
            if CONTACT_STATES[contact.state] in states
            and (not queues or contact.queue in queues)
            and (not teams or contact.team in teams)
            and data_scope.covers_contact(contact)
        ]
        page = list_page(request, contacts, _contact_position, MAX_ENTRIES)
        found = [ContactUnderWay.as_of(contact, live, now_ms) for contact in page.items]
        return await list_response(request, ApiTable(_CONTACT_COLUMNS, found), questions, page.headers)

    async def agents(request: Request) -> Response:
        check_parameters(request, _PARAMETERS)
        queues, teams = list_parameter(request, "queue"), list_parameter(request, "team")
        states, now_ms = _states(request, SIGNED_IN_STATES), clock()
        data_scope, live = require_data_scope(request, reader, now_ms), reader.live_state()
        signed_in = [
            agent
            for agent in live.signed_in(now_ms)
            if live_agent_state(agent, now_ms) in states
            and (not queues or not {*agent.queues}.isdisjoint(queues))
            and (not teams or agent.team in teams)
            and data_scope.covers_agent(agent)
        ]
        page = list_page(request, signed_in, lambda agent: _agent_position(agent, now_ms), MAX_ENTRIES)
        headers = {**page.headers, "x-total-count": str(len(signed_in))}
        found = [SignedInAgent.as_of(agent, now_ms) for agent in page.items]
        return await list_response(request, ApiTable(_AGENT_COLUMNS, found), questions, headers)

    return [Route("/api/v1/waiting", waiting), Route("/api/v1/agents", agents)]


def _states(request: Request, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the states asked for; all if the parameter is missing. Raise QueryError."""
    states = list_parameter(request, "state")
    for state in states:
        if state not in known:
            raise QueryError(f"state = {state!r}: expected some of {', '.join(known)}")
    return states or known


def _contact_position(contact: LiveContact) -> Position:
    """Return the place in the list: those who wait first, and the longest first."""
    place = not is_waiting(contact), float(contact_start_ms(contact))
    return *place, contact.contact_id, contact.segment_id, contact.source


_FIRST_STATES: Final = (("wrap_up", "away"), ("unknown",), ("offered", "busy", "held"), ("available",))
_RANK_OF_STATE: Final = {state: rank for rank, states in enumerate(_FIRST_STATES) for state in states}


def _agent_position(agent: LiveAgent, now_ms: int) -> Position:
    """Return the place in the list: those first who take no contact, and the longest first."""
    return _RANK_OF_STATE[live_agent_state(agent, now_ms)], float(agent.since), agent.agent_id
