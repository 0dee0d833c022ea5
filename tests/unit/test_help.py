"""The help of every command fits a terminal of 80 columns, and says what the command is for."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from crewcall_operator.cli import main as crewcall
from crewcall_worker.cli import main as crewcall_worker


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from _commands(below, f"{name} {word}")


COMMANDS = dict([*_commands(crewcall, "crewcall"), *_commands(crewcall_worker, "crewcall-worker")])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_fits_80_columns(name: str) -> None:
    told = CliRunner().invoke(COMMANDS[name], ["--help"], prog_name=name, terminal_width=80)

    assert [line for line in told.output.splitlines() if len(line) > 80] == []
    assert told.output.startswith(f"Usage: {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_says_what_it_and_each_option_is_for(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    assert [it.opts for it in command.params if isinstance(it, click.Option) and not it.help] == []


@pytest.mark.parametrize("command", crewcall.commands)
def test_every_option_of_crewcall_can_be_given_in_the_environment_by_its_own_name(command: str) -> None:
    prefix = f"CREWCALL_{command.upper()}_"
    options = [it for it in crewcall.commands[command].params if isinstance(it, click.Option)]

    assert {it.envvar or f"{prefix}{it.name}".upper() for it in options} == {
        prefix + max(it.opts, key=len).removeprefix("--").replace("-", "_").upper() for it in options
    }
