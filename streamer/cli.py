"""Commands of `streamer`. Each imports its modules when it runs, so that --help is quick."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from streamer.replay import help as replay_help
from streamer.runtime.choices import expected_choice, similar_names
from streamer.runtime.clock import wall_clock_ms
from streamer.runtime.distribution import DISTRIBUTION, install_command

if TYPE_CHECKING:
    from streamer.readings.query import MetricQuery, Reading
    from streamer.settings import ReportKind, Settings

T = TypeVar("T")
Command = Callable[..., Any]
RATE = click.FloatRange(0, min_open=True)


class SuggestingGroup(click.Group):
    """Group that suggests the command that a misspelt one may be meant for."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, arguments)
        except click.UsageError as error:
            if matches := similar_names(arguments[0], self.list_commands(context)):
                error.message += f" Did you mean {' or '.join(matches)}?"
            raise


@click.group(cls=SuggestingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION)
def main() -> None:
    """Compute real-time contact center metrics from Kafka."""
    import structlog

    from streamer.runtime.terminal import terminal_streams

    click.get_current_context().with_resource(terminal_streams())
    # Without the values of variables, which structlog's own tracebacks show: secrets are among them.
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[*structlog.get_config()["processors"][:-1], renderer],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@main.command()
@click.option("--rate", default=2.0, show_default=True, type=RATE, help="Contacts per second.")
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the server; 0: any free port.",
)
@click.option("--no-simulator", is_flag=True, help="Start everything but the simulated center.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once everything runs.")
def demo(rate: float, seed: int, port: int, no_simulator: bool, as_json: bool) -> None:
    """Run everything on this machine, with a simulated contact center."""
    from streamer.demo.run import run_demo

    sys.exit(run_demo(rate, seed, port, not no_simulator, as_json))


@main.command()
def worker() -> None:
    """Count events. Start up to as many workers as there are partitions."""
    from streamer.worker.run import run_worker

    sys.exit(_run_valid(run_worker))


@main.command()
@click.argument("source", nargs=-1)
def ingest(source: tuple[str, ...]) -> None:
    """Convert payloads of known SOURCEs, in the topics ingest-SOURCE, to events. Default: all of
    [sources]."""
    from streamer.ingest.run import run_ingest

    sys.exit(_run_valid(lambda settings: run_ingest(settings, source)))


@main.command()
@click.argument("name", required=False)
def sources(name: str | None) -> None:
    """List the known sources; of NAME, what it reads and its options."""
    from streamer.events.adapters import SOURCES, source_help

    if name is not None and name not in SOURCES:
        _exit(2, f"{name}: no such source, {expected_choice(name, SOURCES)}")
    click.echo(
        source_help.sources_table(SOURCES) if name is None else source_help.source_page(SOURCES[name]),
        nl=False,
    )


@main.command()
def serve() -> None:
    """Serve wallboard, supervisor's page, API, /metrics, and webhooks of [sources] that have a secret."""
    from streamer.ingest.serve import run_serve

    _run_valid(run_serve, serving=True)


@main.command()
@click.option("--rate", default=2.0, show_default=True, type=RATE, help="Contacts per second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--history", default="28d", show_default=True, help="Length of the simulated past; 0d: none.")
@click.option("--contacts", default=30_000, show_default=True, help="Limit of contacts in the past.")
@click.option("--incident-queue", default="billing", show_default=True, help="Queue in which scores drop.")
@click.option(
    "--incident-after", default="1m", show_default=True, help="Time from the start to the first incident."
)
@click.option("--incident-lasts", default="5m", show_default=True)
@click.option(
    "--incident-every", default="20m", show_default=True, help="Time from one incident's start to the next."
)
def simulate(rate: float, seed: int, history: str, contacts: int, **incident: str) -> None:
    """Simulate a contact center, seeded: publish the last minutes, then live events until Ctrl-C, and the
    older past beside them."""
    from streamer.demo import scenario

    incident_options = {name.removeprefix("incident_"): value for name, value in incident.items()}
    play = _exit_on_error(lambda: scenario.parse_scenario(rate, seed, history, contacts, **incident_options))
    _run(lambda settings: scenario.run_simulation(settings, play))


@main.command(help=replay_help.COMMAND, no_args_is_help=True)
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path(allow_dash=True))
@click.option(
    "--as",
    "form",
    type=click.Choice(["ndjson", "csv", "parquet"]),
    help="Format of FILE. Default: by its name.",
)
@click.option("--format", "format_", metavar="NAME", help="FILE holds payloads of this source.")
@click.option("--map", "map_", metavar="FILE", help="Map of the columns to events.")
@click.option("--topic", metavar="NAME", help="Topic of all rows, if they are events of the contract.")
@click.option(
    "--speed", default="max", show_default=True, help="1: as it happened; 60: a minute in a second."
)
@click.option(
    "--shift-to", metavar="TIME", help="Move all times so that the newest event is at TIME, or now."
)
@click.option("--dry-run", is_flag=True, help="Print the events as lines of JSON, send nothing.")
@click.option("--state", metavar="FOLDER", help="Keep the position in FOLDER, not beside FILE.")
@click.option("--restart", is_flag=True, help="Start over, even if an earlier run was interrupted.")
@click.option("--guess", is_flag=True, help="Print a map for FILE to edit. Sends nothing.")
@click.option("--map-help", is_flag=True, help="Explain maps.")
def replay(files: tuple[str, ...], map_help: bool, guess: bool, **options: Any) -> None:
    from streamer.replay.command import run_command

    if map_help:
        click.echo(replay_help.MAP, nl=False)
        return
    if not files:
        _exit(2, "expected files to replay; - is standard input")
    sys.exit(_exit_on_error(lambda: run_command(_load_settings, files, guess, options)))


@main.command()
@click.argument("metric")
@click.option("--window", help="Such as 15m, today or 7d. Default: now for what is going on now, else 1h.")
@click.option(
    "--by", default="all", show_default=True, help="Grouping: all, a dimension or a configured pair."
)
@click.option("--key", help="Only this group.")
@click.option("--stat", help='Such as p90; "*" is all. Default: the metric\'s own.')
@click.option("--at", help="The window's end: RFC 3339 or epoch seconds. Default: now.")
@click.option("--interval", help="Instead of --window: each 15m, 30m, 1h, 1d, 1w or 1mo of a time.")
@click.option(
    "--from", "since", metavar="TIME", help="First interval: a local day, RFC 3339 or epoch seconds."
)
@click.option(
    "--to", "until", metavar="TIME", help="End of the last interval, itself left out. Default: now."
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of readings.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table")
def query(
    metric: str,
    window: str | None,
    by: str,
    key: str | None,
    stat: str | None,
    at: str | None,
    as_json: bool,
    form: str,
    **calendar: str | None,
) -> None:
    """Print readings of METRIC as a table: over a window, or by the intervals of a time."""
    from streamer.readings.query import MetricQuery, default_windows
    from streamer.readings.query_times import parse_query_time_ms

    async def ask(settings: "Settings") -> None:
        metrics = MetricQuery(
            now=wall_clock_ms(),
            metrics=(metric,),
            windows=(window,) if window else default_windows([metric]),
            by=by,
            key=key,
            stat=stat,
            at=parse_query_time_ms("at", at) if at else None,
        )
        _require_one_time(window or at, **calendar)
        readings, gaps = await _query_readings(settings, metrics, calendar)
        _print_readings(readings, "json" if as_json else form, settings)
        if gaps:
            _exit(1, "; ".join(gaps))

    _run(ask)


@main.command()
@click.argument("kind", type=click.Choice(["daily", "weekly"]))
@click.option("--date", "day", metavar="DAY", help="A day of it: 2026-11-20. Default: the last that is over.")
@click.option("--by", help="Grouping of its table. Default: that of [report].")
@click.option("--to", "folder", default=".", show_default=True, type=click.Path(path_type=Path))
@click.option("--language", type=click.Choice(["en", "es", "zh"]), help="Default: that of [report].")
def report(kind: "ReportKind", day: str | None, by: str | None, folder: Path, language: str | None) -> None:
    """Write a report of a day or a week as HTML and CSV, and print the paths of the files."""
    from streamer.delivery.report_command import run_report

    changes = {name: value for name, value in {"by": by, "language": language}.items() if value}
    for path in _run(lambda settings: run_report(settings, wall_clock_ms(), kind, day, folder, changes)):
        click.echo(path)


@main.command()
def check() -> None:
    """Check settings, Kafka, Redis, clock, workers and receivers; print a fix for each problem."""
    from streamer.operations.doctor import run_check

    sys.exit(_exit_on_error(lambda: run_check(_load_settings)))


@main.command()
@click.option("--yes", is_flag=True, help="Switch even if numbers differ or Kafka deleted records.")
def rebuild(yes: bool) -> None:
    """Recompute everything from Kafka's beginning, compare with the live numbers, switch."""
    from streamer.operations.rebuild import run_rebuild

    sys.exit(_run(lambda settings: run_rebuild(settings, yes)))


@main.command()
@click.argument("customer", required=False)
@click.option("--list", "listed", is_flag=True, help="Only print how many customers are forgotten.")
def forget(customer: str | None, listed: bool) -> None:
    """Erase CUSTOMER, an id or a pseudonym; - reads it from standard input.

    Journeys, contacts and dead letters are deleted, totals are kept. A keyed hash is kept, so that no rebuild
    brings the customer back. Later events of the same id count as a new customer.
    """
    from streamer.operations.forget import run_forget, run_list_forgotten

    if not listed and customer in (None, "-"):
        customer = sys.stdin.readline().rstrip("\n")
    _run(run_list_forgotten if listed else lambda settings: run_forget(settings, customer or ""))


@main.group()
def alerts() -> None:
    """Evaluate, explain and backtest the rules of [alerts]."""


@alerts.command("list")
@click.option("--at", help="As of this moment: RFC 3339 or epoch seconds. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of verdicts, with the open alerts.")
def print_alerts(at: str | None, as_json: bool) -> None:
    """List open alerts, then each rule's verdict on each group, worst first."""
    from streamer.delivery import commands

    click.echo(_run(lambda settings: commands.run_list(settings, wall_clock_ms(), at, as_json)))


@alerts.command("explain")
@click.argument("name")
@click.option("--key", help="Only this group.")
@click.option("--at", help="As of this moment: RFC 3339 or epoch seconds. Default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of explanations.")
def explain_alert(name: str, key: str | None, at: str | None, as_json: bool) -> None:
    """Explain why rule NAME fires or not: its evidence, what would make it fire, and a small chart."""
    from streamer.delivery import commands

    click.echo(_run(lambda settings: commands.run_explain(settings, wall_clock_ms(), name, key, at, as_json)))


@alerts.command("test")
@click.option("--from", "since", metavar="TIME", help="RFC 3339, epoch seconds. Default: a week before --to.")
@click.option("--to", "until", metavar="TIME", help="Default: now.")
@click.option("--rule", "names", metavar="NAME", multiple=True, help="Only this rule; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def test_alerts(since: str | None, until: str | None, names: tuple[str, ...], as_json: bool) -> None:
    """Backtest rules: print when they would have fired on the stored data, and how often by chance alone.

    Nothing is sent. To try a rule before it is in force, write it into a copy of streamer.toml and use that
    file: STREAMER_CONFIG=candidate.toml streamer alerts test. Rules are evaluated every hour, in the last 48
    hours every 5 minutes, on what was counted up to then; late and corrected events as known today.
    """
    from streamer.delivery import commands

    click.echo(
        _run(lambda settings: commands.run_backtest(settings, wall_clock_ms(), since, until, names, as_json))
    )


@alerts.command("try")
@click.argument("receiver")
def try_receiver(receiver: str) -> None:
    """Send a test notification, marked as one, to a RECEIVER of [receivers], and print its answer."""
    from streamer.delivery.receiver import DeliveryFailed
    from streamer.delivery.test_notification import send_test_notification

    outcome = _run(lambda settings: send_test_notification(settings, receiver, wall_clock_ms))
    if isinstance(outcome, DeliveryFailed):
        _exit(1, f"{receiver}: {outcome.reason}")
    click.echo(f"{receiver}: has it, and answered {outcome.status}")


@main.group()
def config() -> None:
    """Show the settings in force, and the schema of streamer.toml."""


@config.command("show")
@click.option("--all", "everything", is_flag=True, help="Also what is at its default.")
def show_config(everything: bool) -> None:
    """Print the settings in force as lines of streamer.toml, each with the place that sets it. Secrets are
    hidden."""
    from streamer.settings.listing import setting_lines

    settings = _exit_on_error(_load_settings)
    for line in setting_lines(settings, everything):
        click.echo(line)


@config.command("schema")
def print_config_schema() -> None:
    """Print the JSON Schema of streamer.toml, for editors that complete and check it."""
    import json

    from streamer.settings.listing import settings_schema

    click.echo(json.dumps(settings_schema(), indent=2, ensure_ascii=False))


@main.group()
def secret() -> None:
    """Make hashes, tokens and keys for streamer.toml."""


@secret.command()
def password() -> None:
    """Ask for a password and print its hash, for [people.NAME]."""
    from streamer.web.credentials import password_hash

    if sys.stdin.isatty():
        plaintext = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        plaintext = sys.stdin.readline().rstrip("\n")
    if not plaintext:
        _exit(2, "expected a password, on the terminal or in the first line of standard input")
    click.echo(f"password = '{password_hash(plaintext)}'")


@secret.command()
def key() -> None:
    """Make a pseudonym key for [customer_keys]."""
    from streamer.worker.forgotten_customers import new_customer_key

    click.echo(new_customer_key())


@secret.command("webhook")
def webhook_secret() -> None:
    """Make a secret for [receivers.NAME], to sign its messages with."""
    from streamer.delivery.webhook import new_secret

    click.echo(new_secret())


@secret.command()
def token() -> None:
    """Make a token, print it once, and its hash, for [people.NAME] or [displays.NAME]."""
    from streamer.web.credentials import new_token, token_hash

    plaintext = new_token()
    click.echo(f"the token, shown this once: {plaintext}", err=True)
    click.echo(f"token = '{token_hash(plaintext)}'  # of a display; of a person: tokens = ['…']")


@main.command()
@click.argument("event", required=False)
def schema(event: str | None) -> None:
    """Print the JSON Schema of an EVENT's data, such as call-completed; without EVENT, AsyncAPI of all
    topics."""
    import json

    from streamer.events.asyncapi import asyncapi_document
    from streamer.events.decoding import TOPICS
    from streamer.events.schema import event_schema

    if event is not None and event not in TOPICS:
        _exit(2, f"{event}: {expected_choice(event, TOPICS)}")
    rules = _exit_on_error(_load_settings).counting_rules()
    document = asyncapi_document(rules) if event is None else event_schema(event, rules)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _letter_filters(quantity: str) -> Callable[[Command], Command]:
    """Return a decorator that adds the options by which dead letters are chosen."""

    def add_options(command: Command) -> Command:
        since = click.option(
            "--since", help=f"{quantity} letters of records since this time: RFC 3339 or epoch seconds."
        )
        topic = click.option("--topic", help=f"{quantity} letters of records of this topic.")
        return click.option("--reason", help=f"{quantity} letters with this reason, such as off-scale.")(
            topic(since(command))
        )

    return add_options


@main.group("dead-letters")
def dead_letters() -> None:
    """List, show, retry, close and export rejected records."""


@dead_letters.command("list")
@_letter_filters("Only")
@click.option("--json", "as_json", is_flag=True, help="Print a list of groups.")
def list_letters(as_json: bool, **filters: Any) -> None:
    """List open letters by reason and topic, with an example of each."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.show_all(settings, commands.parse_letter_filter(**filters), as_json))


@dead_letters.command("show")
@click.argument("coordinates", metavar="TOPIC:PARTITION:OFFSET")
@click.option("--original", is_flag=True, help="Also print the original record, which holds personal data.")
def show_letter(coordinates: str, original: bool) -> None:
    """Show one letter: the reason, and the redacted payload."""
    from streamer.dead_letters import commands

    sys.exit(
        _run(lambda settings: commands.show(settings, commands.parse_letter_filter([coordinates]), original))
    )


@dead_letters.command("retry")
@click.argument("coordinates", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1)
@_letter_filters("All")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option(
    "--set", "sets", metavar="FIELD=JSON", multiple=True, help="Change data, such as answers.nps=9."
)
@click.option("--force", is_flag=True, help="Also send records that would be rejected again.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
def retry_letters(sets: tuple[str, ...], force: bool, dry_run: bool, **filters: Any) -> None:
    """Send rejected records again, unchanged, and close their letters.

    The original is read from Kafka by its coordinates and sent to the same partition with the same key,
    headers and time. It states the same fact, so it is counted once however often it is sent.
    """
    from streamer.dead_letters import commands

    sys.exit(
        _run(
            lambda settings: commands.retry(
                settings, commands.require_letter_filter(**filters), sets, force, dry_run
            )
        )
    )


@dead_letters.command("close")
@click.argument("coordinates", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1)
@_letter_filters("All")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
def close_letters(**filters: Any) -> None:
    """Close letters without sending: the events were sent again by their source, or never will be."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.close(settings, commands.require_letter_filter(**filters)))


@dead_letters.command("export")
@click.argument("file", type=click.Path(allow_dash=True))
@_letter_filters("Only")
@click.option("--original", is_flag=True, help="Include the original records, which hold personal data.")
def export_letters(file: str, original: bool, **filters: Any) -> None:
    """Export open letters to FILE, or - for standard output: a line of JSON each."""
    from streamer.dead_letters import commands

    _run(lambda settings: commands.export(settings, commands.parse_letter_filter(**filters), file, original))


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file differs.")
def generate(check: bool) -> None:
    """Generate the files that follow from catalogue and settings: dashboards, rules, reference."""
    try:
        from streamer.artefacts import generated_files as files
    except ModuleNotFoundError as error:
        _exit(1, f"generate: {error.name} is missing: {install_command('generate')}")
    root, settings = Path.cwd(), _exit_on_error(_load_valid_settings)
    if check:
        differences = _exit_on_error(lambda: files.diff_files(root, settings))
        click.echo("\n".join(differences)) if differences else None
        sys.exit(1 if differences else 0)
    for path, text in _exit_on_error(lambda: files.generate_files(root, settings)).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


main.add_command(  # its former name
    click.Command(
        "derive", callback=generate.callback, params=generate.params, help=generate.help, hidden=True
    )
)

# Running a command, and its errors.


def _run(command: "Callable[[Settings], Coroutine[Any, Any, T]]") -> T:
    return _exit_on_error(lambda: asyncio.run(command(_load_settings())))


def _run_valid(command: "Callable[[Settings], Coroutine[Any, Any, T]]", serving: bool = False) -> T:
    """Run a command if all settings are valid, also those that only other commands use."""
    return _exit_on_error(lambda: asyncio.run(command(_load_valid_settings(serving))))


def _load_valid_settings(serving: bool = False) -> "Settings":
    from streamer.operations.validation import validate, validate_server

    settings = _load_settings()
    validate_server(settings) if serving else validate(settings)
    return settings


def _load_settings() -> "Settings":
    from streamer.settings import load_settings

    return load_settings()


def _exit_on_error(action: Callable[[], T]) -> T:
    """Run an action; on an expected error print one line and exit: 2 for wrong settings or queries, 1 for
    broken infrastructure. A bug keeps its traceback."""
    from streamer.readings.query import QueryError
    from streamer.runtime.redis_errors import redis_error_text
    from streamer.settings import SettingsError

    try:
        return action()
    except (SettingsError, QueryError) as error:
        _exit(2, str(error))
    except Exception as error:
        if not _is_expected(error):
            raise
        is_redis_error = type(error).__module__.startswith("redis.")
        _exit(1, f"Redis: {redis_error_text(error)}" if is_redis_error else _error_text(error))


def _is_expected(error: Exception) -> bool:
    """Tell whether an error comes from a connection or from our own code, not from a bug.

    >>> _is_expected(ConnectionRefusedError("Redis")), _is_expected(KeyError("nps"))
    (True, False)
    """
    package = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError) or package in ("redis", "aiokafka", "streamer")


def _error_text(error: Exception) -> str:
    """Return what went wrong, without the number of an error of the system.

    >>> _error_text(FileNotFoundError(2, "No such file or directory", "calls.csv"))
    'calls.csv: no such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error) or type(error).__name__


def _exit(code: int, line: str) -> NoReturn:
    click.echo(f"streamer: {' '.join(line.split())}", err=True)
    sys.exit(code)


# Readings of `query`.


def _require_one_time(
    of_window: str | None, interval: str | None, since: str | None, until: str | None
) -> None:
    """Require either a window or intervals. Raises QueryError."""
    from streamer.readings.query import QueryError

    if interval and of_window:
        raise QueryError(f"interval = {interval!r}: expected --from and --to instead of --window and --at")
    if (since or until) and not interval:
        raise QueryError("from, to: expected an --interval such as 1d beside them")


async def _query_readings(
    settings: "Settings", metrics: "MetricQuery", calendar: Mapping[str, str | None]
) -> "tuple[Sequence[Reading], list[str]]":
    """Return readings, those of intervals if `calendar` has one, and what none of them answers."""
    import msgspec

    from streamer.delivery.command_reader import open_reader
    from streamer.readings.interval_report import parse_interval_query, validate_interval_query
    from streamer.readings.metric_spans import window_spans
    from streamer.readings.query import validate_query

    pairs, interval = settings.counting_rules().dimension_pairs, calendar["interval"]
    if interval:
        intervals = parse_interval_query(metrics, interval, calendar["since"], calendar["until"])
        validate_interval_query(intervals, pairs, window_spans(settings))
    else:
        validate_query(metrics, pairs)
    async with open_reader(settings, metrics.now) as (_, reader, now_ms):
        metrics = msgspec.structs.replace(metrics, now=now_ms)
        if interval:
            readings = [*reader.intervals(msgspec.structs.replace(intervals, metrics=metrics))]
            return readings, reader.gaps(msgspec.structs.replace(metrics, windows=()))
        return reader.readings(metrics), reader.gaps(metrics)


def _print_readings(readings: "Sequence[Reading]", form: str, settings: "Settings") -> None:
    import msgspec

    from streamer.readings.csv_table import csv_file
    from streamer.readings.interval_report import IntervalReading
    from streamer.readings.query import Reading

    if form == "table":
        _print_table(readings, settings)
    elif form == "csv":
        is_report = any(isinstance(reading, IntervalReading) for reading in readings)
        click.echo(csv_file(IntervalReading if is_report else Reading, readings), nl=False)
    else:
        click.echo(msgspec.json.encode(readings))


def _print_table(readings: "Sequence[Reading]", settings: "Settings") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from streamer.readings import display

    if not readings:
        click.echo("no group has data in this window")
        return
    first = readings[0]
    table = Table(title=f"{first.metric}, {first.window}", caption=display.format_data_age(first.data_age_s))
    for name in (first.by, "stat", "value", "95 % interval", "support", *_time_cells(first, settings)):
        table.add_column(name, justify="right" if name in ("value", "95 % interval", "support") else "left")
    for reading in readings:
        cells = (
            _display_key(reading, settings),
            reading.stat,
            display.format_value(reading.value, reading.unit, settings.currency),
            display.format_interval(reading, settings.currency),
            f"{reading.support:,}",
            *_time_cells(reading, settings).values(),
        )
        table.add_row(*map(Text, cells))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _time_cells(reading: "Reading", settings: "Settings") -> dict[str, str]:
    """Return what a table says of a reading's time, by column; of an interval also its target."""
    from streamer.readings import display
    from streamer.readings.interval_report import IntervalReading
    from streamer.readings.query import dimension_values

    if not isinstance(reading, IntervalReading):
        return {"from": reading.from_, "to": reading.to}
    queue = dimension_values(reading.by, reading.key).get("queue", "")
    zone = settings.zones().get(queue, settings.timezone)
    return {
        "target": display.format_value(reading.target, reading.unit, settings.currency),
        "begins": display.format_local_time(reading.from_, zone),
        "": "" if reading.complete else "in part",
    }


def _display_key(reading: "Reading", settings: "Settings") -> str:
    """Return the group's key, with display names where there are any."""
    from streamer.readings.query import dimension_values

    values = dimension_values(reading.by, reading.key).items()
    return (
        ", ".join(settings.names.get(dimension, {}).get(value, value) for dimension, value in values) or "all"
    )
