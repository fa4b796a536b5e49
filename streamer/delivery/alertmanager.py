"""Here is Alertmanager, by version 2 of its API: alerts are told to it, silences asked and kept there."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from streamer.alerts import words
from streamer.alerts.message import Message
from streamer.alerts.states import Alert
from streamer.delivery.caller import Answer, Caller
from streamer.readings.query import dimensions
from streamer.settings import Settings, SettingsError

PATIENCE_S: Final = 10.0
MOST_BYTES: Final = 8_000_000
_JSON: Final = {"content-type": "application/json"}
T = TypeVar("T")


class AlertmanagerAway(Exception):  # noqa: N818 - names the state
    """It cannot be asked, or does not do it. The message says why, without its address."""


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class Status(msgspec.Struct, frozen=True):
    state: str


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A silence as Alertmanager keeps it."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str = ""
    comment: str = ""
    status: Status


class Versions(msgspec.Struct, frozen=True):
    version: str


class About(msgspec.Struct, frozen=True, rename="camel"):
    version_info: Versions


class Made(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="silenceID")


def check_alertmanager(settings: Settings) -> None:
    """Raises SettingsError. The address may hold a password and is not shown."""
    address = settings.delivery.alertmanager
    if address and not address.startswith(("http://", "https://")):
        raise SettingsError(
            "delivery.alertmanager: expected an address such as http://127.0.0.1:9093, without /api"
        )


class Alertmanager:
    """All raise AlertmanagerAway."""

    def __init__(self, address: str, caller: Caller) -> None:
        self._address, self._caller = address.rstrip("/"), caller

    async def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        self._well(await self._ask("POST", "alerts", alerts))

    async def silences(self) -> list[Kept]:
        """Those that hold, or will."""
        found = await self._read("GET", "silences", list[Kept])
        return [one for one in found if one.status.state in ("active", "pending")]

    async def silence(self, matchers: Sequence[Matcher], span: tuple[int, int], by: str, comment: str) -> str:
        """Its id. `span`: from when until when (ms)."""
        asked = {
            "matchers": matchers,
            "startsAt": moment(span[0]),
            "endsAt": moment(span[1]),
            "createdBy": by,
            "comment": comment,
        }
        return (await self._read("POST", "silences", Made, asked)).id

    async def unsilence(self, name: str) -> None:
        """One that is not there, or no longer, is well ended."""
        answer = await self._ask("DELETE", f"silence/{quote(name, safe='')}")
        if answer.status not in (
            HTTPStatus.NOT_FOUND,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ):
            self._well(answer)

    async def version(self) -> str:
        return (await self._read("GET", "status", About)).version_info.version

    async def _read(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        answer = self._well(await self._ask(method, path, body))
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError:
            raise AlertmanagerAway("what answers is no Alertmanager, or says too much") from None

    def _well(self, answer: Answer) -> Answer:
        if not answer.is_well:
            raise AlertmanagerAway(f"answered {answer.status}")
        return answer

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        written = b"" if body is None else msgspec.json.encode(body)
        url = f"{self._address}/api/v2/{path}"
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._caller.call(method, url, written, _JSON, MOST_BYTES)
        except TimeoutError:
            raise AlertmanagerAway(f"no answer in {PATIENCE_S:.0f} s") from None
        if isinstance(answer, Answer):
            return answer
        raise AlertmanagerAway(answer.reason)


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


# What it is told of an alert.


def told(alert: Alert, message: Message, ends_at: int) -> dict[str, Any]:
    """`message`: with which it began."""
    assert alert.fired_at is not None
    links = message.links
    found = {
        "labels": labels(message),
        "annotations": annotations(message),
        "startsAt": moment(alert.fired_at),
        "endsAt": moment(ends_at),
    }
    return found | ({"generatorURL": links["explain"]} if "explain" in links else {})


def labels(message: Message) -> dict[str, str]:
    """What an alert is known by; never anything of a customer."""
    return {
        "alertname": message.rule,
        "severity": message.severity,
        "metric": message.metric,
        "by": message.by,
        **dimensions(message.by, message.key),
    }


def annotations(message: Message) -> dict[str, str]:
    moved = [(one, words.difference(message.unit, one.moved)) for one in message.contributors]
    parts = [f"{one.dimension} {one.name}: {said}" for one, said in moved]
    none = "" if any(one.apart for one in message.contributors) else "no part stands out, the largest are "
    found = {
        "summary": message.title,
        "description": message.text,
        "contributors": f"{none}{'; '.join(parts)}" if parts else "",
        **{f"{name}_url": address for name, address in message.links.items()},
    }
    return {name: text for name, text in found.items() if text}
