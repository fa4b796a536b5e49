"""The index of the wallboard's views: `/api/v1/views`."""

from collections.abc import Iterator
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.alerts.formatting import group_name
from streamer.panes.pane_keys import ALL
from streamer.readings.reader import MetricsReader
from streamer.runtime.clock import Clock
from streamer.settings import Settings, ViewSettings
from streamer.web.api import json_response
from streamer.web.stream import require_view_access

PATH: Final = "/api/v1/views"


class ViewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A view: its groups by their display names (empty: the whole center), its tiles by label or metric,
    and the displays that show it."""

    name: str
    title: str
    by: str
    groups: list[str]
    tiles: list[str]
    window: str
    displays: list[str]


def view_routes(reader: MetricsReader, settings: Settings, clock: Clock) -> list[Route]:
    async def list_views(request: Request) -> Response:
        """Answer with the views that the user may open."""

        def visible() -> Iterator[ViewEntry]:
            for name, view in settings.all_views().items():
                try:
                    require_view_access(request.scope["person"], view, reader, clock())
                except HTTPException:
                    continue
                yield _view_entry(name, view, settings)

        return json_response([*visible()])

    return [Route(PATH, list_views)]


def _view_entry(name: str, view: ViewSettings, settings: Settings) -> ViewEntry:
    figures = view.figure_tiles
    return ViewEntry(
        name=name,
        title=view.title,
        by=view.shown_groups[0][0] if view.shown_groups else ALL,
        groups=[group_name(settings.names, by, key) for by, key in view.shown_groups],
        tiles=[
            figures[tile].label or figures[tile].metric if tile in figures else tile for tile in view.tiles
        ],
        window=view.window,
        displays=[display for display, shown in settings.displays.items() if shown.view == name],
    )
