"""Client of Alertmanager's API, version 2: posts alerts; lists, creates and deletes silences."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from streamer.alerts import formatting
from streamer.alerts.alert_message import AlertMessage
from streamer.alerts.states import Alert
from streamer.delivery.http_client import HttpClient, HttpResponse
from streamer.readings.query import dimension_values

TIMEOUT_S: Final = 10.0
MAX_RESPONSE_BYTES: Final = 8_000_000
_JSON: Final = {"content-type": "application/json"}
T = TypeVar("T")


class AlertmanagerUnavailable(Exception):  # noqa: N818 - names the state
    """Alertmanager did not answer, or refused the request. The message says why, without its address."""


class SilenceMatcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class SilenceStatus(msgspec.Struct, frozen=True):
    state: str


class AlertmanagerSilence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One silence as Alertmanager's API returns it."""

    id: str
    matchers: tuple[SilenceMatcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str = ""
    comment: str = ""
    status: SilenceStatus


class VersionInfo(msgspec.Struct, frozen=True):
    version: str


class AlertmanagerInfo(msgspec.Struct, frozen=True, rename="camel"):
    version_info: VersionInfo


class CreatedSilence(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="silenceID")


class AlertmanagerClient:
    """Asynchronous client of one Alertmanager. All methods raise AlertmanagerUnavailable."""

    def __init__(self, address: str, http: HttpClient) -> None:
        self._address, self._http = address.rstrip("/"), http

    async def post_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        self._require_success(await self._request("POST", "alerts", alerts))

    async def list_silences(self) -> list[AlertmanagerSilence]:
        """Return the silences that are active or pending; expired ones are left out."""
        silences = await self._fetch("GET", "silences", list[AlertmanagerSilence])
        return [silence for silence in silences if silence.status.state in ("active", "pending")]

    async def create_silence(
        self, matchers: Sequence[SilenceMatcher], span: tuple[int, int], by: str, comment: str
    ) -> str:
        """Create a silence and return its id. `span` is its start and end, ms since the epoch."""
        request = {
            "matchers": matchers,
            "startsAt": to_rfc3339(span[0]),
            "endsAt": to_rfc3339(span[1]),
            "createdBy": by,
            "comment": comment,
        }
        return (await self._fetch("POST", "silences", CreatedSilence, request)).id

    async def delete_silence(self, silence_id: str) -> None:
        """Expire a silence. One that is unknown to Alertmanager, or over already, counts as expired."""
        response = await self._request("DELETE", f"silence/{quote(silence_id, safe='')}")
        if response.status not in (
            HTTPStatus.NOT_FOUND,
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ):
            self._require_success(response)

    async def version(self) -> str:
        return (await self._fetch("GET", "status", AlertmanagerInfo)).version_info.version

    async def _fetch(self, method: str, path: str, kind: type[T], body: object = None) -> T:
        response = self._require_success(await self._request(method, path, body))
        try:
            return msgspec.json.decode(response.body, type=kind)
        except msgspec.DecodeError:
            raise AlertmanagerUnavailable("not a response of Alertmanager, or too long") from None

    def _require_success(self, response: HttpResponse) -> HttpResponse:
        if not response.is_success:
            raise AlertmanagerUnavailable(f"answered {response.status}")
        return response

    async def _request(self, method: str, path: str, body: object = None) -> HttpResponse:
        payload = b"" if body is None else msgspec.json.encode(body)
        url = f"{self._address}/api/v2/{path}"
        try:
            async with asyncio.timeout(TIMEOUT_S):
                response = await self._http.request(method, url, payload, _JSON, MAX_RESPONSE_BYTES)
        except TimeoutError:
            raise AlertmanagerUnavailable(f"no answer in {TIMEOUT_S:.0f} s") from None
        if isinstance(response, HttpResponse):
            return response
        raise AlertmanagerUnavailable(response.reason)


def to_rfc3339(ms: int) -> str:
    """Return a time (ms since the epoch) in RFC 3339, in UTC, as Alertmanager expects it.

    >>> to_rfc3339(1_795_255_203_000)
    '2026-11-21T10:00:03.000+00:00'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


# The JSON that Alertmanager receives for an alert.


def alert_payload(alert: Alert, message: AlertMessage, ends_at: int) -> dict[str, Any]:
    """Return the body of one alert for POST /alerts. `message` is the one sent when the alert fired."""
    assert alert.fired_at is not None
    links = message.links
    payload = {
        "labels": alert_labels(message),
        "annotations": alert_annotations(message),
        "startsAt": to_rfc3339(alert.fired_at),
        "endsAt": to_rfc3339(ends_at),
    }
    return payload | ({"generatorURL": links["explain"]} if "explain" in links else {})


def alert_labels(message: AlertMessage) -> dict[str, str]:
    """Return the labels that identify an alert in Alertmanager. They never hold anything of a customer."""
    return {
        "alertname": message.rule,
        "severity": message.severity,
        "metric": message.metric,
        "by": message.by,
        **dimension_values(message.by, message.key),
    }


def alert_annotations(message: AlertMessage) -> dict[str, str]:
    """Return what a person reads of an alert: summary, text, largest contributors, links. No empty ones."""
    differences = [
        (contributor, formatting.format_difference(message.unit, contributor.moved))
        for contributor in message.contributors
    ]
    parts = [
        f"{contributor.dimension} {contributor.name}: {difference}" for contributor, difference in differences
    ]
    prefix = (
        ""
        if any(contributor.apart for contributor in message.contributors)
        else "no part stands out, the largest are "
    )
    texts = {
        "summary": formatting.inert(message.title),
        "description": formatting.inert(message.text),
        "contributors": formatting.inert(f"{prefix}{'; '.join(parts)}") if parts else "",
        **{f"{name}_url": address for name, address in message.links.items()},
    }
    return {name: text for name, text in texts.items() if text}
