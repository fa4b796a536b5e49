"""`streamer query` says what it cannot answer, and fails."""

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.events.counting_rules import MINUTE
from streamer.runtime.clock import wall_clock_ms
from streamer.store.memory import MemoryStore
from streamer.store.redis import RedisStore
from tests.readings.small_center import FINE_MS, SmallCenter, answered, cell


@pytest.fixture
def filled_store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()

    async def connect(*address: object) -> MemoryStore:
        await SmallCenter(store, pairs=()).add({((wall_clock_ms() - MINUTE) // FINE_MS, cell()): answered()})
        return store

    monkeypatch.setattr(RedisStore, "connect", connect)
    return store


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("answered --by queue --key billing", 0, ""),
        ("answered --by queue --key biling", 1, "nothing is known of queue 'biling': is it 'billing'?"),
        ("answered --by queue --key x", 1, "nothing is known of queue 'x'"),
        ("fcr_ratio --window 1h", 1, "fcr_ratio is not read over 1h, but over 7d, 30d, 90d"),
    ],
)
def test_a_question_without_an_answer_fails_and_says_why(
    arguments: str, code: int, said: str, filled_store: MemoryStore
) -> None:
    outcome = CliRunner().invoke(main, ["query", *arguments.split(), "--json"])
    assert (outcome.exit_code, outcome.stderr.strip()) == (code, said and f"streamer: {said}")
    assert outcome.stdout.startswith("[")
