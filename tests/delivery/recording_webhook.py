"""Webhook receiver that records what it accepted and when, and may be slow, broken or unavailable."""

import asyncio
import json
from collections import Counter
from typing import Any, NamedTuple

from aiohttp import web

from streamer.runtime.clock import wall_clock_ms
from tests.delivery.http_listener import HttpListener


class RecordedMessage(NamedTuple):
    """Message of an alert, and when it came (ms)."""

    at: int
    message: dict[str, Any]


class RecordingWebhook(HttpListener):
    """`told` lists the accepted messages, as often as they came. With a `status` other than 200 it accepts
    nothing; each response comes after `slow_s`."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.told: list[RecordedMessage] = []
        self.status = 200
        self.slow_s = 0.0

    def taken(self) -> Counter[str]:
        """Count how often each message was accepted, by id."""
        return Counter(one.message["id"] for one in self.told)

    def find(self, rule: str, key: str, what: str) -> list[RecordedMessage]:
        wanted = rule, key, what
        return [one for one in self.told if _named(one.message) == wanted]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        at, status = wall_clock_ms(), self.status
        await asyncio.sleep(self.slow_s)
        if status == 200:
            self.told += [
                RecordedMessage(at, message) for message in json.loads(await request.read())["alerts"]
            ]
        return web.Response(status=status)


def _named(message: dict[str, Any]) -> tuple[str, str, str]:
    return message["rule"], message["key"], message["what"]
