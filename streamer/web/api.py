"""The JSON API: readings, history, the metric catalogue, names. Every answer is a list.

It also parses the request parameters that other routes share."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import WINDOWS, length
from streamer.readings.pauses import Pause, no_pause
from streamer.readings.query import Query, QueryError, Reading
from streamer.readings.reader import Reader
from streamer.readings.sheet import columns
from streamer.readings.times import milliseconds
from streamer.settings import Settings
from streamer.web.follower import Clock
from streamer.web.rights import Sight
from streamer.web.turns import Turns

_json = msgspec.json.Encoder().encode
_READINGS: Final = ("window", "by", "key", "metric", "stat", "at", "week_before", "form")
_FORMS: Final = ("list", "columns")
_HISTORY: Final = ("metric", "window", "by", "key", "stat", "from", "to", "step")


def routes(reader: Reader, settings: Settings, clock: Clock) -> list[Route]:
    async def readings(request: Request) -> Response:
        only(request, _READINGS)
        asked, form = query_of(request, clock()), choice(request, "form", _FORMS)
        sight = sight_of(request, reader, clock(), Turns())
        return await asyncio.to_thread(lambda: _formed(sight.readings(asked), form))

    async def history(request: Request) -> Response:
        asked, first, last, step = _history_query(request, clock())
        sight = sight_of(request, reader, clock())
        return answer(await asyncio.to_thread(sight.history, asked, first, last, step))

    async def catalog(request: Request) -> Response:
        only(request, ())
        return answer([_described(metric, reader, settings) for metric in CATALOGUE.values()])

    async def names(request: Request) -> Response:
        only(request, ())
        sight = Sight(request.scope["person"], reader, clock())
        return answer([
            {"by": by, "key": key, "name": name}
            for by, given in settings.names.items() for key, name in given.items()
            if sight.may_see(by, key)
        ])  # fmt: skip

    return [
        Route("/api/v1/readings", readings),
        Route("/api/v1/history", history),
        Route("/api/v1/catalog", catalog),
        Route("/api/v1/names", names),
    ]


def _formed(readings: Sequence[Reading], form: str) -> Response:
    return answer(list(columns(readings)) if form == "columns" else readings)


# Parsing requests and building answers.


def sight_of(request: Request, reader: Reader, now_ms: int, pause: Pause = no_pause) -> Sight:
    """Return the data scope of the requesting user at `now_ms`.

    Raise HTTPException (503) before the first read of the store: an empty answer would be wrong."""
    if not reader.ready:
        soon = {"retry-after": "1"}
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the store has not been read yet", soon)
    return Sight(request.scope["person"], reader, now_ms, pause)


def answer(items: Sequence[Any]) -> Response:
    """Encode items as a JSON array that no cache may store.

    >>> answer([{"by": "queue", "key": "q7"}]).body
    b'[{"by":"queue","key":"q7"}]'
    """
    return Response(_json(items), media_type="application/json", headers={"cache-control": "no-store"})


def query_of(request: Request, now: int) -> Query:
    """Parse the query parameters of a reading. Raise QueryError.

    A route calls `check_parameters` before, with the names that it supports."""
    at = one(request, "at")
    return Query(
        now=now,
        metrics=many(request, "metric"),
        windows=many(request, "window") or ("1h",),
        by=one(request, "by") or ALL,
        key=one(request, "key"),
        stat=one(request, "stat"),
        at=milliseconds("at", at) if at else None,
        week_before=choice(request, "week_before", ("false", "true")) == "true",
    )


def _history_query(request: Request, now: int) -> tuple[Query, int, int, int]:
    only(request, _HISTORY)
    first, last, step = (one(request, name) for name in ("from", "to", "step"))
    if first is None or step is None:
        raise QueryError(f"{'from' if first is None else 'step'}: required")
    until = milliseconds("to", last) if last else now
    return query_of(request, now), milliseconds("from", first), until, _step(step)


def _step(text: str) -> int:
    """Convert seconds into whole ms. Raise QueryError.

    >>> _step("900"), _step("0.25")
    (900000, 250)
    """
    try:
        return max(0, round(float(text) * 1000))
    except (ValueError, OverflowError):
        raise QueryError(f"step = {text!r}: expected a number of seconds") from None


def only(request: Request, names: tuple[str, ...]) -> None:
    """Raise QueryError if the request has any other query parameter than these."""
    for name in request.query_params:
        if name not in names:
            raise QueryError(f"{name}: expected one of {', '.join(names) or 'no parameters'}")


def one(request: Request, name: str) -> str | None:
    """Return a parameter that may be given once; None if it is missing or empty. Raise QueryError.

    >>> one(Request({"type": "http", "query_string": b"by=queue&key="}), "by")
    'queue'
    """
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise QueryError(f"{name}: given {len(values)} times, expected once")
    return values[0] or None if values else None


def choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    """Return one of `choices`; the first if the parameter is missing. Raise QueryError."""
    value = one(request, name) or choices[0]
    if value not in choices:
        raise QueryError(f"{name} = {value!r}: expected one of {', '.join(choices)}")
    return value


def many(request: Request, name: str) -> tuple[str, ...]:
    """Return the distinct values of a parameter that may be repeated or joined by commas.

    >>> many(Request({"type": "http", "query_string": b"window=1h,4h&window=1h"}), "window")
    ('1h', '4h')
    """
    given = ",".join(request.query_params.getlist(name)).split(",")
    return tuple(dict.fromkeys(value.strip() for value in given if value.strip()))


def _described(metric: Metric, reader: Reader, settings: Settings) -> dict[str, Any]:
    windows, spans = metric.windows, reader.spans
    return {
        "metric": metric.name,
        "stats": metric.stats,
        "unit": metric.unit,
        "better": metric.better,
        "formula": metric.measure.words,
        "support": metric.measure.support,
        "interval": metric.measure.interval,
        "placed": metric.placed,
        "help": metric.help,
        "source": metric.source,
        "not_by": metric.not_by,
        "by": [by for by in (ALL, *DIMENSIONS, *map(",".join, reader.pairs)) if metric.readable_by(by)],
        "windows": [window for window in WINDOWS if windows.serve(length(window), spans)],
        "window_at_least_s": spans.ms(windows.at_least) / 1000,
        "window_at_most_s": None if windows.at_most is None else spans.ms(windows.at_most) / 1000,
        "shift_s": spans.ms(windows.shift) / 1000,
        "target": settings.target(metric.name),
        "queue_targets": {
            queue: settings.target(metric.name, queue)
            for queue, targets in settings.targets.queues.items()
            if metric.name in targets
        },
        "least_support": settings.least_support if metric.measure.interval else None,
        "currency": settings.currency if metric.unit == "currency" else None,
    }
