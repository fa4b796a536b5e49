"""Settings: read streamer.toml and the environment (STREAMER_*, which wins), and validate them."""

from streamer.settings.access import DisplaySettings, ProxySettings, UserSettings
from streamer.settings.kafka import KafkaSettings
from streamer.settings.loader import ignored_variables, load_settings
from streamer.settings.model import CENTER_KEY_ID, Settings
from streamer.settings.named_tables import (
    AlertSettings,
    DeliverySettings,
    ReceiverSettings,
    Severity,
    SourceSettings,
)
from streamer.settings.reports import MailSettings, ReportKind, ReportLanguage, ReportSettings
from streamer.settings.value_types import SettingsError
from streamer.settings.wallboard import DEFAULT_TARGETS, ViewSettings

__all__ = [
    "CENTER_KEY_ID",
    "DEFAULT_TARGETS",
    "AlertSettings",
    "DeliverySettings",
    "DisplaySettings",
    "KafkaSettings",
    "MailSettings",
    "ProxySettings",
    "ReceiverSettings",
    "ReportKind",
    "ReportLanguage",
    "ReportSettings",
    "Settings",
    "SettingsError",
    "Severity",
    "SourceSettings",
    "UserSettings",
    "ViewSettings",
    "ignored_variables",
    "load_settings",
]  # fmt: skip
