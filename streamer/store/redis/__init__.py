"""State store in Redis or Valkey."""

from streamer.store.redis.connection import FormerLayout, StoreUnfit, connect
from streamer.store.redis.former_layout import FormerLayoutStore, SupersedingGeneration
from streamer.store.redis.shared_documents import RedisDocument, RedisRegistry
from streamer.store.redis.staged_generation import RedisGeneration
from streamer.store.redis.store import RedisStore, ServerInfo

__all__ = [
    "FormerLayout",
    "FormerLayoutStore",
    "RedisDocument",
    "RedisGeneration",
    "RedisRegistry",
    "RedisStore",
    "ServerInfo",
    "StoreUnfit",
    "SupersedingGeneration",
    "connect",
]
