"""The static files: open to all, for the login page needs them, and nothing in them is anybody's."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from crewcall_worker.board.templating import STATIC


class StaticForGood(StaticFiles):
    """Their addresses change with their content: a browser need not ask again."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def static_files() -> StaticFiles:
    """To be mounted at /admin/queues/static."""
    return StaticForGood(directory=STATIC)
