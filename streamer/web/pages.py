"""Serve the pages and their static files, read once at start, so that a page is always of one version."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STATIC: Final = Path(__file__).parent / "static"

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=utf-8",
}


class File(NamedTuple):
    """A static file in memory. `etag` is a hash of its content, in quotes."""

    body: bytes
    media_type: str
    etag: str


def files() -> dict[str, File]:
    """Read every file below STATIC, by its path there."""
    paths = (path for path in sorted(STATIC.rglob("*")) if path.is_file() and path.suffix in TYPES)
    return {path.relative_to(STATIC).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> File:
    body = path.read_bytes()
    return File(body, TYPES[path.suffix], f'"{sha256(body).hexdigest()[:32]}"')


def version(found: Mapping[str, File]) -> str:
    """Return a hash over all files. Open pages reload themselves when it changes."""
    told = "".join(f"{path} {file.etag}\n" for path, file in sorted(found.items()))
    return sha256(told.encode()).hexdigest()[:16]


def routes(found: Mapping[str, File]) -> list[Route]:
    async def wall(request: Request) -> Response:
        return _answer(request, found["wall.html"])

    async def supervisor(request: Request) -> Response:
        return _answer(request, found["supervisor.html"])

    async def static(request: Request) -> Response:
        file = found.get(request.path_params["path"])
        if file is None:
            raise HTTPException(404)
        return _answer(request, file)

    return [
        Route("/", wall),
        Route("/supervisor", supervisor),
        Route("/static/{path:path}", static),
    ]


def _answer(request: Request, file: File) -> Response:
    """Answer with a file, or 304 if the browser has it: browsers revalidate it on each use."""
    headers = {"etag": file.etag, "cache-control": "no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)
