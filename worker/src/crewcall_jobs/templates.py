"""Texts from templates: ours, or those of the same name in the folder that CREWCALL_TEMPLATES names.

What goes into HTML is escaped by Jinja; a template that asks for what is not there fails rather than leaving a gap.
"""

from __future__ import annotations

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
    select_autoescape,
)

from crewcall_jobs.settings import ENV_TEMPLATES
from crewcall_worker.queues import Reject


class Templates:
    """The templates, by name: `digest.html`, `alert.txt`."""

    def __init__(self, folder: str = "") -> None:
        own = PackageLoader("crewcall_jobs", "templates")
        loader: BaseLoader = ChoiceLoader([FileSystemLoader(folder), own]) if folder else own
        self._environment = Environment(
            loader=loader,
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, name: str, **values: object) -> str:
        """The text. Raises `Reject` where the template is at fault: another try would not mend it."""
        try:
            return self._environment.get_template(name).render(values).strip() + "\n"
        except TemplateError as error:
            raise Reject(f"template {name}: {type(error).__name__}; correct it in {ENV_TEMPLATES}") from error
