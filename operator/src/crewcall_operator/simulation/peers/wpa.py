"""practo's worker-pod-autoscaler (WPA), for SQS and Beanstalk, here on the same numbers of a Redis queue.

Checked against practo/k8s-worker-pod-autoscaler at 55e14ac8eac (1.6.0): pkg/controller/controller.go
(GetDesiredWorkers) and scale_operation.go, pkg/queue/sqs.go, cmd/workerpodautoscaler/run.go: a look every 20 s;
messages are those ready and in flight; ceil(messages / targetMessagesPerWorker), nothing within 10 %; never fewer
workers than messages sent per minute times secondsToProcessOneJob need; without a backlog exactly those; to the minimum
only when all workers are idle; down no sooner than 600 s after the last change. A worker is a pod that runs one job:
with several threads its time for one job is divided by them. What was sent is known here at once; from CloudWatch it
comes five minutes late.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from crewcall_operator.simulation.ports import PLAIN, Care, Look

TOLERANCE = 0.1


@dataclass(slots=True)
class Wpa:
    """`target` messages a worker, `seconds_each` to process one job in one pod."""

    target: float
    seconds_each: float
    most: int
    name: str = "wpa"
    interval: float = 20.0
    care: Care = PLAIN
    least: int = 0
    down_delay: float = 600.0
    _arrived: deque[tuple[float, int]] = field(default_factory=deque)
    _scaled_at: float = float("-inf")

    def wanted(self, look: Look) -> int:
        if look.is_blind:
            return look.asked
        wanted = min(max(self._desired(look), self._needed(look), self.least), self.most)
        if wanted < look.asked and look.at - self._scaled_at < self.down_delay:
            return look.asked
        if wanted != look.asked:
            self._scaled_at = look.at
        return wanted

    def _needed(self, look: Look) -> int:
        """Workers for the messages sent in the last minute."""
        self._arrived.append((look.at, look.arrived))
        while len(self._arrived) > 1 and self._arrived[0][0] < look.at - 60.0:
            self._arrived.popleft()
        per_minute = self._arrived[-1][1] - self._arrived[0][1]
        return math.ceil(self.seconds_each * per_minute / 60.0)

    def _desired(self, look: Look) -> int:
        messages = look.ready + look.held
        desired = math.ceil(messages / self.target)
        if look.asked == 0:
            return desired
        if messages:
            return look.asked if abs(desired - look.asked) / look.asked <= TOLERANCE else desired
        return 0
