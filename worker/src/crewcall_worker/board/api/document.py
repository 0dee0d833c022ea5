"""The OpenAPI document of the API: every answer that it may give, refusals included."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

from crewcall_worker.board.problems import PROBLEM_JSON, Problem
from crewcall_worker.board.visits import TheBoard, Visitor

_ALWAYS = {
    401: "Nobody knows who asks: there is no token, and no session.",
    422: "What is asked cannot be understood; the detail says why.",
    429: "Too many failed attempts from this address. Retry-After tells in seconds when to try again.",
    503: "Redis, or the issuer of tokens, does not answer. Try again.",
}
_OF_ONE = {404: "It is not there, or not any more."}
_OF_A_CHANGE = {
    400: "The body is no JSON.",
    403: "The role is viewer, the board is read only, or the request came from another site.",
    409: "It is there, but in a state in which that cannot be done.",
    413: "The body is too large.",
}

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, board: TheBoard, visit: Visitor) -> JSONResponse:
    """The document itself."""
    del visit
    return JSONResponse(make_document(request.app) | {"servers": [{"url": board.prefix or "/"}]})


def make_document(app: FastAPI) -> dict[str, Any]:
    """Of all routes of the application that are to be in it; it is made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = Problem.model_json_schema()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            told = dict(_ALWAYS)
            if "{" in path:
                told |= _OF_ONE
            if method != "get":
                told |= _OF_A_CHANGE
            operation["responses"] |= {str(code): _refusal(words) for code, words in sorted(told.items())}
    return document


def methods_at(app: FastAPI, path: str) -> list[str]:
    """What may be asked of a path of the API, as the document has it."""
    return sorted(
        {
            method.upper()
            for template, operations in make_document(app)["paths"].items()
            if re.fullmatch(_pattern(template), path)
            for method in operations
        }
    )


def _pattern(template: str) -> str:
    """Of the paths that are meant. A job's id may have slashes in it."""
    return re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(template).replace(r"\{job_id\}", ".+"))


def _refusal(words: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {PROBLEM_JSON: {"schema": schema}}}
