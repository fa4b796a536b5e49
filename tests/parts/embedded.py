"""The demo's embedded broker and store, as servers of the tests."""

from streamer.demo.embedded import _broker_binary, _store_binary
from tests.parts.broker import Broker
from tests.parts.redis_server import RedisServer


class EmbeddedBroker(Broker):
    """Tansu. It keeps its records in memory and forgets them."""

    keeps_records = False

    def command(self) -> list[str]:
        listen = [f"--listener-url=tcp://{self.address}", f"--advertised-listener-url=tcp://{self.address}"]
        return [_broker_binary(), "broker", *listen, "--storage-engine=memory://tansu/"]


class EmbeddedStore(RedisServer):
    """Valkey, configured as Redis is."""

    def binary(self) -> str:
        return _store_binary()
