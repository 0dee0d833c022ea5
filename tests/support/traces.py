"""What `traced_jobs` goes by, for tests: who imports the job itself has it in its own catalogue."""

from __future__ import annotations

QUEUE, JOB = "sms", "text.send"
NUMBER = "+49 30 1234567"
FAILED = "test:failed"
"""Counts the attempts that failed."""
SPANS_FILE = "TEST_SPANS_FILE"
"""The variable with the file for the spans of a process; absent: it sets no tracing up."""
