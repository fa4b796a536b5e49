"""Count the rows of a file by outcome, and describe the counts for people."""

from collections.abc import Mapping

import msgspec

from streamer.events.models import Rejected

_SHOWN = 10


class Account(msgspec.Struct):
    """Counts for one file: rows read, events sent by topic, rows skipped by the map's reason, rows rejected
    by reason, and the first 10 errors with their lines. It is saved inside the position.

    >>> account = Account(rows=3)
    >>> account.add_sent("call-completed")
    >>> account.add_sent("call-completed")
    >>> account.add_rejected(2, Rejected("negative", "wait_s is -1, expected 0 seconds or more"))
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

    def add_skipped(self, why: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1

    def add_rejected(self, line: int, rejected: Rejected) -> None:
        self.rejected[rejected.reason] = self.rejected.get(rejected.reason, 0) + 1
        if len(self.errors) < _SHOWN:
            place = f"line {line}" if line else "assembled"
            self.errors.append(f"{place}: {rejected.reason}: {rejected.error}")

    @property
    def events(self) -> int:
        return sum(self.sent.values())

    def told(self, name: str, verb: str, seconds: float, before: int) -> str:
        """Format the counts as a few lines of text. `earlier_events` were sent by the interrupted command
        before; the rate leaves them out."""
        rate = (self.events - before) / seconds if seconds > 0 else 0
        head = f"{name}: {_count(self.rows, 'row')}, {_count(self.events, 'event')} {verb}"
        if before:
            head += f", {before:,} of them before the interruption"
        lines = [f"{head}; {seconds:.1f} s, {rate:,.0f} a second", *_table(self.sent, "")]
        if self.skipped:
            lines += [
                f"  skipped {sum(self.skipped.values()):,} by the map's rules",
                *_table(self.skipped, "  "),
            ]
        if self.rejected:
            total = sum(self.rejected.values())
            lines += [f"  rejected {total:,}, not {verb}", *_table(self.rejected, "  ")]
            lines += [f"    {error}" for error in self.errors]
            lines += [f"    … and {total - len(self.errors):,} more"] if total > len(self.errors) else []
        return "\n".join(lines)


def _table(counts: Mapping[str, int], indent: str) -> list[str]:
    wide = max((len(name) for name in counts), default=0)
    return [f"{indent}  {name:<{wide}}  {count:>11,}" for name, count in sorted(counts.items(), key=_most)]


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
