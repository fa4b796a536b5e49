"""Roll of a source: who is under way, and when all may have gone without a word.

A restart of a telephone system ends all calls silently, and a list of who waits says by omission who has
gone. Such a sweep becomes a fragment of each contact and agent that it may concern, also of those heard of
only later.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from streamer.events.adapters.source import Fragment
from streamer.events.adapters.timelines import RESTART, is_agent
from streamer.events.counting_rules import HOUR

ROLLS: Final = "r"
"""First letter of the keys of rolls in the store."""
ROLL_MS: Final = 26 * HOUR
"""How long a contact, an agent or a restart is remembered."""
MAX_LISTS: Final = 300
"""Lists remembered of those who waited: the latest."""
_DIGEST_BYTES: Final = 12


class SourceRoll(msgspec.Struct, frozen=True, array_like=True):
    """Sweeps in order, and the last sign, in ms and an hour too early at most, of each contact that is under
    way and of each agent."""

    sweeps: tuple[Fragment, ...] = ()
    last_signs: dict[str, int] = {}

    def with_sweeps(self, sweeps: Iterable[Fragment]) -> "SourceRoll":
        """Add sweeps, and forget what is too long ago.

        >>> sweep = Fragment("", RESTART, 1_000, {})
        >>> SourceRoll().with_sweeps([sweep, sweep]).sweeps == (sweep,)
        True
        """
        known = {sweep.encode(): sweep for sweep in (*self.sweeps, *sweeps)}
        ordered = sorted(known.values(), key=lambda sweep: sweep.at)
        limit_ms = ordered[-1].at - ROLL_MS
        lists = [sweep for sweep in ordered if sweep.kind != RESTART][-MAX_LISTS:]
        kept = [sweep for sweep in ordered if sweep.kind == RESTART or sweep in lists]
        return SourceRoll(
            tuple(sweep for sweep in kept if sweep.at > limit_ms),
            {name: at_ms for name, at_ms in self.last_signs.items() if at_ms > limit_ms},
        )

    def concerned(self, sweeps: Sequence[Fragment]) -> list[str]:
        """Return the contacts and agents that new sweeps may concern: agents only a restart."""
        new_sweeps = [sweep for sweep in sweeps if sweep not in self.sweeps]
        has_restart = any(sweep.kind == RESTART for sweep in new_sweeps)
        return [name for name in self.last_signs if new_sweeps and (has_restart or not is_agent(name))]

    def with_sign(self, contact: str, at_ms: int, *, is_under_way: bool) -> "SourceRoll":
        """Note a sign of a contact or an agent, or that it is over; return itself if nothing is new."""
        known_ms = self.last_signs.get(contact)
        if is_under_way and (known_ms is None or at_ms > known_ms + HOUR):
            return SourceRoll(self.sweeps, {**self.last_signs, contact: at_ms})
        if not is_under_way and known_ms is not None:
            others = {name: sign for name, sign in self.last_signs.items() if name != contact}
            return SourceRoll(self.sweeps, others)
        return self


EMPTY_ROLL: Final = SourceRoll()
encode_roll = msgspec.msgpack.Encoder().encode
decode_roll = msgspec.msgpack.Decoder(SourceRoll).decode


def roll_key(source: str) -> bytes:
    """Return the key of the document of a source's roll: 13 bytes.

    >>> len(roll_key("asterisk-ami")), roll_key("asterisk-ami")[:1]
    (13, b'r')
    """
    return ROLLS.encode() + sha256(source.encode()).digest()[:_DIGEST_BYTES]
