"""Here is the JSON API: readings, history and the catalogue. Always lists."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.metrics.catalogue import CATALOGUE, Metric, Spans
from streamer.panes.grid import ALL
from streamer.readings.query import Query, QueryError
from streamer.readings.reader import Reader
from streamer.readings.times import milliseconds

Clock = Callable[[], int]
"""Now, in ms since the epoch."""

_json = msgspec.json.Encoder().encode
_READINGS: Final = ("window", "by", "key", "metric", "stat", "at")
_HISTORY: Final = ("metric", "window", "by", "key", "stat", "from", "to", "step")


def routes(reader: Reader, clock: Clock) -> list[Route]:
    async def readings(request: Request) -> Response:
        asked = _readings_query(request, clock())
        return _answer(await asyncio.to_thread(reader.readings, asked))

    async def history(request: Request) -> Response:
        asked, first, last, step = _history_query(request, clock())
        return _answer(await asyncio.to_thread(reader.history, asked, first, last, step))

    async def catalog(request: Request) -> Response:
        _only(request, ())
        return _answer([_described(metric, reader.spans) for metric in CATALOGUE.values()])

    return [
        Route("/api/v1/readings", readings),
        Route("/api/v1/history", history),
        Route("/api/v1/catalog", catalog),
    ]


def _answer(items: Sequence[Any]) -> Response:
    return Response(_json(items), media_type="application/json", headers={"cache-control": "no-store"})


def _readings_query(request: Request, now: int) -> Query:
    _only(request, _READINGS)
    at = _one(request, "at")
    return Query(
        now=now,
        metrics=_many(request, "metric"),
        windows=_many(request, "window") or ("1h",),
        by=_one(request, "by") or ALL,
        key=_one(request, "key"),
        stat=_one(request, "stat"),
        at=milliseconds("at", at) if at else None,
    )


def _history_query(request: Request, now: int) -> tuple[Query, int, int, int]:
    _only(request, _HISTORY)
    first, last, step = (_one(request, name) for name in ("from", "to", "step"))
    if first is None or step is None:
        raise QueryError(f"{'from' if first is None else 'step'}: expected, but not given")
    asked = Query(
        now=now,
        metrics=_many(request, "metric"),
        windows=_many(request, "window") or ("1h",),
        by=_one(request, "by") or ALL,
        key=_one(request, "key"),
        stat=_one(request, "stat"),
    )
    return asked, milliseconds("from", first), milliseconds("to", last) if last else now, _step(step)


def _step(text: str) -> int:
    """In ms; given in seconds."""
    try:
        return max(0, round(float(text) * 1000))
    except (ValueError, OverflowError):
        raise QueryError(f"step = {text!r}: expected a number of seconds") from None


def _only(request: Request, names: tuple[str, ...]) -> None:
    for name in request.query_params:
        if name not in names:
            raise QueryError(f"{name}: expected one of {', '.join(names) or 'no parameters'}")


def _one(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise QueryError(f"{name}: expected once, but given {len(values)} times")
    return values[0] or None if values else None


def _many(request: Request, name: str) -> tuple[str, ...]:
    """Values that may be repeated or joined by commas, each once."""
    given = ",".join(request.query_params.getlist(name)).split(",")
    return tuple(dict.fromkeys(value.strip() for value in given if value.strip()))


def _described(metric: Metric, spans: Spans) -> dict[str, Any]:
    windows = metric.windows
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
        "window_at_least_s": spans.ms(windows.at_least) / 1000,
        "window_at_most_s": None if windows.at_most is None else spans.ms(windows.at_most) / 1000,
        "shift_s": spans.ms(windows.shift) / 1000,
    }
