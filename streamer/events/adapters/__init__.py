"""Known sources, one file each: their payloads in, events of the contract out."""

from collections.abc import Mapping
from typing import Final

from streamer.events.adapters import delighted
from streamer.events.adapters.source import Source

SOURCES: Final[Mapping[str, Source]] = {source.name: source for source in (delighted.SOURCE,)}
