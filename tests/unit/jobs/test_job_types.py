"""What a type checker says of jobs that could not be run: mypy reads a small application, as its own team would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

APPLICATION = """
import asyncio

from crewcall_worker.queues import AsyncQueueService, JobContext, NewJob, Payload, QueueService, job

class Greet(Payload):
    name: str

class Leave(Payload):
    pass

@job("greet.person", queue="greetings")
def greet(payload: Greet, context: JobContext) -> None:
    print(payload.name, context.attempt)

@job("leave", queue="greetings")
def leave(payload: Leave, context: JobContext) -> None:
    print(context.attempt)


@job("greet.word", queue="greetings")
def word(payload: Greet, context: JobContext) -> str:
    return payload.name

@job("greet.later", queue="greetings")
async def later(payload: Greet, context: JobContext) -> int:
    return context.attempt

queues = QueueService.from_environment({})
ADA = Greet(organization_id="acme", name="Ada")
queues.enqueue(greet, ADA, delay=60)
queues.enqueue_many([NewJob(greet, ADA), NewJob(greet, ADA, dedupe_key="ada")])
"""


#: Each of these lines, and what is wrong with it; "" where all is well.
LINES = {
    "queues.enqueue(later, ADA)": "",
    'print(word(ADA, JobContext("1", "greet.word", "greetings", "acme", 1)).upper())': "",
    'asyncio.run(later(ADA, JobContext("1", "greet.later", "greetings", "acme", 1))).bit_length()': "",
    'word(ADA, JobContext("1", "greet.word", "greetings", "acme", 1)).bit_length()': (
        '"str" has no attribute "bit_length"  [attr-defined]'
    ),
    "queues.enqueue(greet, ADA, priority=None)": "",
    'Greet(name="Ada")': 'Missing named argument "organization_id" for "Greet"  [call-arg]',
    'queues.enqueue(greet, Leave(organization_id="acme"))': (
        'Cannot infer value of type parameter "P" of "enqueue" of "QueueService"  [misc]'
    ),
    'queues.enqueue(greet, {"organization_id": "acme", "name": "Ada"})': (
        'Cannot infer value of type parameter "P" of "enqueue" of "QueueService"  [misc]'
    ),
    'queues.enqueue_many([NewJob(greet, ADA), NewJob(leave, Leave(organization_id="acme"))])': "",
    'queues.enqueue_many([NewJob(greet, Leave(organization_id="acme"))])': (
        'Cannot infer value of type parameter "P" of "NewJob"  [misc]'
    ),
    'NewJob(greet, Leave(organization_id="acme"))': ('Cannot infer value of type parameter "P" of "NewJob"  [misc]'),
}


def test_what_does_not_fit_its_job_does_not_type_check(tmp_path: Path) -> None:
    file = tmp_path / "application.py"
    file.write_text(APPLICATION + "\n".join(LINES))
    first = APPLICATION.count("\n") + 1

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    # Without the folder: mypy remembers what it said of the same file elsewhere, and says it with that file's place.
    said = [line.partition(f"/{file.name}:")[2] for line in done.stdout.splitlines()]
    assert said == [f"{number}: error: {problem}" for number, problem in enumerate(LINES.values(), first) if problem]
    assert done.stderr == ""
