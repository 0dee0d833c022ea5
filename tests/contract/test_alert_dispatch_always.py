"""Whatever its channels answer, an alert is told once to each that takes it, and no more to one that has refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.job_types import NOW, a_context, clock

from crewcall_jobs.alerts.dispatching import Channels, dispatch
from crewcall_jobs.alerts.payload import Alert, SmsChannel
from crewcall_jobs.alerts.webhook import Webhooks
from crewcall_jobs.email.smtp import NoMailer
from crewcall_jobs.errors import Undelivered
from crewcall_jobs.storage.database import open_database
from crewcall_jobs.storage.deliveries import Deliveries, Status
from crewcall_jobs.templates import Templates
from crewcall_jobs.web.client import Web
from crewcall_worker.queues import Reject, TryAgain

TRIES = 6
TEMPLATES = Templates()
ANSWERS = st.lists(st.sampled_from(["taken", "later", "in 7 s", "never"]), min_size=TRIES, max_size=TRIES)


@dataclass(slots=True)
class Provider:
    """Answers each number as its script has it, and remembers what it answered."""

    scripts: dict[str, list[str]]
    answered: dict[str, list[str]] = field(default_factory=dict)

    def send(self, to: str, text: str, sender: str, key: str) -> str:
        told = self.answered.setdefault(to, [])
        told.append(self.scripts[to][len(told)])
        match told[-1]:
            case "later":
                raise Undelivered("later")
            case "in 7 s":
                raise TryAgain("in 7 s", after=7.0)
            case "never":
                raise Reject("never")
        return key


def until_the_first_end(script: list[str]) -> list[str]:
    ends = [at for at, answer in enumerate(script) if answer in ("taken", "never")]
    return script[: ends[0] + 1] if ends else script


@settings(max_examples=40, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_each_channel_is_asked_until_it_has_ended_and_no_further(scripts: list[list[str]]) -> None:
    numbers = [f"+1555000000{index}" for index in range(len(scripts))]
    provider = Provider(dict(zip(numbers, scripts, strict=True)))
    alert = Alert(
        organization_id="acme",
        alert_key="k",
        title="Title",
        occurred_at=NOW,
        channels=tuple(SmsChannel(to=number) for number in numbers),
    )
    channels = Channels(NoMailer(), Webhooks((), Web(1.0, 1, ()), clock), provider, TEMPLATES)
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder)}/jobs.db")
        book = Deliveries(database)
        outcome = "again"
        for attempt in range(1, TRIES + 1):
            try:
                dispatch(alert, a_context(attempt=attempt), channels, book, clock)
                outcome = "done"
            except Reject:
                outcome = "refused"
            except TryAgain:
                continue
            break
        statuses = [one.status for _, one in sorted(book.of("job-1").items())]
        database.close()

    expected = [until_the_first_end(script) for script in scripts]
    last = {"taken": Status.DELIVERED, "never": Status.REFUSED}
    assert [provider.answered[number] for number in numbers] == expected
    assert statuses == [last.get(script[-1], Status.FAILED) for script in expected]
    ends = {script[-1] for script in expected}
    assert outcome == ("done" if ends == {"taken"} else "refused" if ends <= {"taken", "never"} else "again")
