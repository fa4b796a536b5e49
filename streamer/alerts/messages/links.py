"""Links from a message to the pages."""

from typing import Final
from urllib.parse import quote, urlencode

from streamer.metrics.catalogue import Metric
from streamer.panes.pane_keys import ALL
from streamer.panes.windows import LENGTHS_MS
from streamer.settings import Settings

_EVERYWHERE: Final = ("", "0.0.0.0", "::")
_ALL_KEY: Final = "\0all"
"""Key of the supervisor page's row for all groups together."""


def base_url(settings: Settings) -> str:
    """Return the public address of the pages, without a slash at its end."""
    if settings.delivery.url:
        return settings.delivery.url.rstrip("/")
    host = "localhost" if settings.host in _EVERYWHERE else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def contacts_url(address: str, metric: Metric, by: str, key: str, window: str) -> str:
    """Return the link to the contacts behind a figure on the supervisor page, the worst first."""
    group = {"by": "queue", "key": _ALL_KEY} if by == ALL else {"by": by, "key": key}
    return _page_url(address, {**group, "window": window, "metric": metric.name, "order": "worst"})


def now_url(address: str, by: str, key: str) -> str:
    """Return the link to what is going on now on the supervisor page; of one queue or team only that.

    >>> now_url("https://streamer.example.com", "queue", "billing")
    'https://streamer.example.com/supervisor?by=now&queue=billing'
    """
    return _page_url(address, {"by": "now", **({by: key} if by in ("queue", "team") else {})})


def explanation_url(address: str, rule: str, key: str, at: str = "") -> str:
    """Return the link to the page that explains why a rule fires, or does not; `at`: as of then (RFC
    3339).

    >>> explanation_url("https://streamer.example.com", "nps-drop", "billing")
    'https://streamer.example.com/supervisor?alert=nps-drop&group=billing'
    """
    return _page_url(address, {"alert": rule, "group": key, **({"at": at} if at else {})})


def _page_url(address: str, parameters: dict[str, str]) -> str:
    return f"{address}/supervisor?{urlencode(parameters, quote_via=quote, safe='')}"


def covering_window(span_ms: int) -> str:
    """Return the shortest window that covers the span, or else the longest.

    >>> covering_window(20 * 60_000)
    '30m'
    """
    return next((window for window, length in LENGTHS_MS.items() if length >= span_ms), [*LENGTHS_MS][-1])
