"""Key layout in Redis, version 2: every name and width. All keys of a center carry the hash tag {center}.

Numbers belong to a generation: a rebuild makes another one beside the one in force. Keys without a version
outlive every layout. They are, after `s{center}`:

| key | type | holds |
| --- | --- | --- |
| customer-key | string | the key of pseudonyms, made here where none is set |
| forgotten | hash | pseudonyms of erased customers, and when, in ms |
| alerts | string | 8 bytes token, then msgpack (delivery/alert_state.py) |
| alerts:holder | string | which server evaluates rules and notifies |

After `s2{center}` follow `current` (the name of the generation in force; absent: 0), `rebuilding` (the
name of the staged one), `current:held` (for moments: commits are paused), and each generation's keys behind its name:

| key after the prefix `s2{center}GENERATION:` | type | holds |
| --- | --- | --- |
| d:0 … d:f | hash | documents (journeys/journey.py) by the first digit of their key's digest: field the key, value 4 bytes (when written, s) and msgpack |
| f:N, l:N | hash | fine and long panes of hour N: last and first sequence (6 bytes each) → pane delta |
| t:N | hash | agents' time in states in hour N, likewise (panes/agent_time.py) |
| n:0, n:1 | hash | the index of contacts under way and of agents, likewise (panes/live_index.py) |
| c:0 | hash | counters, likewise; the first one may be the state of all before (metrics/counters.py) |
| sequence | string | how many writes there were |
| nonces | sorted set | the last 10,000 writes' nonces by sequence |
| writes | hash | of the last 64 writes: sequence → keys of documents written (13 bytes each) |
| touched | hash | of the last 1,024 writes: sequence → panes (`f:N,l:N`) |
| changes | sorted set | panes by the sequence that changed them last |
| positions, beats | hash | per partition |
| rules | string | the rules the numbers were made with |

Documents are spread over 16 hashes, since moving a slot of a cluster blocks for the largest key.
"""  # noqa: E501 - a table

from collections.abc import Mapping
from typing import Final

from streamer.events.counting_rules import DAY, CountingRules
from streamer.journeys.journey import KEY_BYTES
from streamer.panes.pane_keys import COUNTERS, PaneHour, StoredFamily
from streamer.store.port import TOKEN_BYTES

LAYOUT_VERSION: Final = 2
MAX_OUTAGE_MS: Final = 30 * DAY
"""The longest outage that forgetting documents allows for."""

FIRST_GENERATION: Final = "0"
"""The generation of a center that was never rebuilt."""

# Names after `s{center}`.
CUSTOMER_KEY_NAME: Final = "customer-key"
FORGOTTEN_NAME: Final = "forgotten"
ALERTS_NAME: Final = "alerts"
HOLDER_SUFFIX: Final = ":holder"

# Names after `s2{center}`.
CURRENT_NAME: Final = "current"
STAGED_NAME: Final = "rebuilding"
PAUSED_SUFFIX: Final = b":held"

# Names after the prefix of a generation.
SEQUENCE: Final = b"sequence"
NONCES: Final = b"nonces"
WRITES: Final = b"writes"
TOUCHED: Final = b"touched"
CHANGES: Final = b"changes"
POSITIONS: Final = b"positions"
HEARTBEATS: Final = b"beats"
RULES: Final = b"rules"
DOCUMENT_HASHES: Final = [f"d:{digit}".encode() for digit in "0123456789abcdef"]
PANE_LETTERS: Final[Mapping[StoredFamily, str]] = {
    "fine": "f",
    "long": "l",
    "counters": "c",
    "live": "n",
    "time": "t",
}
_FAMILIES: Final = {letter: family for family, letter in PANE_LETTERS.items()}

# Widths in bytes, and how many entries are kept.
SEQUENCE_BYTES: Final = 6
WRITE_TIME_BYTES: Final = 4
KEPT_WRITES: Final = 64
KEPT_TOUCHED: Final = 1_024
KEPT_NONCES: Final = 10_000
NO_COMMIT: Final = bytes(2 * SEQUENCE_BYTES)
"""Name of a delta that no commit made."""

# Version 1, where it differs.
FORMER_COUNTERS: Final = b"counts"
FORMER_SEQUENCE_BYTES: Final = 6


def shared_key(center: str, name: str) -> bytes:
    """Return a key that outlives layouts and generations.

    >>> shared_key("acme", "forgotten")
    b's{acme}forgotten'
    """
    return f"s{{{center}}}{name}".encode()


def layout_key(center: str, name: str = "", version: int = LAYOUT_VERSION) -> bytes:
    """Return a key that belongs to no generation; all keys of this layout begin with `layout_key(center)`.

    >>> layout_key("acme", "current")
    b's2{acme}current'
    """
    return f"s{version}{{{center}}}{name}".encode()


def generation_prefix(center: str, generation: str = FIRST_GENERATION) -> bytes:
    """Return the prefix of all keys of a generation, such as `s2{acme}0:`."""
    return layout_key(center, f"{generation}:")


def document_hash(key: bytes) -> bytes:
    """Return the name of the hash that holds a document: by the first digit of the key's digest.

    >>> document_hash(b"c\\xa0" + bytes(11))
    b'd:a'
    """
    return DOCUMENT_HASHES[key[1] >> 4]


def pane_name(pane_hour: PaneHour) -> str:
    """Return the name of the hash that holds the panes of an hour.

    >>> pane_name(("fine", 498_681))
    'f:498681'
    """
    family, hour = pane_hour
    return f"{PANE_LETTERS[family]}:{hour}"


def parse_pane_name(name: str) -> PaneHour:
    """Parse the name of a hash of panes.

    >>> parse_pane_name("l:498681")
    ('long', 498681)
    """
    letter, _, hour = name.partition(":")
    return _FAMILIES[letter], int(hour)


def script_constants() -> str:
    """Return the names and widths as Lua, to be put before every script."""
    names = {
        "SEQUENCE": SEQUENCE, "NONCES": NONCES, "WRITES": WRITES, "TOUCHED": TOUCHED, "CHANGES": CHANGES,
        "POSITIONS": POSITIONS, "HEARTBEATS": HEARTBEATS, "RULES": RULES, "PAUSED_SUFFIX": PAUSED_SUFFIX,
        "COUNTERS_PANE": pane_name(COUNTERS).encode(),
        **{letter_name.upper(): letter.encode() for letter_name, letter in PANE_LETTERS.items()},
    }  # fmt: skip
    numbers = {
        "KEY_BYTES": KEY_BYTES, "TOKEN_BYTES": TOKEN_BYTES, "SEQUENCE_BYTES": SEQUENCE_BYTES,
        "WRITE_TIME_BYTES": WRITE_TIME_BYTES, "KEPT_WRITES": KEPT_WRITES, "KEPT_TOUCHED": KEPT_TOUCHED,
        "FIRST_GENERATION": f"'{FIRST_GENERATION}'",
    }  # fmt: skip
    values = {name: f"'{text.decode()}'" for name, text in names.items()} | numbers
    return "".join(f"local {name} = {value}\n" for name, value in values.items())


def document_ttl_ms(rules: CountingRules) -> int:
    """Return how long (ms) a document lives after it was last written: well beyond the two horizons after
    which contacts are forgotten.

    >>> document_ttl_ms(CountingRules(horizon_ms=35 * DAY, fcr_ms=7 * DAY)) // DAY
    114
    """
    return 2 * rules.horizon_ms + 2 * rules.fcr_ms + MAX_OUTAGE_MS
