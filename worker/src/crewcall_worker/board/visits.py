"""Who asks, for whatever answers a request: dependencies of FastAPI.

    @router.get("/queues")
    def queues(board: TheBoard, visit: Visitor) -> ...: anybody who is signed in
    @router.post("/queues/{queue}/pause")
    def pause(board: TheBoard, visit: Acting, queue: str) -> ...: and, by a session, from the board's own pages

Whether the role is enough is for `actions`, which refuses, and notes that it did.
"""

from __future__ import annotations

from typing import Annotated, Any

import redis
from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPBearer

from crewcall_worker.board import csrf
from crewcall_worker.board.doors import COOKIE, Visit
from crewcall_worker.board.parts import Board
from crewcall_worker.board.problems import NotSignedIn, Refusal

# They let everybody by, and are there for the OpenAPI document: `doors` does it.
_BEARER = HTTPBearer(
    scheme_name="token", bearerFormat="JWT", auto_error=False, description="A token with the role viewer or operator."
)
_SESSION = APIKeyCookie(
    name=COOKIE,
    scheme_name="session",
    auto_error=False,
    description=f"A browser's session. What changes something takes the page's token as well, in {csrf.HEADER}.",
)


def the_board(request: Request) -> Board:
    """The parts of the board."""
    board: Board = request.app.state.board
    return board


def signed_in(
    request: Request,
    board: Annotated[Board, Depends(the_board)],
    _token: Annotated[Any, Security(_BEARER)],
    _session: Annotated[Any, Security(_SESSION)],
) -> Visit:
    """Whoever asks. Raises `NotSignedIn`, `TooOften`, `Unavailable`."""
    return board.doors.enter(request)


async def acting(request: Request, visit: Annotated[Visit, Depends(signed_in)]) -> Visit:
    """Whoever asks for a change, which no other site made their browser do. Raises `Forbidden` besides."""
    if visit.session is not None:
        await csrf.check_token(request, visit.session)
    return visit


async def may_go_on(request: Request) -> bool:
    """Whether whoever asked is let in still, for a stream that asks now and then; yes where nobody can tell now."""
    try:
        await run_in_threadpool(the_board(request).doors.enter, request)
    except NotSignedIn:
        return False
    except (Refusal, redis.RedisError):
        pass
    return True


TheBoard = Annotated[Board, Depends(the_board)]
Visitor = Annotated[Visit, Depends(signed_in)]
Acting = Annotated[Visit, Depends(acting)]
