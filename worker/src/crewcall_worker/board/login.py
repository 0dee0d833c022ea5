"""Logging in and out with a browser. No page but the login is open to whoever comes."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from crewcall_worker.board import csrf
from crewcall_worker.board.parts import Board
from crewcall_worker.board.problems import NotSignedIn, TooOften, Unavailable
from crewcall_worker.board.sessions import Session
from crewcall_worker.board.templating import PAGES, render
from crewcall_worker.board.tokens import LONGEST_TOKEN
from crewcall_worker.board.visits import Acting, TheBoard

router = APIRouter(prefix="/admin", include_in_schema=False)


@router.get("/login")
def show_login(request: Request, board: TheBoard, ticket: str = "", next: str = PAGES) -> Response:  # noqa: A002
    """The form; with a ticket, what comes after it."""
    if not ticket:
        return _form(request, board, next)
    try:
        session = board.doors.log_in_by_ticket(request, ticket)
    except (NotSignedIn, TooOften) as error:
        return _form(request, board, next, str(error), int(error.status))
    return _let_in(request, board, session, next)


@router.post("/login")
def log_in(
    request: Request,
    board: TheBoard,
    token: Annotated[str, Form(max_length=LONGEST_TOKEN)] = "",
    next: Annotated[str, Form()] = PAGES,  # noqa: A002
) -> Response:
    """A session for a token."""
    csrf.check_origin(request)
    try:
        session = board.doors.log_in(request, token)
    except (NotSignedIn, TooOften, Unavailable) as error:
        return _form(request, board, next, str(error), int(error.status))
    return _let_in(request, board, session, next)


@router.post("/logout")
def log_out(request: Request, board: TheBoard, visit: Acting) -> Response:
    """The session is over, here and on every replica."""
    board.doors.log_out(visit)
    response = RedirectResponse(f"{board.prefix}/admin/login", status_code=303)
    board.doors.take_back(request, response)
    return response


def is_own(path: str) -> bool:
    """Whether somebody may be sent there after logging in: to a page of the board, and nowhere else."""
    if re.fullmatch(r"/admin/[A-Za-z0-9/._~%?&=:+-]*", path) is None or "//" in path or "/." in path:
        return False
    # A browser takes "%2e" in a path for a dot.
    meant = unquote(path.partition("?")[0])
    return "//" not in meant and "/." not in meant and "\\" not in meant


def login_address(board: Board, path: str) -> str:
    """The login's address for somebody who asked for this path, without the prefix."""
    return f"{board.prefix}/admin/login" + (f"?{urlencode({'next': path})}" if is_own(path) and path != PAGES else "")


def _let_in(request: Request, board: Board, session: Session, path: str) -> Response:
    response = RedirectResponse(board.prefix + (path if is_own(path) else PAGES), status_code=303)
    board.doors.hand_out(request, response, session)
    return response


def _form(request: Request, board: Board, path: str, problem: str = "", status: int = 200) -> HTMLResponse:
    page = render(
        request,
        "login.html",
        action=f"{board.prefix}/admin/login",
        next=path if is_own(path) else PAGES,
        problem=problem,
        has_issuer=board.settings.issuer is not None,
    )
    return HTMLResponse(page, status_code=status)
