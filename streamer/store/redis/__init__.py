"""State store in Redis or Valkey."""

from streamer.store.redis.connection import FormerLayout, StoreUnfit, connect
from streamer.store.redis.former_layout import FormerLayoutStore, SupersedingGeneration
from streamer.store.redis.shared_documents import CustomerRegistry, LeasedDocument, TokenDocument
from streamer.store.redis.staged_generation import StagedGeneration
from streamer.store.redis.store import GenerationSuperseded, RedisStore, ServerInfo

__all__ = [
    "CustomerRegistry",
    "FormerLayout",
    "FormerLayoutStore",
    "GenerationSuperseded",
    "LeasedDocument",
    "RedisStore",
    "ServerInfo",
    "StagedGeneration",
    "StoreUnfit",
    "SupersedingGeneration",
    "TokenDocument",
    "connect",
]
