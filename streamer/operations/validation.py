"""The one check of all settings, before anything runs. The checks themselves are with what they are about."""

from collections.abc import Iterator
from contextlib import contextmanager

from streamer.alerts.alert_rules import load_alert_rules
from streamer.delivery.endpoint_checks import check_alertmanager, check_receivers
from streamer.delivery.report_sender import check_report
from streamer.settings import Settings, SettingsError
from streamer.settings.places import with_place
from streamer.web.access_checks import check_host, check_users
from streamer.web.view_checks import check_targets, check_views, check_windows
from streamer.web.webhook_secrets import check_secrets


@contextmanager
def _placed_errors() -> Iterator[None]:
    """Add to a SettingsError where the setting is written."""
    try:
        yield
    except SettingsError as error:
        error.args = (with_place(str(error)),)
        raise


@_placed_errors()
def validate(settings: Settings) -> None:
    """Raise SettingsError, one line about the first setting that cannot work.

    Every command that runs or generates something for the center refuses the same settings: those of one
    process are read by the others too.

    >>> validate(Settings(export_windows=["2h"]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    streamer.settings.value_types.SettingsError: export_windows: '2h': expected some of 5m, ...
    """
    check_windows(settings.export_windows)
    check_targets(settings)
    check_views(settings)
    check_users(settings)
    load_alert_rules(settings)
    check_secrets(settings)
    check_receivers(settings)
    check_alertmanager(settings)
    check_report(settings)


def validate_server(settings: Settings) -> None:
    """Raise SettingsError as `validate` does, and for a server off loopback that would let in anybody.

    A worker may listen off loopback without users: it shows the metrics of its own process alone.
    """
    with _placed_errors():
        check_host(settings)
    validate(settings)
