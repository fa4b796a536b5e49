"""Texts of `streamer sources`: the list of known sources, and the page of each."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from streamer.events.adapters.source import SourceAdapter
from streamer.events.raw_topics import raw_topic

_LINE_LENGTH: Final = 100
_MOST_ROWS: Final = 4
"""Event names of one meaning up to which each has a row of its own."""


def sources_table(sources: Mapping[str, SourceAdapter]) -> str:
    """Return the list of sources by name and title, with the next commands to run."""
    width = max(map(len, sources)) + 2
    rows = "\n".join(f"  {source.name:<{width}}{source.title}" for source in sources.values())
    return f"""\
Known sources

{rows}

The fields, caveats and options of a source:
  streamer sources NAME
Check a file of payloads, without sending anything:
  streamer replay --format NAME FILE --dry-run
Live: send the payloads as they are to the Kafka topic {raw_topic("NAME")}, or let
the vendor post them to /ingest/NAME of `streamer serve`, and start
  streamer ingest NAME

Not supported: Qualtrics and SurveyMonkey. Their webhooks carry only ids;
the answers must be fetched by API. Fetch them yourself and publish
survey-completed, or replay an export with --map.
"""


def source_page(source: SourceAdapter) -> str:
    """Return the page of a source: help, default options, topic and commands."""
    kind = "a line of text" if source.form == "line" else "a JSON object"
    return f"""\
{source.name}: {source.title}

{source.help.rstrip()}
{_event_table(source.event_names)}
In streamer.toml, with the defaults
  [sources.{source.name}]
{_options_toml(source.options)}

Raw topic    {raw_topic(source.name)}, each record {kind}
Dry run      streamer replay --format {source.name} FILE --dry-run
Webhooks     POST /ingest/{source.name} of `streamer serve`, once [sources.{source.name}] has a secret
Live         streamer ingest {source.name}
"""


def _event_table(event_names: Mapping[str, str]) -> str:
    """Return a section with all event names of a source, or nothing where it has none.

    Names that many others share a meaning with are listed below it, the others before it.
    """
    if not event_names:
        return ""
    names_by_meaning: dict[str, list[str]] = {}
    for name, meaning in event_names.items():
        names_by_meaning.setdefault(meaning, []).append(name)
    rows = [name for name, meaning in event_names.items() if len(names_by_meaning[meaning]) <= _MOST_ROWS]
    width = max(map(len, rows), default=0)
    room = max(30, _LINE_LENGTH - width - 4)
    lines = ["", "Events, and what each is read as"]
    for name in rows:
        first, *others = textwrap.wrap(event_names[name], room, break_on_hyphens=False)
        lines += [f"  {name:<{width}}  {first}", *(f"{'':<{width + 4}}{line}" for line in others)]
    for meaning, names in names_by_meaning.items():
        if len(names) > _MOST_ROWS:
            lines += textwrap.indent(textwrap.fill(meaning, _LINE_LENGTH - 2), "  ").splitlines()
            lines += textwrap.indent(
                textwrap.fill(" ".join(names), _LINE_LENGTH - 4, break_on_hyphens=False), "    "
            ).splitlines()
    return "\n".join([*lines, ""])


def _options_toml(options: Mapping[str, Any]) -> str:
    lines = [f"  {name} = {_toml_value(value)}" for name, value in options.items()]
    return "\n".join(lines) or "  # this source has no options of its own"


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(name)} = {_toml_value(of)}" for name, of in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
