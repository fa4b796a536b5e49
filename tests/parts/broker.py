"""Base of both brokers of the tests: they answer Kafka's metadata request."""

from abc import ABC

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streamer.settings import KafkaSettings
from tests.parts.server import Server


class Broker(Server, ABC):
    keeps_records: bool
    """Whether records are still there after a restart."""

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=self.address)

    async def answers(self) -> bool:
        client = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=2000)
        try:
            await client.start()
            return bool((await client.describe_cluster())["brokers"])
        except KafkaError:
            return False
        finally:
            await client.close()
