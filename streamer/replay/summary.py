"""Count the rows of a file by outcome, and describe the counts for people."""

from collections.abc import Mapping

import msgspec

from streamer.events.models import RejectedEvent

_MAX_SHOWN_ERRORS = 10


class ReplaySummary(msgspec.Struct):
    """Counts for one file: rows read, events sent by topic, rows skipped by the map's reason, rows rejected
    by reason, and the first 10 errors with their lines. It is saved inside the position.

    >>> account = ReplaySummary(rows=3)
    >>> account.add_sent("call-completed")
    >>> account.add_sent("call-completed")
    >>> account.add_rejected(2, RejectedEvent("negative", "wait_s is -1, expected 0 seconds or more"))
    >>> account.events
    2
    >>> account.errors
    ['line 2: negative: wait_s is -1, expected 0 seconds or more']
    """

    rows: int = 0
    sent: dict[str, int] = {}
    skipped: dict[str, int] = {}
    rejected: dict[str, int] = {}
    errors: list[str] = []

    def add_sent(self, topic: str) -> None:
        self.sent[topic] = self.sent.get(topic, 0) + 1

    def add_skipped(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def add_rejected(self, line: int, rejected: RejectedEvent) -> None:
        self.rejected[rejected.reason] = self.rejected.get(rejected.reason, 0) + 1
        if len(self.errors) < _MAX_SHOWN_ERRORS:
            location = f"line {line}" if line else "assembled"
            self.errors.append(f"{location}: {rejected.reason}: {rejected.error}")

    @property
    def events(self) -> int:
        return sum(self.sent.values())

    def describe(self, file_name: str, verb: str, elapsed_s: float, earlier_events: int) -> str:
        """Format the counts as a few lines of text. `earlier_events` were sent by the interrupted command
        before; the rate leaves them out."""
        events_per_s = (self.events - earlier_events) / elapsed_s if elapsed_s > 0 else 0
        headline = f"{file_name}: {_pluralize(self.rows, 'row')}, {_pluralize(self.events, 'event')} {verb}"
        if earlier_events:
            headline += f", {earlier_events:,} of them before the interruption"
        lines = [f"{headline}; {elapsed_s:.1f} s, {events_per_s:,.0f} a second", *_count_table(self.sent, "")]
        if self.skipped:
            lines += [
                f"  skipped {sum(self.skipped.values()):,} by the map's rules",
                *_count_table(self.skipped, "  "),
            ]
        if self.rejected:
            rejected_count = sum(self.rejected.values())
            lines += [f"  rejected {rejected_count:,}, not {verb}", *_count_table(self.rejected, "  ")]
            lines += [f"    {error}" for error in self.errors]
            lines += (
                [f"    … and {rejected_count - len(self.errors):,} more"]
                if rejected_count > len(self.errors)
                else []
            )
        return "\n".join(lines)


def _count_table(counts: Mapping[str, int], indent: str) -> list[str]:
    name_width = max((len(name) for name in counts), default=0)
    return [
        f"{indent}  {name:<{name_width}}  {count:>11,}"
        for name, count in sorted(counts.items(), key=_largest_first)
    ]


def _largest_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _pluralize(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
