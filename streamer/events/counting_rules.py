"""Counting rules: the settings that change numbers.

They are stored beside the numbers. A worker that finds other counting rules in the store asks for a
`rebuild` instead of mixing two meanings in one tally.
"""

from collections.abc import Mapping
from typing import Final

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


class CountingRules(msgspec.Struct, frozen=True):
    """The settings that change numbers. Times are in milliseconds.

    `dimension_pairs` are configured, such as ("queue", "channel"). A customer id with more than
    `shared_id_limit` claims on it counts as shared by many customers, the id of a contact or survey that more
    facts name as shared by many contacts or surveys. Fields are stored under the names that
    they had first: another name or order in the stored bytes would ask every center for a rebuild.
    """

    horizon_ms: int = 35 * DAY
    retention_ms: int = 100 * DAY
    """Retention of hourly panes: the limit of the windows 7d, 30d, 90d and of history."""
    fcr_ms: int = 7 * DAY
    fcr_same_reason: bool = False
    shared_id_limit: int = msgspec.field(default=500, name="crowd")
    currency: str = "EUR"
    offered_counts_overflow: bool = False
    offered_counts_callback: bool = False
    service_level: ServiceLevel = ServiceLevel()
    queues: Mapping[str, ServiceLevel] = {}
    dimension_pairs: tuple[tuple[str, ...], ...] = msgspec.field(default=(), name="pairs")
    customer_key: str = "0"
    """Id of the key that makes the customers' pseudonyms."""
    agent_silence_ms: int = 12 * HOUR
    """Time after which nothing is known of an agent who was not heard of, if the source has no heart beat."""

    def service_level_of(self, queue: str | None) -> ServiceLevel:
        """Return the service level target of a queue, or the general one.

        >>> rules = CountingRules(queues={"billing": ServiceLevel(within_ms=60_000)})
        >>> rules.service_level_of("billing").within_ms, rules.service_level_of("sales").within_ms
        (60000, 20000)
        """
        return self.queues.get(queue or UNKNOWN, self.service_level)


_DEFAULT_RULES: Final = CountingRules()
_FIELD_NAMES: Final = {field.encode_name: field.name for field in msgspec.structs.fields(CountingRules)}


class CountingRulesMismatch(Exception):  # noqa: N818 - names the state, like the message
    """The stored numbers were made with other counting rules; the message lists the differences."""


_ADDED_RULES: Final = ("agent_silence_ms",)
"""Rules that earlier releases did not have: left out while they have their defaults, so that no store asks
for a rebuild."""


def encode_rules(rules: CountingRules) -> bytes:
    """Encode counting rules as JSON, in the deterministic form that the store keeps."""
    values = msgspec.to_builtins(rules, order="deterministic")
    for name in _ADDED_RULES:
        if getattr(rules, name) == getattr(_DEFAULT_RULES, name):
            del values[name]
    return msgspec.json.encode(values)


def diff_rules(stored: bytes, configured: bytes) -> list[str]:
    """Describe each rule whose stored value differs from the configured one.

    >>> diff_rules(encode_rules(CountingRules(currency="EUR")), encode_rules(CountingRules(currency="USD")))
    ['currency: stored EUR, set USD']
    """
    stored_values, configured_values = _all_rules(stored), _all_rules(configured)
    return [
        f"{_FIELD_NAMES.get(name, name)}: stored {stored_values.get(name)}, set {configured_values[name]}"
        for name in configured_values
        if stored_values.get(name) != configured_values[name]
    ]


def _all_rules(encoded: bytes) -> dict[str, object]:
    """Return rules by stored name, with the defaults of those that were left out."""
    values: dict[str, object] = {name: getattr(_DEFAULT_RULES, name) for name in _ADDED_RULES}
    values.update(msgspec.json.decode(encoded))
    return values


def require_same_rules(stored: bytes, configured: bytes) -> None:
    """Raise CountingRulesMismatch if the stored rules differ from the configured ones."""
    if stored != configured:
        raise CountingRulesMismatch(
            "the settings that change numbers differ from those of the stored numbers "
            f"({'; '.join(diff_rules(stored, configured))}): restore them, or run `streamer rebuild`"
        )
