"""Say what a query asks for and no reading answers: windows that a metric is not read over, unknown keys."""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from streamer.metrics.catalogue import CATALOGUE, WindowSpans
from streamer.panes.windows import READABLE_WINDOWS, is_read_over
from streamer.readings.query import MetricQuery


def window_gaps(query: MetricQuery, spans: WindowSpans) -> Iterator[str]:
    """Yield a sentence for each named metric and window without readings.

    >>> list(window_gaps(MetricQuery(now=0, metrics=("fcr_ratio",), windows=("1h", "30d")), WindowSpans()))
    ['fcr_ratio is not read over 1h, but over 7d, 30d, 90d']
    """
    for name in query.metrics:
        limits = CATALOGUE[name].windows
        served = [window for window in READABLE_WINDOWS if is_read_over(limits, window, spans)]
        missing = [window for window in query.windows if window not in served]
        if missing:
            yield f"{name} is not read over {', '.join(missing)}, but over {', '.join(served)}"


def key_gap(query: MetricQuery, known_keys: Collection[str]) -> str:
    """Return a sentence about a key that is none of the known ones, in ASCII.

    >>> key_gap(MetricQuery(now=0, by="queue", key="biling"), ["billing", "sales"])
    "nothing is known of queue 'biling': is it 'billing'?"
    """
    alike = get_close_matches(query.key or "", known_keys, 1)
    return f"nothing is known of {query.by} {query.key!a}" + (f": is it {alike[0]!a}?" if alike else "")
