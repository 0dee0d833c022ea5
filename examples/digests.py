"""Enqueue digests as an application does: `REDIS_URL=redis://... python -m examples.digests 20`.

One round trip for all of them. A digest with the same key is enqueued once within the window, however often this runs:
give the run another name (the second argument) for others.
"""

from __future__ import annotations

import sys

from crewcall_jobs.email.job import send_digest
from crewcall_jobs.email.payload import Digest, DigestItem, DigestSection
from crewcall_worker.errors import BadSetting
from crewcall_worker.queues import NewJob, QueueService, QueueUnavailable


def main(count: int = 1, run: str = "first") -> None:
    """Enqueue so many, half of them for each of two organisations, and tell what became of them."""
    queues = QueueService.from_environment()
    if not queues.enabled:  # it has said what to set; an application may go on without
        sys.exit(1)
    receipts = queues.enqueue_many(
        NewJob(send_digest, digest(number, run), dedupe_key=f"{run}:{number}") for number in range(count)
    )
    queues.shutdown()
    for outcome in sorted({receipt.outcome for receipt in receipts}):
        print(f"{sum(receipt.outcome is outcome for receipt in receipts)} {outcome}")


def digest(number: int, run: str) -> Digest:
    """What one person is to be told."""
    item = DigestItem(title="An order was shipped", summary=f"Order {number} of {run}")
    return Digest(
        organization_id=("acme", "globex")[number % 2],
        to=f"reader-{number}@example.com",
        subject=f"Your digest {number}",
        sections=(DigestSection(title="Orders", items=(item,)),),
    )


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]) if sys.argv[1:] else 1, *sys.argv[2:3])
    except (BadSetting, QueueUnavailable) as error:
        sys.exit(f"{error}.")
