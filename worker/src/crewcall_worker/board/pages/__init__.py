"""The pages: HTML under /admin/queues, rendered on the server, kept live by a stream."""

from crewcall_worker.board.pages.routes import make_router

__all__ = ["make_router"]
