"""What the commands `simulate` and `record` ask of their options, and the words for what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

import click

from crewcall_operator.api.duration import MAX_LENGTH, PATTERN, read_duration

#: What a picture's name may end in.
PICTURES = (".png", ".svg", ".pdf")


class Duration(click.ParamType[float]):
    """Seconds, written as in a WorkerPool."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if len(value) > MAX_LENGTH or not re.match(PATTERN, value) or not read_duration(value):
            self.fail(f'"{value}"; expected a duration above zero, such as 30s, 1m30s or 500ms.', param, ctx)
        return read_duration(value)


def check_writable(file: Path, option: str) -> None:
    """End the command, before it does its work, where it could not write this."""
    if file.is_dir():
        raise click.BadParameter(f"{file} is a folder.", param_hint=option)
    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {file.parent}.", param_hint=option)
    try:
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be written: {error.strerror}.", param_hint=option) from error


def check_picture(plot: Path) -> None:
    """End the command where no picture could be drawn there."""
    if plot.suffix.lower() not in PICTURES:
        raise click.BadParameter(
            f"{plot}; name a file that ends in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}.", param_hint="--plot"
        )
    check_writable(plot, "--plot")


def chosen(names: Iterable[str], known: list[str], option: str) -> list[str]:
    """Each name once; all that are known where one is "all"."""
    once = list(dict.fromkeys(names))
    if unknown := [name for name in once if name not in {*known, "all"}]:
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(known)}, and all.", param_hint=option)
    return known if "all" in once else once
