"""The page at `/` and its files, with headers that restrict what a browser does with them."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parents[1] / "page"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# The page loads its own files only, and answers of the service never become markup or code.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # browsers ask whether their copy is still the newest
}


def page_routes() -> list[Route]:
    """Return the routes of the page and of each of its files, `/page/...`.

    The files are read once. There are no other routes, so no path leads out of the folder.
    """
    files = sorted(file for file in FOLDER.iterdir() if file.suffix in MEDIA_TYPES)
    routes = [Route(f"/page/{file.name}", _answer(file)) for file in files if file.name != INDEX]
    return [Route("/", _answer(FOLDER / INDEX)), *routes]


def _answer(file: Path) -> Callable[[Request], Response]:
    """Return the function that answers requests for a file."""
    content, media_type = file.read_bytes(), MEDIA_TYPES[file.suffix]
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**HEADERS, "ETag": tag}

    def answer(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return answer
