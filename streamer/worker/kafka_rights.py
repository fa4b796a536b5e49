"""Rights of this user at the brokers: which of those that a process needs it does not have."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from streamer.events.decoding import DEAD_LETTER_TOPIC, TOPICS
from streamer.events.raw_topics import raw_topic
from streamer.settings import KafkaSettings, Settings
from streamer.worker.kafka_connection import KafkaUnavailable, open_admin

_OPERATION_CODES: Final = {"Read": 3, "Write": 4}
"""Codes of Kafka's AclOperation."""
_DESCRIBE: Final = 8
"""Code of the operation that is allowed on every topic that is told of at all."""


class NeededRight(NamedTuple):
    """Right that a process needs: an operation of Kafka's ACLs on a topic or a group.

    >>> str(NeededRight("Read", "topic", "survey-sent"))
    'read topic survey-sent'
    """

    operation: str
    resource: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation.lower()} {self.resource} {self.name}"


class MissingRights(KafkaUnavailable):
    """Rights that this user does not have, and the command that grants the first of them."""

    def __init__(self, kafka: KafkaSettings, rights: Sequence[NeededRight]) -> None:
        user = kafka.sasl_username or kafka.sasl_oauth_client_id
        who = f"user {user}" if user else "this client"
        addresses = kafka.bootstrap_servers
        super().__init__(
            f"Kafka at {addresses}: {who} may not {', '.join(map(str, rights))}: no ACL allows it",
            f"kafka-acls.sh --bootstrap-server {addresses} --add --allow-principal User:{user or 'NAME'} "
            f"--operation {rights[0].operation} --{rights[0].resource} {rights[0].name}",
        )


def worker_rights(settings: Settings) -> list[NeededRight]:
    """Return the rights that `streamer worker` needs."""
    names = settings.kafka.names
    return [
        *(NeededRight("Read", "topic", names.on_broker(topic)) for topic in TOPICS),
        NeededRight("Write", "topic", names.on_broker(DEAD_LETTER_TOPIC)),
        NeededRight("Read", "group", settings.kafka.group_id(settings.consumer_group)),
    ]


def ingest_rights(settings: Settings, sources: Iterable[str]) -> list[NeededRight]:
    """Return the rights that `streamer ingest` needs for these sources; none without any."""
    names, raw_topics = settings.kafka.names, list(map(raw_topic, sources))
    if not raw_topics:
        return []
    return [
        *(NeededRight("Read", "topic", names.on_broker(topic)) for topic in raw_topics),
        *(NeededRight("Write", "topic", names.on_broker(topic)) for topic in (*TOPICS, DEAD_LETTER_TOPIC)),
        NeededRight("Read", "group", settings.kafka.group_id(f"{settings.consumer_group}-ingest")),
    ]


async def require_rights(kafka: KafkaSettings, needed: Sequence[NeededRight]) -> None:
    """Return if this user has these rights, or the broker does not tell. Nothing is read or written. Raises
    MissingRights, and KafkaUnavailable."""
    async with open_admin(kafka) as admin:
        missing = await _missing_topic_rights(admin, [right for right in needed if right.resource == "topic"])
        missing += [
            right for right in needed if right.resource == "group" and not await _may_join(admin, right.name)
        ]
    if missing:
        raise MissingRights(kafka, missing)


async def _missing_topic_rights(
    admin: AIOKafkaAdminClient, needed: Sequence[NeededRight]
) -> list[NeededRight]:
    """Return the rights that are missing. A topic that does not exist needs none yet."""
    try:
        response = await admin._send_request(RightsRequest(sorted({right.name for right in needed})))
    except IncompatibleBrokerVersion:
        return []
    missing_codes = {}
    for topic in response.to_object()["topics"]:
        if topic["error_code"] == TopicAuthorizationFailedError.errno:
            missing_codes[topic["topic"]] = set(_OPERATION_CODES.values())
        elif topic["error_code"] == NoError.errno and topic["authorized_operations"] & 1 << _DESCRIBE:
            allowed = topic["authorized_operations"]
            missing_codes[topic["topic"]] = {
                code for code in _OPERATION_CODES.values() if not allowed & 1 << code
            }
    return [
        right for right in needed if _OPERATION_CODES[right.operation] in missing_codes.get(right.name, ())
    ]


async def _may_join(admin: AIOKafkaAdminClient, group: str) -> bool:
    try:
        await admin.find_coordinator(group)
    except GroupAuthorizationFailedError:
        return False
    except KafkaError:  # there may be no coordinator before the first group
        return True
    return True


def name_missing_right(error: BaseException, kafka: KafkaSettings) -> BaseException:
    """Return MissingRights for the refusal of a topic or group that is read; other errors as they are.

    >>> error = TopicAuthorizationFailedError("survey-sent")
    >>> name_missing_right(error, KafkaSettings()).problem
    'Kafka at 127.0.0.1:9092: this client may not read topic survey-sent: no ACL allows it'
    """
    resources = {TopicAuthorizationFailedError: "topic", GroupAuthorizationFailedError: "group"}
    if type(error) not in resources or not error.args:
        return error
    names = [error.args[0]] if isinstance(error.args[0], str) else sorted(error.args[0])
    return MissingRights(kafka, [NeededRight("Read", resources[type(error)], name) for name in names])


class RightsResponse(Response):  # type: ignore[misc]
    """Kafka's MetadataResponse, version 8: aiokafka has only versions that do not tell the rights."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(
                ("node_id", Int32),
                ("host", String("utf-8")),
                ("port", Int32),
                ("rack", String("utf-8")),
            ),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class RightsRequestStruct(RequestStruct):  # type: ignore[misc]
    """Kafka's MetadataRequest, version 8."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = RightsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class RightsRequest(Request[RightsRequestStruct]):  # type: ignore[misc]
    """Request for what this user may do with topics; it creates none."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[RightsRequestStruct]) -> RightsRequestStruct:
        return request_struct_class(self._topics, False, False, True)
