"""Register the known sources, one adapter file each: payloads in, contract events out."""

from collections.abc import Mapping
from typing import Final

from streamer.events.adapters import (
    amazon_connect,
    amazon_connect_events,
    amazon_connect_survey,
    asterisk_ami,
    asterisk_queue_log,
    chatwoot,
    delighted,
    formbricks,
    freeswitch,
    genesys_cloud,
    help_scout,
    twilio,
    wootric,
    zendesk,
)
from streamer.events.adapters.source import SourceAdapter

SOURCES: Final[Mapping[str, SourceAdapter]] = {
    source.name: source
    for source in (
        amazon_connect.SOURCE,
        amazon_connect_events.SOURCE,
        amazon_connect_survey.SOURCE,
        genesys_cloud.SOURCE,
        twilio.SOURCE,
        asterisk_queue_log.SOURCE,
        asterisk_ami.SOURCE,
        freeswitch.SOURCE,
        formbricks.SOURCE,
        delighted.SOURCE,
        wootric.SOURCE,
        zendesk.SOURCE,
        chatwoot.SOURCE,
        help_scout.SOURCE,
    )
}
