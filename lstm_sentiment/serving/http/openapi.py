"""The OpenAPI schema, and the page /docs that shows it without a network.

The schema is of version 3.0, which every tool reads; FastAPI and pydantic write version 3.1.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, Response
from swagger_ui_bundle import swagger_ui_path

from lstm_sentiment.serving.http.settings import Settings

VERSION = "3.0.3"
FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
SETUP = "setup.js"
# Swagger UI sets styles from scripts. Its validator would send the schema to another server.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>lstm_sentiment API</title>
<link rel="stylesheet" href="docs/{FILES[0]}">
<link rel="icon" href="docs/{FILES[2]}">
</head>
<body>
<div id="api"></div>
<script src="docs/{FILES[1]}"></script>
<script src="docs/{SETUP}"></script>
</body>
</html>
"""
SCRIPT = """SwaggerUIBundle({url: "openapi.json", dom_id: "#api", validatorUrl: null});
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    """Return the page that shows the API."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/docs/{name}")
async def file(name: str) -> Response:
    """Return a file of the page."""
    if name == SETUP:
        return Response(SCRIPT, media_type="text/javascript")
    if name not in FILES:
        raise HTTPException(404)
    return FileResponse(Path(str(swagger_ui_path), name))


def schema_maker(app: FastAPI, settings: Settings) -> Callable[[], dict[str, Any]]:
    """Return the function that makes the schema of an application, once."""
    make = app.openapi
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(as_version_3_0(make()), openapi=VERSION)
            if settings.token is not None:
                made["components"]["securitySchemes"] = {
                    "token": {"type": "http", "scheme": "bearer"}
                }
                made["security"] = [{"token": []}]
        return made

    return openapi


def as_version_3_0(value: Any) -> Any:
    """Return a part of a schema of version 3.1 as in version 3.0."""
    if isinstance(value, list):
        return [as_version_3_0(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {key: as_version_3_0(item) for key, item in value.items()}
    if isinstance(examples := converted.get("examples"), list):
        del converted["examples"]
        converted["example"] = examples[0]
    if NULL in converted.get("anyOf", ()):
        others = [item for item in converted.pop("anyOf") if item != NULL]
        # A reference may have nothing beside it.
        single = others[0] if len(others) == 1 and "$ref" not in others[0] else None
        converted |= {"nullable": True, **(single or _alternatives(others))}
    return converted


NULL = {"type": "null"}


def _alternatives(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    return {"allOf": schemas} if len(schemas) == 1 else {"anyOf": schemas}
