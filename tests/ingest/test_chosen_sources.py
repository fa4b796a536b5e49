"""Selection of the sources to read, from the command line or the settings."""

import pytest
from click.testing import CliRunner

from streamer.cli import main
from streamer.ingest.run import select_sources
from streamer.settings import SettingsError, SourceSettings, load_settings


def test_all_sources_of_the_settings_are_read_where_none_is_named() -> None:
    sources = {"delighted": SourceSettings(), "amazon-connect": SourceSettings()}
    assert select_sources(load_settings(sources=sources), []) == ["amazon-connect", "delighted"]
    assert select_sources(load_settings(sources=sources), ["zendesk", "zendesk"]) == ["zendesk"]


def test_an_unknown_source_is_named_and_none_at_all_is_asked_for() -> None:
    with pytest.raises(SettingsError, match="avaya: no such source"):
        select_sources(load_settings(), ["delighted", "avaya"])
    with pytest.raises(SettingsError, match=r"expected `streamer ingest NAME` or \[sources.NAME\]"):
        select_sources(load_settings(), [])


def test_the_command_says_so_in_one_line() -> None:
    done = CliRunner().invoke(main, ["ingest", "avaya"])
    assert done.exit_code == 2
    assert done.output.startswith("streamer: avaya: no such source, expected one of amazon-connect, ")
