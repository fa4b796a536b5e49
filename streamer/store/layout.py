"""Key layout in Redis, version 2. All keys of a center carry the hash tag {center}.

Numbers belong to a generation: a rebuild makes another one beside the one in force. Keys without a version
outlive every layout. They are, after `s{center}`:

| key | type | holds |
| --- | --- | --- |
| customer-key | string | the key of pseudonyms, made here where none is set |
| forgotten | hash | pseudonyms of erased customers, and when, in ms |
| alerts | string | 8 bytes token, then msgpack (delivery/record.py) |
| alerts:holder | string | which server evaluates rules and notifies |

After `s2{center}` follow `current` (the name of the generation in force; absent: 0), `rebuilding` (the
name of the staged one), `current:held` (for moments: commits are paused), and each generation's keys behind its name:

| key after the prefix `s2{center}GENERATION:` | type | holds |
| --- | --- | --- |
| d:0 … d:f | hash | documents (journeys/journey.py) by the first digit of their key's digest: field the key, value 4 bytes (when written, s) and msgpack |
| f:N, l:N | hash | fine and long panes of hour N: last and first sequence (6 bytes each) → pane delta |
| c:0 | hash | counters, likewise |
| sequence | string | how many writes there were |
| nonces | sorted set | the last 10,000 writes' nonces by sequence |
| writes | hash | of the last 64 writes: sequence → keys of documents written (13 bytes each) |
| touched | hash | of the last 1,024 writes: sequence → panes (`f:N,l:N`) |
| changes | sorted set | panes by the sequence that changed them last |
| positions, beats | hash | per partition |
| rules | string | the rules the numbers were made with |

Documents are spread over 16 hashes, since moving a slot of a cluster blocks for the largest key.
"""  # noqa: E501 - a table

from typing import Final

from streamer.events.counting_rules import DAY, CountingRules

LAYOUT_VERSION: Final = 2
MAX_OUTAGE_MS: Final = 30 * DAY
"""The longest outage that forgetting documents allows for."""

FIRST_GENERATION: Final = "0"
"""The generation of a center that was never rebuilt."""


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


def document_ttl_ms(rules: CountingRules) -> int:
    """Return how long (ms) a document lives after it was last written: well beyond the two horizons after
    which contacts are forgotten.

    >>> document_ttl_ms(CountingRules(horizon_ms=35 * DAY, fcr_ms=7 * DAY)) // DAY
    114
    """
    return 2 * rules.horizon_ms + 2 * rules.fcr_ms + MAX_OUTAGE_MS
