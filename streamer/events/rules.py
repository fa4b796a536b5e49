"""Here is what is counted, and how: the settings that change numbers.

They are stored beside the numbers; a worker that finds other rules there than its own asks for a
`rebuild` instead of mixing two meanings in one tally.
"""

from collections.abc import Mapping

import msgspec

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SERVICE_LEVEL_FORMULAS = ("negative", "exclude_short", "ignore", "positive", "answered_only")
UNKNOWN = "unknown"


class ServiceLevel(msgspec.Struct, frozen=True):
    """A queue's target: answered within `within_ms` (equal is within); an abandonment within
    `short_ms` is short; `formula` is one of SERVICE_LEVEL_FORMULAS."""

    within_ms: int = 20 * SECOND
    short_ms: int = 5 * SECOND
    formula: str = "negative"


class Rules(msgspec.Struct, frozen=True):
    """Times in milliseconds. `pairs` are the configured pairs of dimensions, e.g. ("queue", "channel")."""

    horizon_ms: int = 35 * DAY
    retention_ms: int = 100 * DAY
    """How long hours are kept: as far back as 7d, 30d, 90d and history reach."""
    fcr_ms: int = 7 * DAY
    fcr_same_reason: bool = False
    crowd: int = 500
    currency: str = "EUR"
    offered_counts_overflow: bool = False
    offered_counts_callback: bool = False
    service_level: ServiceLevel = ServiceLevel()
    queues: Mapping[str, ServiceLevel] = {}
    pairs: tuple[tuple[str, ...], ...] = ()
    customer_key: str = "0"
    """The id of the key that customers' pseudonyms are made with."""

    def service_level_of(self, queue: str | None) -> ServiceLevel:
        return self.queues.get(queue or UNKNOWN, self.service_level)


class OtherRules(Exception):  # noqa: N818 - names the state, like the message
    """The stored numbers were made with other rules; the message says what differs."""


def written(rules: Rules) -> bytes:
    """As they are stored."""
    return msgspec.json.encode(rules, order="deterministic")


def differing(stored: bytes, own: bytes) -> list[str]:
    """A phrase for each rule that is not the same."""
    was, now = msgspec.json.decode(stored), msgspec.json.decode(own)
    return [f"{name}: stored {was.get(name)}, set {now[name]}" for name in now if was.get(name) != now[name]]


def agree(stored: bytes, own: bytes) -> None:
    """Raises OtherRules where the stored numbers mean something else."""
    if stored != own:
        raise OtherRules(
            "the settings that change numbers are not those of the stored numbers "
            f"({'; '.join(differing(stored, own))}); set them back, or run `streamer rebuild`"
        )
