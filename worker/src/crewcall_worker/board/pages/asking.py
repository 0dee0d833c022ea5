"""Actions from the pages: asked about first, in a dialog or on a page of their own, and then done.

    GET  /admin/queues/confirm/pause?queue=sms   the question
    POST /admin/queues/act/pause                 the deed; then back to where it was asked from

An action on very many jobs is done in goes of two seconds each; between them a page says how far it is, and goes on by
itself where scripts run.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from crewcall_worker.board.csrf import form_of
from crewcall_worker.board.pages import said
from crewcall_worker.board.pages.deeds import Answer, act
from crewcall_worker.board.pages.questions import ask
from crewcall_worker.board.pages.target import MOST_IDS, Target
from crewcall_worker.board.problems import Forbidden
from crewcall_worker.board.templating import PAGES, Addresses, render
from crewcall_worker.board.visits import Acting, TheBoard, Visitor

LONGEST = 400
Name = Annotated[str, Query(max_length=LONGEST)]

router = APIRouter(prefix=PAGES, include_in_schema=False)


@router.get("/confirm/{action}")
def confirm(
    request: Request,
    board: TheBoard,
    visit: Visitor,
    action: str,
    queue: Name = "",
    state: Name = "",
    id: Annotated[tuple[str, ...], Query(max_length=MOST_IDS)] = (),  # noqa: A002 - the name in the address
    job: Name = "",
    organization: Name = "",
    error: Name = "",
    pool: Name = "",
    worker: Name = "",
) -> Response:
    """What is asked before an action: its form alone for a dialog, else a page."""
    if not board.actions.may_act(visit):
        why = "this board is read only" if board.actions.is_read_only else f"{visit.person.subject} is a viewer"
        raise Forbidden(f"{why}; nothing can be changed")
    on = Target(queue, state, id, job, organization, error, pool, worker)
    question = ask(action, on, board.source)
    template = "confirm_form.html" if "hx-request" in request.headers else "confirm.html"
    return HTMLResponse(
        render(
            request,
            template,
            title=question.title,
            visit=visit,
            action=action,
            on=on,
            question=question,
            back=_back(Addresses(board.prefix), on),
        )
    )


@router.post("/act/{action}")
async def do(request: Request, board: TheBoard, visit: Acting, action: str) -> Response:
    """Do it."""
    form = await form_of(request)
    on = Target(
        _of(form, "queue"),
        _of(form, "state"),
        tuple(str(id_) for id_ in form.getlist("id"))[: MOST_IDS + 1],
        _of(form, "job"),
        _of(form, "organization"),
        _of(form, "error"),
        _of(form, "pool"),
        _of(form, "worker"),
    )
    answer = Answer(_of(form, "reason"), _of(form, "replicas"), _of(form, "cursor"))
    reply = await run_in_threadpool(act, action, board.actions, visit, on, answer)
    link = Addresses(board.prefix)
    if reply.cursor is not None:
        return HTMLResponse(
            render(
                request,
                "going_on.html",
                title="Going on",
                visit=visit,
                action=action,
                on=on,
                reply=reply,
                back=_back(link, on),
            )
        )
    response = RedirectResponse(_back(link, on), status_code=303)
    said.say(response, reply.words, link(), is_secure=board.doors.is_secure(request))
    return response


def _back(link: Addresses, on: Target) -> str:
    if on.pool:
        return link("pools", on.pool)
    if on.queue:
        return link("q", on.queue, state=on.state, job=on.job, organization=on.organization, error=on.error)
    return link()


def _of(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value[:LONGEST] if isinstance(value, str) else ""
