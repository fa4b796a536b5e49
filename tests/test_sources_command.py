"""Tests: `streamer sources` lists the known sources and what each reads."""

import tomllib

import pytest
from click.testing import CliRunner, Result

from streamer.cli import main
from streamer.events.adapters import SOURCES
from streamer.events.raw_topics import raw_topic
from streamer.settings import SettingsError, load_settings


def sources(*names: str) -> Result:
    return CliRunner().invoke(main, ["sources", *names])


def test_every_source_is_listed_with_its_title_in_80_columns() -> None:
    printed = sources().output.splitlines()
    assert max(map(len, printed)) <= 80
    for source in SOURCES.values():
        assert f"{source.name} {source.title}" in [" ".join(line.split()) for line in printed]


def test_the_list_says_how_to_try_a_source() -> None:
    printed = sources().output
    for command in ("streamer sources NAME", "streamer replay --format NAME FILE --dry-run", "ingest-NAME"):
        assert command in printed


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_has_the_help_and_how_to_try_it(name: str) -> None:
    found = sources(name)
    assert found.exit_code == 0
    assert SOURCES[name].help.rstrip() in found.output
    assert f"streamer replay --format {name} FILE --dry-run" in found.output
    assert raw_topic(name) in found.output


@pytest.mark.parametrize("name", SOURCES)
def test_the_defaults_on_a_page_are_toml_that_changes_nothing(name: str) -> None:
    _, _, rest = sources(name).output.partition("In streamer.toml, with the defaults\n")
    own = tomllib.loads(rest.partition("\nRaw topic")[0])["sources"]
    assert own == {name: SOURCES[name].options}
    assert load_settings(sources=own).source_options(name) == SOURCES[name].options


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("freswitch", "did you mean freeswitch"),
        ("Zendesk", "did you mean zendesk"),
        ("amazon_connect", "did you mean amazon-connect or amazon-connect-events or amazon-connect-survey"),
        ("xyz", "expected one of amazon-connect, "),
        ("", "expected one of amazon-connect, "),
    ],
)
def test_an_unknown_name_exits_2_with_one_line_of_near_names(name: str, near: str) -> None:
    found = sources(name)
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert near in found.stderr


@pytest.mark.parametrize(
    ("name", "option", "fits", "does_not"),
    [
        ("freeswitch", "customers", False, 0),
        ("freeswitch", "least_digits", 6, True),
        ("freeswitch", "least_digits", 6, "6"),
        ("freeswitch", "outcomes", {"TIMEOUT": "voicemail"}, ["TIMEOUT"]),
        ("asterisk-ami", "external_contexts", ["out"], "out"),
    ],
)
def test_an_option_of_another_kind_than_its_default_is_refused_at_the_start(
    name: str, option: str, fits: object, does_not: object
) -> None:
    assert load_settings(sources={name: {option: fits}}).source_options(name)[option] == fits
    with pytest.raises(SettingsError, match=f"{name}.{option}.*streamer sources {name}"):
        load_settings(sources={name: {option: does_not}})


@pytest.mark.parametrize("name", SOURCES)
def test_a_page_lists_every_event_name_and_what_it_is_read_as_in_100_columns(name: str) -> None:
    event_names = SOURCES[name].event_names
    printed = sources(name).output
    assert ("Events, and what each is read as" in printed) == bool(event_names)
    _, _, rest = printed.partition("Events, and what each is read as\n")
    table, _, _ = rest.partition("\nIn streamer.toml")
    listed = " ".join(table.split())
    for meaning in {*event_names.values()}:
        names = [event_name for event_name in event_names if event_names[event_name] == meaning]
        if len(names) > 4:
            assert f"{meaning} {' '.join(names)}" in listed
        else:
            assert all(f"{event_name} {meaning}" in listed for event_name in names)
    assert [line for line in table.splitlines() if len(line) > 100] == []
