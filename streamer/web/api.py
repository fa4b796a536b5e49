"""The JSON API: readings, history, the metric catalogue, names. Every answer is a list.

It also parses the request parameters that other routes share."""

from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from unicodedata import category, normalize

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.formatting import group_name
from streamer.events.models import DIMENSIONS
from streamer.metrics.catalogue import CATALOGUE, Metric
from streamer.panes.calendar_intervals import INTERVALS, is_read_by
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import LENGTHS_MS, READABLE_WINDOWS, is_read_over
from streamer.readings.interval_report import IntervalReading, parse_interval_query
from streamer.readings.pauses import Pause, no_pause
from streamer.readings.query import MetricQuery, QueryError, Reading, default_windows
from streamer.readings.query_times import parse_query_time_ms
from streamer.readings.reader import MetricsReader
from streamer.readings.reading_columns import group_into_columns, wide_table
from streamer.readings.table_columns import TableColumns
from streamer.runtime.choices import expected_choice
from streamer.runtime.clock import Clock
from streamer.settings import Settings
from streamer.web.alert_view import NamesByDimension
from streamer.web.heavy_questions import HeavyQuestions
from streamer.web.paging import PAGE_PARAMETERS, list_page
from streamer.web.permissions import DataScope
from streamer.web.table_responses import ApiTable, table_response

_encode_json = msgspec.json.Encoder().encode
FORMATS: Final = ("json", "csv", "xlsx")
"""Formats of a list: the answer itself, or files to keep."""
LIST_PARAMETERS: Final = (*PAGE_PARAMETERS, "format")
"""Parameters of every list that has pages."""
_READINGS_PARAMETERS: Final = (
    "window",
    "by",
    "key",
    "metric",
    "stat",
    "at",
    "week_before",
    "form",
    "match",
    *LIST_PARAMETERS,
)
MAX_GROUPS: Final = 10_000
"""Most groups of a page of readings."""
MAX_NAMES: Final = 10_000
"""Most names of a page."""
NO_HEADERS: Final[Mapping[str, str]] = {}
_FORMS: Final = ("list", "columns")
_INTERVALS_PARAMETERS: Final = (
    "metric",
    "by",
    "key",
    "stat",
    "interval",
    "from",
    "to",
    "match",
    *LIST_PARAMETERS,
)
_HISTORY_PARAMETERS: Final = ("metric", "window", "by", "key", "stat", "from", "to", "step", "format")
_READING_COLUMNS: Final = TableColumns.of(Reading)
_INTERVAL_COLUMNS: Final = TableColumns.of(IntervalReading)
_NAME_COLUMNS: Final = TableColumns.named(("by", "key", "name"))


def reading_routes(
    reader: MetricsReader, settings: Settings, clock: Clock, questions: HeavyQuestions
) -> list[Route]:
    async def readings(request: Request) -> Response:
        check_parameters(request, _READINGS_PARAMETERS)
        query, form = parse_query(request, clock()), choice_parameter(request, "form", _FORMS)
        data_scope = require_data_scope(request, reader, clock(), questions.pause(request))
        query, headers = await questions.run(
            lambda: _chosen_groups(request, data_scope, query, settings.names)
        )
        if parse_format(request) == "json":
            return await questions.run(lambda: _readings_response(data_scope, query, form, headers))
        table = await questions.run(lambda: _readings_table(data_scope, query, form, settings.names))
        return await list_response(request, table, questions, headers)

    async def history(request: Request) -> Response:
        query, first_ms, last_ms, step_ms = _parse_history_query(request, clock())
        data_scope = require_data_scope(request, reader, clock())
        points = await questions.run(lambda: data_scope.history(query, first_ms, last_ms, step_ms))
        return await list_response(request, ApiTable(_READING_COLUMNS, points), questions)

    async def intervals(request: Request) -> Response:
        check_parameters(request, _INTERVALS_PARAMETERS)
        since, until = single_parameter(request, "from"), single_parameter(request, "to")
        interval = single_parameter(request, "interval") or ""
        query = parse_interval_query(parse_query(request, clock()), interval, since, until)
        data_scope = require_data_scope(request, reader, clock(), questions.pause(request))
        groups, headers = await questions.run(
            lambda: _chosen_groups(request, data_scope, query.metrics, settings.names)
        )
        query = msgspec.structs.replace(query, metrics=groups)
        if parse_format(request) == "json":
            return await questions.run(lambda: json_response(data_scope.intervals(query), headers))
        table = ApiTable(_INTERVAL_COLUMNS, await questions.run(lambda: data_scope.intervals(query)))
        return await list_response(request, table, questions, headers)

    async def catalog(request: Request) -> Response:
        check_parameters(request, ("format",))
        metrics = [_describe_metric(metric, reader, settings) for metric in CATALOGUE.values()]
        return await list_response(request, ApiTable(TableColumns.named(metrics[0]), metrics), questions)

    async def names(request: Request) -> Response:
        check_parameters(request, LIST_PARAMETERS)
        data_scope = DataScope(request.scope["person"], reader, clock())
        names = [
            {"by": by, "key": key, "name": name}
            for by, names_by_key in settings.names.items() for key, name in names_by_key.items()
            if data_scope.may_see(by, key)
        ]  # fmt: skip
        page = list_page(request, enumerate(names), lambda pair: (pair[0],), MAX_NAMES)
        table = ApiTable(_NAME_COLUMNS, [name for _, name in page.items])
        return await list_response(request, table, questions, page.headers)

    return [
        Route("/api/v1/readings", readings),
        Route("/api/v1/history", history),
        Route("/api/v1/intervals", intervals),
        Route("/api/v1/catalog", catalog),
        Route("/api/v1/names", names),
    ]


def _readings_response(
    data_scope: DataScope, query: MetricQuery, form: str, headers: Mapping[str, str]
) -> Response:
    readings = data_scope.readings(query)
    if gaps := data_scope.gaps(query):
        headers = {**headers, "streamer-note": "; ".join(gaps)}
    return json_response(list(group_into_columns(readings)) if form == "columns" else readings, headers)


def _readings_table(
    data_scope: DataScope, query: MetricQuery, form: str, names: NamesByDimension
) -> ApiTable:
    if form == "columns":
        columns = [*group_into_columns(data_scope.readings(query))]
        return ApiTable(*wide_table(columns, partial(group_name, names)))
    return ApiTable(_READING_COLUMNS, data_scope.iter_readings(query))


def _chosen_groups(
    request: Request, data_scope: DataScope, query: MetricQuery, names: NamesByDimension
) -> tuple[MetricQuery, Mapping[str, str]]:
    """Restrict a query to the groups that `match`, and to one page of them if the request asks for pages;
    return it with the headers that lead to the next page."""
    text, is_paged = single_parameter(request, "match"), request.query_params.keys() & {*PAGE_PARAMETERS}
    if text is None and not is_paged:
        return query, {}
    keys = data_scope.group_keys(query.by)
    if text is not None:
        wanted = plain_text(text)
        keys = [key for key in keys if wanted in plain_text(f"{group_name(names, query.by, key)} {key}")]
    page = list_page(request, keys, lambda key: (key,), MAX_GROUPS)
    return msgspec.structs.replace(query, keys=frozenset(page.items)), page.headers


def plain_text(text: str) -> str:
    """Return a text without accents and capitals, as one searches it.

    >>> plain_text("Facturación ")
    'facturacion'
    """
    return (
        "".join(character for character in normalize("NFD", text) if not category(character).startswith("M"))
        .lower()
        .strip()
    )


# Parsing requests and building answers.


def require_data_scope(
    request: Request, reader: MetricsReader, now_ms: int, pause: Pause = no_pause
) -> DataScope:
    """Return the data scope of the requesting user at `now_ms`.

    Raise HTTPException (503) before the first read of the store: an empty answer would be wrong."""
    if not reader.ready:
        retry_headers = {"retry-after": "1"}
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "the store has not been read yet", retry_headers)
    return DataScope(request.scope["person"], reader, now_ms, pause)


def json_response(items: Sequence[Any], headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """Encode items as a JSON array that no cache may store.

    >>> json_response([{"by": "queue", "key": "q7"}]).body
    b'[{"by":"queue","key":"q7"}]'
    """
    response_headers = {"cache-control": "no-store", **headers}
    return Response(_encode_json(items), media_type="application/json", headers=response_headers)


async def list_response(
    request: Request, table: ApiTable, questions: HeavyQuestions, headers: Mapping[str, str] = NO_HEADERS
) -> Response:
    """Answer with a list as JSON, or as the file that `format` asks for. Raise QueryError."""
    file_format = parse_format(request)
    if file_format == "json":
        return json_response([*table.items], headers)
    response = await table_response(request, table, file_format, questions)
    response.headers.update(headers)
    return response


def parse_format(request: Request) -> str:
    return choice_parameter(request, "format", FORMATS)


def parse_query(request: Request, now_ms: int) -> MetricQuery:
    """Parse the query parameters of a reading. Raise QueryError.

    A route calls `check_parameters` before, with the names that it supports."""
    parse_format(request)
    at_text, metrics = single_parameter(request, "at"), list_parameter(request, "metric")
    return MetricQuery(
        now=now_ms,
        metrics=metrics,
        windows=list_parameter(request, "window") or default_windows(metrics),
        by=single_parameter(request, "by") or ALL,
        key=single_parameter(request, "key"),
        stat=single_parameter(request, "stat"),
        at=parse_query_time_ms("at", at_text) if at_text else None,
        week_before=choice_parameter(request, "week_before", ("false", "true")) == "true",
    )


def _parse_history_query(request: Request, now_ms: int) -> tuple[MetricQuery, int, int, int]:
    check_parameters(request, _HISTORY_PARAMETERS)
    from_text, to_text, step_text = (single_parameter(request, name) for name in ("from", "to", "step"))
    if from_text is None or step_text is None:
        raise QueryError(f"{'from' if from_text is None else 'step'}: required")
    last_ms = parse_query_time_ms("to", to_text) if to_text else now_ms
    return (
        parse_query(request, now_ms),
        parse_query_time_ms("from", from_text),
        last_ms,
        _parse_step_ms(step_text),
    )


def _parse_step_ms(text: str) -> int:
    """Convert seconds, or the length of a window, into whole ms. Raise QueryError.

    >>> _parse_step_ms("900"), _parse_step_ms("0.25"), _parse_step_ms("1h")
    (900000, 250, 3600000)
    """
    if text in LENGTHS_MS:
        return LENGTHS_MS[text]
    try:
        return max(0, round(float(text) * 1000))
    except (ValueError, OverflowError):
        raise QueryError(f"step = {text!r}: expected a number of seconds, or a window such as 1h") from None


def check_parameters(request: Request, names: tuple[str, ...]) -> None:
    """Raise QueryError if the request has any other query parameter than these."""
    for name in request.query_params:
        if name not in names:
            expected = expected_choice(name, names) if names else "expected no parameters"
            raise QueryError(f"{name}: {expected}")


def single_parameter(request: Request, name: str) -> str | None:
    """Return a parameter that may be given once; None if it is missing or empty. Raise QueryError.

    >>> single_parameter(Request({"type": "http", "query_string": b"by=queue&key="}), "by")
    'queue'
    """
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise QueryError(f"{name}: given {len(values)} times, expected once")
    return values[0] or None if values else None


def choice_parameter(request: Request, name: str, choices: tuple[str, ...]) -> str:
    """Return one of `choices`; the first if the parameter is missing. Raise QueryError."""
    value = single_parameter(request, name) or choices[0]
    if value not in choices:
        raise QueryError(f"{name} = {value!r}: {expected_choice(value, choices)}")
    return value


def list_parameter(request: Request, name: str) -> tuple[str, ...]:
    """Return the distinct values of a parameter that may be repeated or joined by commas.

    >>> list_parameter(Request({"type": "http", "query_string": b"window=1h,4h&window=1h"}), "window")
    ('1h', '4h')
    """
    raw_values = ",".join(request.query_params.getlist(name)).split(",")
    return tuple(dict.fromkeys(value.strip() for value in raw_values if value.strip()))


def _describe_metric(metric: Metric, reader: MetricsReader, settings: Settings) -> dict[str, Any]:
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
        "by": [by for by in (ALL, *DIMENSIONS, *map(",".join, reader.pairs)) if metric.can_group_by(by)],
        "windows": [window for window in READABLE_WINDOWS if is_read_over(windows, window, spans)],
        "intervals": [interval for interval in INTERVALS if is_read_by(windows, interval, spans)],
        "window_at_least_s": spans.ms(windows.at_least) / 1000,
        "window_at_most_s": None if windows.at_most is None else spans.ms(windows.at_most) / 1000,
        "shift_s": spans.ms(windows.shift) / 1000,
        "target": settings.target(metric.name),
        "queue_targets": {
            queue: settings.target(metric.name, queue)
            for queue, targets in settings.targets.queues.items()
            if metric.name in targets
        },
        "least_support": settings.min_sample if metric.measure.interval else None,
        "currency": settings.currency if metric.unit == "currency" else None,
    }
