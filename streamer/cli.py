"""Here are the commands. Each imports what it needs when it runs, so that --help is quick."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from streamer.readings.query import Query, Reading
    from streamer.settings import Settings

T = TypeVar("T")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamer")
def main() -> None:
    """Real-time contact center metrics, from Kafka to numbers one can trust."""
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


@main.command()
@click.option("--rate", default=2.0, show_default=True, help="Contacts per second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--port", default=8080, show_default=True, help="Of the server; 0 is any free one.")
@click.option("--no-simulator", is_flag=True, help="Start all but the simulated center.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once all is live.")
def demo(rate: float, seed: int, port: int, no_simulator: bool, as_json: bool) -> None:
    """Everything on this machine, with a simulated contact center."""
    from streamer.demo.run import run_demo

    sys.exit(run_demo(rate, seed, port, not no_simulator, as_json))


@main.command()
def worker() -> None:
    """Count events. Start as many as there are partitions."""
    from streamer.app import run_worker

    sys.exit(_run(run_worker))


@main.command()
def serve() -> None:
    """Wallboard, supervisor's page, API and /metrics."""
    from streamer.web.server import serve

    _run(serve)


@main.command()
@click.option("--rate", default=2.0, show_default=True, help="Contacts per second.")
@click.option("--seed", default=1, show_default=True)
def simulate(rate: float, seed: int) -> None:
    """A seeded contact center, publishing to Kafka."""
    from streamer.demo.simulator import simulate

    _run(lambda settings: simulate(settings, rate, seed))


@main.command()
@click.argument("metric")
@click.option("--window", default="1h", show_default=True)
@click.option("--by", default="all", show_default=True, help="Group: all, a dimension or a configured pair.")
@click.option("--key", help="Only this group.")
@click.option("--stat", help='Such as p90; "*" is all. Default: the metric\'s own.')
@click.option("--at", help="The window's end: RFC 3339 or epoch seconds. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of readings.")
def query(
    metric: str, window: str, by: str, key: str | None, stat: str | None, at: str | None, as_json: bool
) -> None:
    """Readings of METRIC as a table."""
    from streamer.readings.query import Query
    from streamer.readings.times import milliseconds

    async def ask(settings: "Settings") -> None:
        end = milliseconds("at", at) if at else None
        asked = Query(now=_now(), metrics=(metric,), windows=(window,), by=by, key=key, stat=stat, at=end)
        readings = await _read(settings, asked)
        _print_json(readings) if as_json else _print_table(readings, settings)

    _run(ask)


@main.command()
def check() -> None:
    """Is all well? A line each, with the fix."""
    from streamer.check import run_check

    sys.exit(_or_exit(lambda: run_check(_settings)))


@main.command()
@click.option("--yes", is_flag=True, help="Switch even if the numbers differ, or Kafka lost some records.")
def rebuild(yes: bool) -> None:
    """Recompute everything from Kafka's beginning, compare, switch."""
    from streamer.rebuild import run_rebuild

    sys.exit(_run(lambda settings: run_rebuild(settings, yes)))


@main.group()
def secret() -> None:
    """Hashes for streamer.toml, of what people and programs log in with."""


@secret.command()
def password() -> None:
    """Ask for a password, print its hash: for [people.NAME]."""
    from streamer.web.credentials import password_hash

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    if not given:
        _exit(2, "expected a password, on the terminal or in the first line of standard input")
    click.echo(f"password = '{password_hash(given)}'")


@secret.command()
def token() -> None:
    """Make a token, print it once, and its hash: for [people.NAME] or [displays.NAME]."""
    from streamer.web.credentials import new_token, token_hash

    made = new_token()
    click.echo(f"the token, shown this once: {made}", err=True)
    click.echo(f"token = '{token_hash(made)}'  # of a display; of a person: tokens = ['…']")


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if something differs.")
def derive(check: bool) -> None:
    """Write what follows from the catalogue and the settings."""
    try:
        from streamer.derived import files
    except ModuleNotFoundError as error:
        _exit(1, f"derive: {error.name} is missing; install streamer with its extra: 'streamer[derive]'")
    root, settings = Path.cwd(), _or_exit(_settings)
    if check:
        differences = files.check(root, settings)
        click.echo("\n".join(differences)) if differences else None
        sys.exit(1 if differences else 0)
    for path, text in _or_exit(lambda: files.derive(root, settings)).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# How a command runs, and how it fails.


def _now() -> int:
    return round(time.time() * 1000)  # noqa: TID251 - the edge of the commands


def _run(command: "Callable[[Settings], Coroutine[Any, Any, T]]") -> T:
    return _or_exit(lambda: asyncio.run(command(_settings())))


def _settings() -> "Settings":
    from streamer.settings import SettingsError, load

    settings = load()
    if not settings.redis.startswith(("redis://", "rediss://", "unix://")):
        # Its value is not shown: it may hold a password.
        raise SettingsError("redis: expected a URL such as redis://127.0.0.1:6379/0")
    return settings


def _or_exit(action: Callable[[], T]) -> T:
    """What is wrong in settings or questions exits 2, what is broken around us 1, with one line; a bug
    keeps its traceback."""
    from streamer.readings.query import QueryError
    from streamer.settings import SettingsError

    try:
        return action()
    except (SettingsError, QueryError) as error:
        _exit(2, str(error))
    except Exception as error:
        if not _foreseen(error):
            raise
        _exit(1, str(error) or type(error).__name__)


def _foreseen(error: Exception) -> bool:
    """What connections raise, and what we raise ourselves."""
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package in ("redis", "aiokafka", "streamer")


def _exit(code: int, line: str) -> NoReturn:
    click.echo(f"streamer: {' '.join(line.split())}", err=True)
    sys.exit(code)


# What `query` reads and prints.


async def _read(settings: "Settings", asked: "Query") -> "list[Reading]":
    from streamer.readings.query import checked
    from streamer.readings.reader import Reader
    from streamer.store.redis import RedisStore

    checked(asked, settings.rules().pairs)
    store = await RedisStore.connect(settings.redis, settings.center)
    try:
        reader = Reader(store, settings)
        await reader.refresh(asked.now)
        return reader.readings(asked)
    finally:
        await store.close()


def _print_json(readings: "list[Reading]") -> None:
    import msgspec

    click.echo(msgspec.json.encode(readings))


def _print_table(readings: "list[Reading]", settings: "Settings") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streamer.readings import display

    if not readings:
        click.echo("no group has data in this window")
        return
    first = readings[0]
    table = Table(title=f"{first.metric}, {first.window}", caption=display.freshness(first.fresh_s))
    for name in (first.by, "stat", "value", "95 % interval", "support", "from", "to"):
        table.add_column(name, justify="right" if name in ("value", "95 % interval", "support") else "left")
    for reading in readings:
        cells = (
            _name(reading, settings),
            reading.stat,
            display.value(reading.value, reading.unit, settings.currency),
            display.interval(reading, settings.currency),
            f"{reading.support:,}",
            reading.from_,
            reading.to,
        )
        table.add_row(*map(Text, cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _name(reading: "Reading", settings: "Settings") -> str:
    """The key, with display names where there are any."""
    from streamer.readings.query import key_parts

    parts = zip(reading.by.split(","), key_parts(reading.by, reading.key), strict=True)
    return (
        ", ".join(settings.names.get(dimension, {}).get(value, value) for dimension, value in parts) or "all"
    )
