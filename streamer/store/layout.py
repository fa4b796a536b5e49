"""Here is the key layout in Redis, version 1. All keys of a center carry the hash tag {center}.

Numbers belong to a generation: a rebuild makes another one beside that in force. After `s1{center}`
stand `current` (the name of the generation in force; absent: 0), `rebuilding` (of the one in the
making), `current:held` (for moments: no commits), `customer-key` (made here where none is set),
`forgotten` (hash: pseudonyms of erased customers, and when, in ms), `alerts` (8 bytes token, then msgpack:
delivery/record.py), `alerts:holder` (which server judges and tells), and each generation's keys behind its
name:

| key after the prefix `s1{center}GENERATION:` | type | holds |
| --- | --- | --- |
| e…, c…, o… and 12 bytes | string | a document: 8 bytes token, then msgpack (journeys/journey.py) |
| f:N, l:N | hash | fine pane N (10 s), long pane N (1 h): last commit → first commit and posting |
| changes:f, changes:l | sorted set | pane number by the sequence that changed it last |
| nonces | sorted set | the last 10,000 commits' tokens by their sequence |
| sequence | string | how many commits there were |
| positions, beats, counts | hash | per partition, per partition, per plain counter |
| rules | string | the rules the numbers were made with |
"""

from typing import Final

from streamer.events.rules import DAY, Rules

VERSION: Final = 1
OUTAGE_MS: Final = 30 * DAY
"""The longest outage that the broom of times to live allows for."""


FIRST: Final = "0"
"""The generation of a center that was never rebuilt."""


def named(center: str, name: str = "") -> bytes:
    """A key that belongs to no generation; all keys of the center begin with `named(center)`."""
    return f"s{VERSION}{{{center}}}{name}".encode()


def prefix(center: str, generation: str = FIRST) -> bytes:
    return named(center, f"{generation}:")


def document_ttl_s(rules: Rules) -> int:
    """Documents are forgotten two horizons back; Redis sweeps far behind that."""
    return (2 * rules.horizon_ms + 2 * rules.fcr_ms + OUTAGE_MS) // 1000
