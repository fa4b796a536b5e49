"""Settings of reports, and of the mail server that sends them."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator

from streamer.settings.value_types import Duration, check_web_address

ReportLanguage = Literal["en", "es", "zh"]
ReportKind = Literal["daily", "weekly"]
_NO_ADDRESS = " \t\r\n,;<>"


def _check_mail_address(value: str) -> str:
    name, _, domain = value.partition("@")
    if not name or not domain or "@" in domain or set(value) & {*_NO_ADDRESS}:
        raise ValueError("an address such as floor@example.com")
    return value


MailAddress = Annotated[str, AfterValidator(_check_mail_address)]


class MailSettings(BaseModel):
    """[mail]: the server that mail is sent by."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    host: str = ""
    """Name or address of the SMTP server. Empty: no mail is sent."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """Port of the SMTP server: usually 587 with `starttls`, 465 with `tls`, 25 with `none`."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`tls`: encrypted from the first byte; `starttls`: encrypted once connected, or nothing is sent;
    `none`: readable on the way, for a server on this machine."""
    tls_ca_cert_file: Path | None = None
    """Certificates of the authorities that the server's own must come from, PEM. Not set: those of this
    system."""
    user: str = ""
    """User to log in as. Empty: no log-in."""
    password: SecretStr | None = None
    """Password of the user."""
    from_: Annotated[MailAddress, Field(alias="from")] = "streamer@localhost"
    """Address that mail comes from."""
    timeout: Duration = timedelta(seconds=30)
    """Time to wait for the server."""


class ReportSettings(BaseModel, extra="forbid"):
    """[report]: reports that `streamer serve` sends by itself, each once, whichever server is leader."""

    send: list[ReportKind] = []
    """Reports to send: `daily` each day about the day before, `weekly` each Monday about the week before."""
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "07:00"
    """Time of day in the center's time zone. A report waits until all of its time is counted."""
    by: str = "queue"
    """Grouping of its table: a dimension or a configured pair."""
    metrics: list[str] = [
        "contacts", "nps_score", "csat_ratio", "service_level_ratio", "wait_time_seconds", "abandon_ratio",
        "handle_time_seconds", "transfer_ratio",
    ]  # fmt: skip
    """Metrics that it shows, where they are read by day or week."""
    language: ReportLanguage = "en"
    """Language of its words."""
    folder: Path | None = None
    """Folder that its files are written to, HTML and CSV. Not set: none."""
    mail: list[MailAddress] = []
    """Addresses that it is mailed to, by [mail]."""
    webhook: Annotated[SecretStr, AfterValidator(check_web_address)] | None = None
    """Address that it is posted to, as JSON that holds HTML and CSV. It may hold a secret, so no error shows
    it."""

    @field_validator("metrics")
    @classmethod
    def _require_metrics(cls, metrics: list[str]) -> list[str]:
        if not metrics:
            raise ValueError("one metric or more")
        return metrics
