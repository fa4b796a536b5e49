"""Here is what can be done about rejected events: look at them, send them again, close them, erase them."""

from streamer.dead_letters.commands import erase

__all__ = ["erase"]
