"""The pages: each as a page, as its live part alone, and as a stream of that.

/admin/queues/q/sms            the page
/admin/queues/fragment/q/sms   its live part, for browsers whose stream is broken
/admin/queues/stream/q/sms     its live part whenever it looks different
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.responses import StreamingResponse

from crewcall_worker.board.pages import asking, looks, said
from crewcall_worker.board.pages.chart import chart
from crewcall_worker.board.pages.looks import Look
from crewcall_worker.board.reading.jobs import id_of
from crewcall_worker.board.reading.pools import read_history
from crewcall_worker.board.stream import Hub, TooManyStreams
from crewcall_worker.board.templating import PAGES, Addresses, render
from crewcall_worker.board.visits import TheBoard, Visitor, may_go_on

#: A page's path, and who tells what it shows.
_LOOKS: tuple[tuple[str, Callable[..., Look]], ...] = (
    ("", looks.overview),
    ("/pools/{pool:path}", looks.pool),
    ("/q/{queue:path}", looks.queue),
    ("/jobs/{job_id:path}", looks.job),
    ("/dead", looks.dead),
    ("/schedules", looks.schedules),
    ("/audit", looks.audit),
    ("/search", looks.searched),
)
_OF_A_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def make_router() -> APIRouter:
    """All pages, with streams of their own."""
    router = APIRouter(prefix=PAGES, include_in_schema=False)
    hub = Hub()
    for path, look in _LOOKS:
        _add(router, hub, path, look)
    router.add_api_route("/history/{pool:path}", _history, methods=["GET"])
    router.add_api_route("/tables/{pool:path}", _tables, methods=["GET"])
    all_pages = APIRouter()
    all_pages.include_router(asking.router)
    all_pages.include_router(router)
    return all_pages


def _add(router: APIRouter, hub: Hub, path: str, look: Callable[..., Look]) -> None:
    asked = Depends(look)

    def page(request: Request, board: TheBoard, visit: Visitor, shown: Look = asked) -> Response:
        context = shown.read(board.source) | shown.read_once(board.source)
        link = Addresses(board.prefix)
        if shown.name == "search" and context["found"].job is not None:
            found = context["found"].job.job
            return RedirectResponse(link("jobs", id_of(found), queue=found.queue), status_code=303)
        words = said.take_said(request)
        may_act = board.actions.may_act(visit)
        response = HTMLResponse(
            render(request, f"{shown.name}.html", look=shown, visit=visit, may_act=may_act, said=words, **context)
        )
        if words:
            said.forget(response, link())
        return response

    def fragment(request: Request, board: TheBoard, visit: Visitor, shown: Look = asked) -> Response:
        return HTMLResponse(_live(request, shown, may_act=board.actions.may_act(visit)))

    async def stream(request: Request, board: TheBoard, visit: Visitor, shown: Look = asked) -> Response:
        visitor = visit.session.id if visit.session else visit.address
        try:
            hub.check(visitor)
        except TooManyStreams as error:
            return PlainTextResponse(str(error), 503, {"Retry-After": "30"})

        may_act = board.actions.may_act(visit)
        live = partial(_live, request, shown, may_act=may_act)
        events = hub.listen((shown.key, may_act), live, partial(may_go_on, request), visitor)
        return StreamingResponse(events, headers=_OF_A_STREAM, media_type="text/event-stream")

    router.add_api_route(path, page, methods=["GET"])
    router.add_api_route(f"/fragment{path}", fragment, methods=["GET"])
    router.add_api_route(f"/stream{path}", stream, methods=["GET"])


def _live(request: Request, look: Look, *, may_act: bool) -> str:
    source = request.app.state.board.source
    return render(request, f"{look.name}_live.html", look=look, may_act=may_act, **look.read(source))


def _history(board: TheBoard, visit: Visitor, pool: str) -> Response:
    """What the charts of a pool draw."""
    del visit
    return JSONResponse(chart(read_history(board.source, pool)))


def _tables(request: Request, board: TheBoard, visit: Visitor, pool: str) -> Response:
    """The same in tables."""
    history = read_history(board.source, pool)
    return HTMLResponse(render(request, "pool_tables.html", visit=visit, history=history))
