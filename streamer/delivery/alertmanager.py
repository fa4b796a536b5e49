"""Client of Alertmanager's API, version 2: posts alerts; lists, creates and deletes silences."""

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
    """Alertmanager did not answer, or refused the request. The message says why, without its address."""


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class Status(msgspec.Struct, frozen=True):
    state: str


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One silence as Alertmanager's API returns it."""

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
    """Raise SettingsError if delivery.alertmanager is not an http or https URL.

    The address may hold a password: the message does not show it.
    """
    address = settings.delivery.alertmanager
    if address and not address.startswith(("http://", "https://")):
        raise SettingsError(
            "delivery.alertmanager: expected an address such as http://127.0.0.1:9093, without /api"
        )


class Alertmanager:
    """Asynchronous client of one Alertmanager. All methods raise AlertmanagerUnavailable."""

    def __init__(self, address: str, caller: Caller) -> None:
        self._address, self._caller = address.rstrip("/"), caller

    async def tell(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        self._well(await self._ask("POST", "alerts", alerts))

    async def silences(self) -> list[Kept]:
        """Return the silences that are active or pending; expired ones are left out."""
        found = await self._read("GET", "silences", list[Kept])
        return [one for one in found if one.status.state in ("active", "pending")]

    async def silence(self, matchers: Sequence[Matcher], span: tuple[int, int], by: str, comment: str) -> str:
        """Create a silence and return its id. `span` is its start and end, ms since the epoch."""
        asked = {
            "matchers": matchers,
            "startsAt": moment(span[0]),
            "endsAt": moment(span[1]),
            "createdBy": by,
            "comment": comment,
        }
        return (await self._read("POST", "silences", Made, asked)).id

    async def unsilence(self, name: str) -> None:
        """Expire a silence. One that is unknown to Alertmanager, or over already, counts as expired."""
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
            raise AlertmanagerAway("not a response of Alertmanager, or too long") from None

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
    """Return a time (ms since the epoch) in RFC 3339, in UTC, as Alertmanager expects it.

    >>> moment(1_795_255_203_000)
    '2026-11-21T10:00:03.000+00:00'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


# The JSON that Alertmanager receives for an alert.


def told(alert: Alert, message: Message, ends_at: int) -> dict[str, Any]:
    """Return the body of one alert for POST /alerts. `message` is the one sent when the alert fired."""
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
    """Return the labels that identify an alert in Alertmanager. They never hold anything of a customer."""
    return {
        "alertname": message.rule,
        "severity": message.severity,
        "metric": message.metric,
        "by": message.by,
        **dimensions(message.by, message.key),
    }


def annotations(message: Message) -> dict[str, str]:
    """Return what a person reads of an alert: summary, text, largest contributors, links. No empty ones."""
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
