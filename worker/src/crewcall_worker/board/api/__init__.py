"""The API: everything that pages show and do, as JSON, under /api/admin; its OpenAPI document is at openapi.json there.

It reads by `reading` and acts by `actions`, as pages do. Every answer is in the document, every refusal as a `Problem`.
"""

from __future__ import annotations

from fastapi import APIRouter

from crewcall_worker.board.api import deeds, document, looks

router = APIRouter()
router.include_router(document.router)
router.include_router(looks.router)
router.include_router(deeds.router)
