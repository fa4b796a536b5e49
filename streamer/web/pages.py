"""Serve the pages and their static files, read once at start, so that a page is always of one version."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from streamer.metrics.catalogue import CATALOGUE
from streamer.metrics.target_verdict import TARGET_CONDITIONS

STATIC: Final = Path(__file__).parent / "static"

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=utf-8",
}


class StaticFile(NamedTuple):
    """A static file in memory. `etag` is a hash of its content, in quotes."""

    body: bytes
    media_type: str
    etag: str


def load_files() -> dict[str, StaticFile]:
    """Read every file below STATIC, by its path there; `samples.js` is made from the catalogue,
    `target_conditions.js` from the definition of the verdict."""
    paths = (path for path in sorted(STATIC.rglob("*")) if path.is_file() and path.suffix in MEDIA_TYPES)
    files = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in paths}
    files["samples.js"] = _module(_sample_nouns())
    files["target_conditions.js"] = _module(TARGET_CONDITIONS)
    return {path: _static_file(path, body) for path, body in files.items()}


def _static_file(path: str, body: bytes) -> StaticFile:
    return StaticFile(body, MEDIA_TYPES[Path(path).suffix], f'"{sha256(body).hexdigest()[:32]}"')


def _module(data: object) -> bytes:
    return b"export default " + msgspec.json.encode(data)


def _sample_nouns() -> dict[str, str | None]:
    """Return the noun for the sample of each metric; None for a count, which is its own."""
    return {
        name: metric.sample_noun if metric.has_observations else None for name, metric in CATALOGUE.items()
    }


def files_version(files_by_path: Mapping[str, StaticFile]) -> str:
    """Return a hash over all files. Open pages reload themselves when it changes."""
    manifest = "".join(f"{path} {file.etag}\n" for path, file in sorted(files_by_path.items()))
    return sha256(manifest.encode()).hexdigest()[:16]


def page_routes(files_by_path: Mapping[str, StaticFile]) -> list[Route]:
    async def wall(request: Request) -> Response:
        return _file_response(request, files_by_path["wall.html"])

    async def supervisor(request: Request) -> Response:
        return _file_response(request, files_by_path["supervisor.html"])

    async def views(request: Request) -> Response:
        return _file_response(request, files_by_path["views.html"])

    async def static(request: Request) -> Response:
        file = files_by_path.get(request.path_params["path"])
        if file is None:
            raise HTTPException(404)
        return _file_response(request, file)

    return [
        Route("/", wall),
        Route("/supervisor", supervisor),
        Route("/views", views),
        Route("/static/{path:path}", static),
    ]


def _file_response(request: Request, file: StaticFile) -> Response:
    """Answer with a file, or 304 if the browser has it: browsers revalidate it on each use."""
    headers = {"etag": file.etag, "cache-control": "no-cache"}
    client_etags = [
        tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
    ]
    if file.etag in client_etags:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
