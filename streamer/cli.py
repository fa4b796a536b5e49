"""Here are the commands. Each imports what it needs when it runs, so that --help is quick."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from streamer.replay import help as replay_help

if TYPE_CHECKING:
    from streamer.readings.query import Query, Reading
    from streamer.settings import Settings

T = TypeVar("T")
Command = Callable[..., Any]


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
    from streamer.worker.run import run_worker

    sys.exit(_run(run_worker))


@main.command()
@click.argument("source", nargs=-1)
def ingest(source: tuple[str, ...]) -> None:
    """Publish as events what known SOURCEs send to the topics ingest-SOURCE. Default: all of [sources]."""
    from streamer.ingest.run import run_ingest

    sys.exit(_run(lambda settings: run_ingest(settings, source)))


@main.command()
@click.argument("name", required=False)
def sources(name: str | None) -> None:
    """The known sources; of NAME what it reads, and its options."""
    from streamer.events.adapters import SOURCES, listing

    if name is not None and name not in SOURCES:
        _exit(2, listing.unknown(name, SOURCES))
    click.echo(listing.table(SOURCES) if name is None else listing.page(SOURCES[name]), nl=False)


@main.command()
def serve() -> None:
    """Wallboard, supervisor's page, API, /metrics; webhooks of those of [sources] that have a secret."""
    from streamer.ingest.serving import run_serve

    _run(run_serve)


@main.command()
@click.option("--rate", default=2.0, show_default=True, help="Contacts per second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--history", default="28d", show_default=True, help="How far back its past reaches; 0d: none.")
@click.option("--contacts", default=9_000, show_default=True, help="Of the past, at most: a part of it.")
@click.option("--incident-queue", default="billing", show_default=True, help="Where scores drop.")
@click.option("--incident-after", default="1m", show_default=True, help="From the start on.")
@click.option("--incident-lasts", default="5m", show_default=True)
@click.option("--incident-every", default="20m", show_default=True, help="From one's start to the next.")
def simulate(rate: float, seed: int, history: str, contacts: int, **incident: str) -> None:
    """A seeded contact center, publishing to Kafka: its past at once, then live until Ctrl-C."""
    from streamer.demo import playing

    named = {name.removeprefix("incident_"): value for name, value in incident.items()}
    play = _or_exit(lambda: playing.play(rate, seed, history, contacts, **named))
    _run(lambda settings: playing.simulate(settings, play))


@main.command(help=replay_help.COMMAND, no_args_is_help=True)
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option("--as", "form", type=click.Choice(["ndjson", "csv", "parquet"]), help="Whatever the name says.")
@click.option("--format", "format_", metavar="NAME", help="Payloads of this source.")
@click.option("--map", "map_", metavar="FILE", help="What the columns mean.")
@click.option("--topic", metavar="NAME", help="Of all rows, where they are the contract's events.")
@click.option("--speed", default="max", show_default=True, help="1 as it happened, 60 a minute in a second.")
@click.option("--shift-to", metavar="TIME", help="Move all times: the newest event at TIME, or now.")
@click.option("--dry-run", is_flag=True, help="Print what would be sent, a line of JSON each. No Kafka.")
@click.option("--state", metavar="FOLDER", help="Keep the position there, not beside FILE.")
@click.option("--restart", is_flag=True, help="Begin anew, wherever an interrupted command stopped.")
@click.option("--guess", is_flag=True, help="Print a map for FILE, to be edited. Sends nothing.")
@click.option("--map-help", is_flag=True, help="Explain maps.")
def replay(files: tuple[str, ...], map_help: bool, guess: bool, **options: Any) -> None:
    from streamer.replay.command import run_command

    if map_help:
        click.echo(replay_help.MAP, nl=False)
        return
    if not files:
        _exit(2, "expected files to replay; - is standard input")
    sys.exit(_or_exit(lambda: run_command(_settings, files, guess, options)))


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


@main.command()
@click.argument("customer", required=False)
@click.option("--list", "listed", is_flag=True, help="Only say how many are forgotten.")
def forget(customer: str | None, listed: bool) -> None:
    """Erase CUSTOMER, an id or a pseudonym; - reads it from standard input.

    Journeys, contacts and dead letters go, totals stay. A keyed hash stays, so that no rebuild brings
    the customer back; what comes later of the same id is somebody new.
    """
    from streamer.forget import run_forget, run_list

    if not listed and customer in (None, "-"):
        customer = sys.stdin.readline().rstrip("\n")
    _run(run_list if listed else lambda settings: run_forget(settings, customer or ""))


@main.group()
def alerts() -> None:
    """What the rules of [alerts] say of the numbers, and why."""


@alerts.command("list")
@click.option("--at", help="As of this moment: RFC 3339 or epoch seconds. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of verdicts, with the alerts that stand.")
def list_alerts(at: str | None, as_json: bool) -> None:
    """What stands, then every rule's verdict on each of its groups, the worst first."""
    from streamer.delivery import commands

    click.echo(_run(lambda settings: commands.list_alerts(settings, _now(), at, as_json)))


@alerts.command("explain")
@click.argument("name")
@click.option("--key", help="Of this group only.")
@click.option("--at", help="As of this moment: RFC 3339 or epoch seconds. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of explanations.")
def explain_alert(name: str, key: str | None, at: str | None, as_json: bool) -> None:
    """Why the rule NAME fires or does not: what it rests on, what would have to be, and a small chart."""
    from streamer.delivery import commands

    click.echo(_run(lambda settings: commands.explain(settings, _now(), name, key, at, as_json)))


@alerts.command("test")
@click.option("--from", "since", metavar="TIME", help="RFC 3339, epoch seconds. Default: a week before --to.")
@click.option("--to", "until", metavar="TIME", help="Default: now.")
@click.option("--rule", "names", metavar="NAME", multiple=True, help="Only this one; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def test_alerts(since: str | None, until: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """When rules would have fired over what is stored, and how often chance alone may have done so.

    Nobody is told anything. To try a rule before it is in force, write it into a copy of streamer.toml and
    name that one: STREAMER_CONFIG=candidate.toml streamer alerts test. Every hour is looked at, of the last
    48 hours every 5 minutes, with what was counted up to then; late and corrected events as known today.
    """
    from streamer.delivery import commands

    click.echo(_run(lambda settings: commands.rehearse(settings, _now(), since, until, names, as_json)))


@alerts.command("try")
@click.argument("receiver")
def try_receiver(receiver: str) -> None:
    """Send a test, which says that it is one, to one RECEIVER of [receivers], and print what it answered."""
    from streamer.delivery.receiver import Failed
    from streamer.delivery.trial import tried

    answered = _run(lambda settings: tried(settings, receiver, _now))
    if isinstance(answered, Failed):
        _exit(1, f"{receiver}: {answered.reason}")
    click.echo(f"{receiver}: has it, and answered {answered.status}")


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
def key() -> None:
    """Make a key for [customer_keys], which hides customers' ids."""
    from streamer.privacy import new_key

    click.echo(new_key())


@secret.command("webhook")
def webhook_secret() -> None:
    """Make a secret for [receivers.NAME], which its messages are signed with."""
    from streamer.delivery.webhook import new_secret

    click.echo(new_secret())


@secret.command()
def token() -> None:
    """Make a token, print it once, and its hash: for [people.NAME] or [displays.NAME]."""
    from streamer.web.credentials import new_token, token_hash

    made = new_token()
    click.echo(f"the token, shown this once: {made}", err=True)
    click.echo(f"token = '{token_hash(made)}'  # of a display; of a person: tokens = ['…']")


@main.command()
@click.argument("event", required=False)
def schema(event: str | None) -> None:
    """The JSON Schema of an EVENT's data, such as call-completed; without one, AsyncAPI of all topics."""
    import json

    from streamer.events.asyncapi import asyncapi
    from streamer.events.decoding import TOPICS
    from streamer.events.schema import event_schema

    if event is not None and event not in TOPICS:
        _exit(2, f"{event}: expected one of {', '.join(TOPICS)}")
    rules = _or_exit(_settings).rules()
    found = asyncapi(rules) if event is None else event_schema(event, rules)
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _which_letters(much: str) -> Callable[[Command], Command]:
    """The options that choose some of the dead letters."""

    def choose(command: Command) -> Command:
        since = click.option("--since", help=f"{much} of records since then: RFC 3339 or epoch seconds.")
        topic = click.option("--topic", help=f"{much} of records of this topic.")
        return click.option("--reason", help=f"{much} of this reason, such as off-scale.")(
            topic(since(command))
        )

    return choose


@main.group("dead-letters")
def dead_letters() -> None:
    """What was rejected: look at it, send it again after a fix."""


@dead_letters.command("list")
@_which_letters("Only")
@click.option("--json", "as_json", is_flag=True, help="Print a list of groups.")
def list_letters(as_json: bool, **chosen: Any) -> None:
    """What is open, by reason and topic, with an example of each."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.show_all(settings, commands.choice(**chosen), as_json))


@dead_letters.command("show")
@click.argument("coordinates", metavar="TOPIC:PARTITION:OFFSET")
@click.option("--original", is_flag=True, help="Also the record itself, which holds personal data.")
def show_letter(coordinates: str, original: bool) -> None:
    """One letter: why, and the redacted payload."""
    from streamer.dead_letters import commands

    sys.exit(_run(lambda settings: commands.show(settings, commands.choice([coordinates]), original)))


@dead_letters.command("retry")
@click.argument("coordinates", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1)
@_which_letters("All")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option("--set", "sets", metavar="FIELD=JSON", multiple=True, help="Other data, such as answers.nps=9.")
@click.option("--force", is_flag=True, help="Also what would be rejected again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
def retry_letters(sets: tuple[str, ...], force: bool, dry_run: bool, **chosen: Any) -> None:
    """Send rejected records again, as they were, and close their letters.

    The original is fetched from Kafka by its coordinates, and sent to the same partition with the same key,
    headers and time. It states the same fact, so however often it is sent it is counted once.
    """
    from streamer.dead_letters import commands

    sys.exit(_run(lambda settings: commands.retry(settings, commands.some(**chosen), sets, force, dry_run)))


@dead_letters.command("close")
@click.argument("coordinates", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1)
@_which_letters("All")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
def close_letters(**chosen: Any) -> None:
    """Close letters and send nothing: who wrote the events has sent them again, or nobody will."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.close(settings, commands.some(**chosen)))


@dead_letters.command("export")
@click.argument("file", type=click.Path(allow_dash=True))
@_which_letters("Only")
@click.option("--original", is_flag=True, help="With the records themselves, which hold personal data.")
def export_letters(file: str, original: bool, **chosen: Any) -> None:
    """All that are open to FILE, or - for standard output: a line of JSON each."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.export(settings, commands.choice(**chosen), file, original))


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
        differences = _or_exit(lambda: files.check(root, settings))
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
    from streamer.readings.query import dimensions

    parts = dimensions(reading.by, reading.key).items()
    return (
        ", ".join(settings.names.get(dimension, {}).get(value, value) for dimension, value in parts) or "all"
    )
