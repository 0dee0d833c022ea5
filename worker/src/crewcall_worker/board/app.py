"""The board as an ASGI application: its parts put together.

    make_app(settings)             for a server of one's own
    crewcall-worker board          which is that, by uvicorn: see `serving`

Pages are under <prefix>/admin/queues, the API is under <prefix>/api/admin. Nothing but the login, what it looks like
and the probes answers whom nobody knows.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from crewcall_worker.board import api, login, pages, probes
from crewcall_worker.board.headers import HEADERS, Prefix, SecurityHeaders, SmallBodies
from crewcall_worker.board.pages.static import static_files
from crewcall_worker.board.parts import Board, make_board
from crewcall_worker.board.problems import PROBLEM_JSON, NotSignedIn, Problem, Refusal, Unavailable
from crewcall_worker.board.settings import BoardSettings
from crewcall_worker.board.templating import PAGES, render

API = "/api/admin"

log = logging.getLogger(__name__)


def make_app(settings: BoardSettings) -> FastAPI:
    """The application; it connects when it is first asked. Raises `BadSetting`."""
    board = make_board(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        yield
        board.close()

    app = FastAPI(
        title="Crewcall",
        description="Queues, jobs, pools and scaling decisions; and what can be done about them.",
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.board = board
    app.state.readiness = probes.Readiness(board.client)
    app.include_router(probes.router)
    app.include_router(login.router)
    app.include_router(api.router, prefix=API)
    app.mount(f"{PAGES}/static", static_files())
    app.include_router(pages.make_router())
    for path in ("/", "/admin", "/admin/", f"{PAGES}/"):
        app.add_api_route(path, _home, methods=["GET"], include_in_schema=False)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(redis.RedisError, _redis_away)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(Exception, _failed)
    app.add_middleware(SmallBodies, tell=_refused)
    app.add_middleware(Prefix, prefix=settings.prefix)
    app.add_middleware(SecurityHeaders)
    return app


def _home(request: Request) -> Response:
    return RedirectResponse(f"{request.app.state.board.prefix}{PAGES}", status_code=303)


def _refused(request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, Refusal) else Refusal(str(error))
    if isinstance(refusal, NotSignedIn) and not _is_api(request):
        return _sent_to_login(request)
    return _told(request, refusal.problem, refusal.headers)


def _redis_away(request: Request, error: Exception) -> Response:
    log.warning("%s %s: %s", request.method, request.url.path, error)
    refusal = Unavailable("Redis does not do what is asked of it; the board's log tells more. Try again soon")
    return _told(request, refusal.problem, refusal.headers)


def _misunderstood(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    words = "; ".join(f"{'.'.join(str(part) for part in it['loc'])}: {it['msg']}" for it in found[:10])
    return _told(request, Problem(title="Unprocessable Content", status=422, detail=words or str(error)), {})


def _refused_by_framework(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    problem = Problem(title=error.detail, status=error.status_code, detail=f"{error.detail}: {request.url.path}")
    headers = dict(error.headers or {})
    if error.status_code == 405 and _is_api(request):
        # The framework names the methods of one route, and others may be at the same path.
        headers["Allow"] = ", ".join(api.document.methods_at(request.app, _path(request)))
    return _told(request, problem, headers)


def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    problem = Problem(title="Internal Server Error", status=500, detail="the board failed; its log tells more")
    return _told(request, problem, dict(HEADERS))  # it is outside of what else would put them on it


def _told(request: Request, problem: Problem, headers: dict[str, str]) -> Response:
    if _is_api(request):
        return JSONResponse(problem.model_dump(), problem.status, headers, PROBLEM_JSON)
    page = render(request, "problem.html", title=problem.title, words=problem.detail)
    return HTMLResponse(page, problem.status, headers)


def _sent_to_login(request: Request) -> Response:
    board: Board = request.app.state.board
    path = _path(request)
    asked = f"{path}?{request.url.query}" if request.url.query and request.method == "GET" else path
    address = login.login_address(board, asked if request.method == "GET" else PAGES)
    if "hx-request" in request.headers:
        # A part of a page: the whole of it goes to the login, and comes back to the page that it is on.
        address = login.login_address(board, PAGES)
        return Response(status_code=401, headers={"HX-Redirect": address, "WWW-Authenticate": "Bearer"})
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    return RedirectResponse(address, status_code=303)


def _path(request: Request) -> str:
    """Without the prefix."""
    return request.url.path.removeprefix(request.app.state.board.prefix)


def _is_api(request: Request) -> bool:
    return _path(request).startswith(("/api/", "/healthz", "/readyz"))
