"""State store in Redis or Valkey."""

from streamer.store.redis.connection import FormerLayout, StoreUnfit, connect
from streamer.store.redis.former import FormerNumbers, SupersedingGeneration
from streamer.store.redis.generations import StagedGeneration
from streamer.store.redis.shared import CustomerRegistry, LeasedDocument, TokenDocument
from streamer.store.redis.store import RedisStore, ServerFacts, Superseded

__all__ = [
    "CustomerRegistry",
    "FormerLayout",
    "FormerNumbers",
    "LeasedDocument",
    "RedisStore",
    "ServerFacts",
    "StagedGeneration",
    "StoreUnfit",
    "Superseded",
    "SupersedingGeneration",
    "TokenDocument",
    "connect",
]
