"""Manage dead letters: list, show, retry, close, export and erase them."""

from streamer.dead_letters.commands import erase

__all__ = ["erase"]
