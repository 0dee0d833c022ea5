"""An explanation as a page of text, for a terminal of any width. Pure; colour is rich's part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from crewcall_operator.api.duration import write_duration
from crewcall_operator.inspection.explanation import Explanation, QueueSeen, StepTaken

#: Columns of a row's name.
NAMES = 13

COLORS = {"True": "green", "False": "red", "Unknown": "yellow", "Warning": "yellow", "Normal": "dim"}

#: A heading, and how many columns its numbers take.
QUEUE_COLUMNS = (
    ("READY", 7),
    ("IN FLIGHT", 11),
    ("DELAYED", 9),
    ("DEAD", 6),
    ("OLDEST", 9),
    ("ARRIVALS", 10),
    ("JOB TIME", 10),
)

FIGURES = {
    "weightedBacklog": "{:g} outstanding jobs, by weight",
    "loadThreads": "{:g} threads busy on average",
    "steadyThreads": "{:g} threads keep the promise for what comes",
    "backlogThreads": "{:g} threads keep it for what waits",
    "burstThreads": "{:g} threads keep it for bursts",
    "threadsPerReplica": "{:g} threads to a replica",
    "startupSeconds": "{:g} s until a new replica works",
}


#: What would steer the terminal, and what would turn the order of the words: whoever may write an Event could.
STEERING = dict.fromkeys((*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F)), "\ufffd")


def printable(text: Text) -> Text:
    """The same text with a sign of its own in place of each that is for the terminal and not for people."""
    text.plain = text.plain.translate(STEERING)
    return text


def page(found: Explanation, now: datetime, width: int) -> Text:
    """The whole page in `width` columns; long sentences go on in the next line."""
    lines: list[Text] = [_title(found, now), *(Text(f"! {words}", style="yellow") for words in found.warnings), Text()]
    lines += [*_queues(found.queues, width), Text()] if found.queues else []
    lines += [*_inputs(found), Text(), *_decision(found, now)]
    lines += _conditions(found, now)
    lines += _events(found, now)
    return printable(Text("\n").join(part for line in lines for part in _folded(line, width)))


def age(at: datetime, now: datetime) -> str:
    """How long ago, in the largest unit: 4s, 12m, 3h, 2d."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def number(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _title(found: Explanation, now: datetime) -> Text:
    text = Text.assemble((f"{found.namespace}/{found.name}", "bold"), f" · {found.mode}")
    if found.current is not None:
        wanted = "" if found.desired in (None, found.current) else f", want {found.desired}"
        text.append(f" · {found.current} replicas, {number(found.ready)} ready{wanted}")
    return text.append(f" · as of {age(found.seen_at, now)} ago", style="dim") if found.seen_at else text


def _queues(queues: Sequence[QueueSeen], width: int) -> Iterator[Text]:
    names = max(NAMES - 3, *(len(queue.name) for queue in queues))
    columns: Sequence[tuple[str, int]] = QUEUE_COLUMNS
    if all(queue.arrivals_per_second is None for queue in queues):
        columns = columns[:-2]
    names = max(NAMES - 3, min(names, width - 2 - sum(size for _, size in columns)))
    yield Text(f"  {'QUEUE':<{names}}" + "".join(f"{name:>{size}}" for name, size in columns), style="dim")
    for queue in queues:
        shown = queue.name if len(queue.name) <= names else f"{queue.name[: names - 1]}…"
        cells = "".join(f"{cell:>{size}}" for cell, (_, size) in zip(_cells(queue), columns, strict=False))
        line = Text(f"  {shown:<{names}}{cells}", style="" if queue.seen else "yellow")
        yield line
        notes = [] if queue.weight == 1.0 else [f"weight {queue.weight:g}"]
        notes += ["paused: nobody fetches from it"] if queue.paused else []
        notes += [f"{queue.limited} ready jobs held back by their organisations' limits"] if queue.limited else []
        notes += [] if queue.seen else ["never seen in Redis: is its name right?"]
        if notes:
            yield Text(f"    {queue.name}: {', '.join(notes)}" if len(queues) > 1 else f"    {', '.join(notes)}")


def _cells(queue: QueueSeen) -> list[str]:
    delayed = number(queue.delayed) + (f" ({queue.due})" if queue.due else "")
    oldest = "" if queue.ready == 0 else "?"
    return [
        number(queue.ready),
        number(queue.in_flight),
        delayed,
        number(queue.dead),
        oldest if queue.oldest_age_seconds is None else write_duration(queue.oldest_age_seconds),
        "" if queue.arrivals_per_second is None else f"{queue.arrivals_per_second:g}/s",
        "" if queue.job_seconds is None else f"{queue.job_seconds:g}s",
    ]


def _inputs(found: Explanation) -> Iterator[Text]:
    fleet = found.fleet
    told = (
        "there is none, or it may not be read"
        if fleet is None
        else (f"{fleet['replicas']} replicas, {fleet['ready']} ready, {fleet['up_to_date']} of the newest template")
    )
    yield _row("deployment", f"{found.deployment}: {told}")
    was_read = bool(found.queues) and not any(queue.seen and queue.ready is None for queue in found.queues)
    if found.workers is None and not was_read:
        yield _row("workers", "not known: Redis was not read")
    elif found.workers is None:
        yield _row("workers", "none tell of themselves")
    else:
        yield _row("workers", f"{found.workers['seen']} tell of themselves, {found.workers['busyThreads']} jobs run")
    orders = (found.workers or {}).get("orders", 0)
    draining = "" if found.draining is None else f", {found.draining} still run jobs"
    yield _row("orders", f"{orders} told to drain{draining}" if orders or found.draining else "none to drain")
    if found.target:
        yield _row("target", found.target)
        yield _row("limits", found.limits)
    figures = [FIGURES[name].format(value) for name, value in found.sizing.items() if name in FIGURES]
    for at, figure in enumerate(figures):
        yield _row("" if at else "sizing", figure)


def _decision(found: Explanation, now: datetime) -> Iterator[Text]:
    if found.steps:
        yield _row("decision", f"from {number(found.decided_from)} replicas", style="bold")
        words = max(len(step.words) for step in found.steps)
        for step in found.steps:
            yield _step(step, words)
        if len(found.steps) == 1:
            yield _row("", "no limit changed it", style="dim")
    if found.why:
        yield _row("why", found.why)
    if (last := found.last_change) is not None:
        what = f"{last.before} → {last.after}  {last.reason}, {age(last.at, now)} ago"
        is_new = last.message and last.message != found.why
        yield _row("last change", f"{what}: {last.message}" if is_new else what)


def _step(step: StepTaken, words: int) -> Text:
    line = _row("", f"{step.words:<{words}}  {step.replicas:>5}  ")
    line.append(step.reason, style="bold cyan" if step.binds else "cyan")
    return line.append("  <- binds", style="bold") if step.binds else line


def _conditions(found: Explanation, now: datetime) -> Iterator[Text]:
    if not found.conditions:
        return
    yield Text()
    yield Text("  CONDITION        STATUS   SINCE  REASON", style="dim")
    for held in found.conditions:
        color = COLORS.get(held.status, "")
        # False is not bad in ScalingLimited: nothing limits it.
        color = "" if held.type == "ScalingLimited" else color
        line = Text.assemble(f"  {held.type:<17}", (f"{held.status:<9}", color))
        yield line.append(f"{age(held.since, now):>5}  {held.reason}")
        if held.message and held.message != found.why:
            yield Text(f"{'':{NAMES + 2}}  {held.message}", style="dim")


def _events(found: Explanation, now: datetime) -> Iterator[Text]:
    if not found.events:
        return
    yield Text()
    yield Text("  EVENTS", style="dim")
    for event in found.events:
        times = f" (x{event.count})" if event.count > 1 else ""
        line = Text(f"  {age(event.at, now):>5} ago  ")
        line.append(event.reason, style=COLORS.get(event.type, ""))
        yield line.append(f"{times}  {event.message}")


def _row(name: str, words: str, style: str = "") -> Text:
    return Text.assemble("  ", (f"{name:<{NAMES}}", "dim"), (words, style))


def _folded(line: Text, width: int) -> Iterator[Text]:
    """The line, and what is too long for it below, as far in as a row's words begin."""
    indent = NAMES + 2 if line.plain.startswith("  ") else 2
    while line.cell_len > width:
        at = line.plain.rfind(" ", indent + 1, width + 1)
        at = at if at > 0 else width  # one word that is longer than the line
        yield line[:at]
        rest = line[at:]
        line = Text(" " * indent) + rest[len(rest.plain) - len(rest.plain.lstrip()) :]
    yield line
