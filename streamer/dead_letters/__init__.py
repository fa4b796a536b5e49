"""Manage dead letters: list, show, retry, close, export and erase them."""

from streamer.dead_letters.commands import erase_letters

__all__ = ["erase_letters"]
