"""AWS target tracking on backlog per instance, as its guide for SQS has it.

Checked against docs.aws.amazon.com/autoscaling/ec2/userguide/as-using-sqs-queue.html and
.../application/userguide/target-tracking-scaling-policy-overview.html: the metric is the visible messages by instances
in service, and its target the latency by the mean time for one message; up in proportion, as fast as it can; down more
gradually. How many values that takes is not in there but in the alarms that it makes: one a minute, 3 of them above the
target, 15 of them below 90 % of it. There is no value without an instance, so it never goes below one. Left out: the
cooldown, and the warm-up of instances.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from crewcall_operator.simulation.ports import PLAIN, Care, Look

UP_AFTER, DOWN_AFTER = 3, 15
DOWN_BELOW = 0.9


@dataclass(slots=True)
class Aws:
    """`target` messages an instance."""

    target: float
    most: int
    name: str = "aws"
    interval: float = 60.0
    care: Care = PLAIN
    least: int = 1
    _values: deque[float] = field(default_factory=lambda: deque(maxlen=DOWN_AFTER))

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        self._values.append(look.ready / max(1, look.working - look.draining))
        last = list(self._values)[-UP_AFTER:]
        if len(last) == UP_AFTER and min(last) > self.target:
            return self._to(look, math.ceil(look.asked * last[-1] / self.target))
        if len(self._values) == DOWN_AFTER and max(self._values) < DOWN_BELOW * self.target:
            return self._to(look, look.asked - max(1, look.asked // 10))
        return look.asked

    def _to(self, look: Look, wanted: int) -> int:
        wanted = min(max(self.least, wanted), self.most)
        if wanted != look.asked:
            self._values.clear()
        return wanted
