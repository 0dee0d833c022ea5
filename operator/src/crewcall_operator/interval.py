"""The option `--interval`, which every command has that runs an engine."""

from __future__ import annotations

import math
from typing import Any

import click

SHORTEST, LONGEST = 0.05, 60.0
"""Seconds."""


class _Seconds(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):  # which is in every range, for no comparison with it holds
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return seconds


interval_option = click.option(
    "--interval",
    type=_Seconds(min=SHORTEST, max=LONGEST),
    metavar="SECONDS",
    default=0.5,
    show_default=True,
    help="Between two looks at Redis.",
)
