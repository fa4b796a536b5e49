"""Names and widths in Redis are in one file, pinned here as literals: others would lose what is stored."""

import re
from pathlib import Path

import pytest

import streamer.store
from streamer.store import layout
from streamer.store.layout import script_constants

CONSTANTS = """
local SEQUENCE = 'sequence'
local NONCES = 'nonces'
local WRITES = 'writes'
local TOUCHED = 'touched'
local CHANGES = 'changes'
local POSITIONS = 'positions'
local HEARTBEATS = 'beats'
local RULES = 'rules'
local PAUSED_SUFFIX = ':held'
local COUNTERS_PANE = 'c:0'
local FINE = 'f'
local LONG = 'l'
local COUNTERS = 'c'
local LIVE = 'n'
local TIME = 't'
local KEY_BYTES = 13
local TOKEN_BYTES = 8
local SEQUENCE_BYTES = 6
local WRITE_TIME_BYTES = 4
local KEPT_WRITES = 64
local KEPT_TOUCHED = 1024
local FIRST_GENERATION = '0'
"""
FOLDER = Path(streamer.store.__file__).parent / "redis"
FILES = sorted(path for path in FOLDER.rglob("*") if path.suffix in (".py", ".lua"))
NAMES = [
    "customer-key", "forgotten", "alerts", ":holder", "current", "rebuilding", ":held", "sequence", "nonces",
    "writes", "touched", "changes", "positions", "beats", "rules", "counts", "c:0",
]  # fmt: skip


def test_scripts_have_these_names_and_widths() -> None:
    assert script_constants() == CONSTANTS.lstrip()


def test_keys_outside_a_generation_have_these_names() -> None:
    assert layout.shared_key("acme", layout.CUSTOMER_KEY_NAME) == b"s{acme}customer-key"
    assert layout.shared_key("acme", layout.FORGOTTEN_NAME) == b"s{acme}forgotten"
    assert layout.shared_key("acme", layout.ALERTS_NAME + layout.HOLDER_SUFFIX) == b"s{acme}alerts:holder"
    assert layout.layout_key("acme", layout.CURRENT_NAME) + layout.PAUSED_SUFFIX == b"s2{acme}current:held"
    assert layout.layout_key("acme", layout.STAGED_NAME) == b"s2{acme}rebuilding"
    assert [f"d:{digit:x}".encode() for digit in range(16)] == layout.DOCUMENT_HASHES


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_no_file_but_the_layout_spells_a_name_or_a_width(path: Path) -> None:
    text = path.read_text()
    spelled = [name for name in NAMES if f'b"{name}"' in text or f".. '{name}'" in text]
    spelled += [name for name in ("'>I4'", "'>I6'") if name in text]
    spelled += re.findall(r"\w+_BYTES\b.* = \d\d?$", text, re.MULTILINE)
    assert spelled == []
