"""The worker's state machine: every state with every event, and what must hold of any way through it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crewcall_worker.states import TABLE, TOLD, Action, Event, State
from crewcall_worker.wire import WorkerState

EXPECTED = """
             ORDER            WITHDRAW       IDLE      SIGTERM                      TIMEOUT           FENCED
RUNNING      DRAINING:CLOSE   RUNNING        RUNNING   STOPPING:CLOSE,START_CLOCK   RUNNING           RUNNING:RENEW
DRAINING     DRAINING         RUNNING:OPEN   DRAINED   STOPPING:START_CLOCK         DRAINING          DRAINING:RENEW
DRAINED      DRAINED          RUNNING:OPEN   DRAINED   STOPPED                      DRAINED           DRAINED:RENEW
STOPPING     STOPPING         STOPPING       STOPPED   STOPPED:CUT_OFF              STOPPED:CUT_OFF   STOPPING:RENEW
STOPPED      STOPPED          STOPPED        STOPPED   STOPPED                      STOPPED           STOPPED
"""


def written(state: State, event: Event) -> str:
    after, actions = TABLE[state, event]
    return ":".join(filter(None, [after.name, ",".join(action.name for action in actions)]))


def test_the_table_is_the_one_that_people_read() -> None:
    events, *rows = (line.split() for line in EXPECTED.strip().splitlines())
    expected = {(row[0], event): cell for row in rows for event, cell in zip(events, row[1:], strict=True)}

    assert {(state.name, event.name): written(state, event) for state, event in product(State, Event)} == expected


@pytest.mark.parametrize("state", State)
def test_every_state_is_told_in_one_of_three_words(state: State) -> None:
    told = {
        State.RUNNING: WorkerState.RUNNING,
        State.DRAINING: WorkerState.DRAINING,
        State.DRAINED: WorkerState.DRAINED,
        State.STOPPING: WorkerState.DRAINING,
        State.STOPPED: WorkerState.DRAINED,
    }

    assert TOLD[state] is told[state]


@given(st.lists(st.sampled_from(Event)))
def test_messages_come_in_exactly_while_it_runs_and_a_signal_is_never_taken_back(events: list[Event]) -> None:
    state, is_open, signalled = State.RUNNING, True, False
    for event in events:
        state, actions = TABLE[state, event]
        assert not (is_open and Action.OPEN in actions)
        assert is_open or Action.CLOSE not in actions
        is_open = (is_open or Action.OPEN in actions) and Action.CLOSE not in actions
        signalled = signalled or event is Event.SIGTERM

        assert is_open == (state is State.RUNNING)
        assert signalled == (state in {State.STOPPING, State.STOPPED})
