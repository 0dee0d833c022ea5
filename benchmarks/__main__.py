"""`make bench`: runs benchmarks one after the other, records what came of them, and writes docs/benchmarks.md.

All of them without a NAME. Exits 1 where a promise is broken, after all of them have run; what each one printed is in
build/bench/. CREWCALL_TRACES may name a folder of further traces (CSV) for `quality` and `replay`, which do without.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import page, quality_page, quality_record, recording, stolen
from benchmarks.catalogue import BENCHMARKS, Benchmark, benchmark, limits
from benchmarks.recording import ROOT, Result, Surroundings

DOCS, LOGS = ROOT / "docs", ROOT / "build" / "bench"
#: So many times as long as usual, and some minutes for the short ones: then it hangs.
PATIENCE, PATIENCE_S = 4.0, 300.0
ENDS_WITHIN_S = 30.0
TRACED = ("quality", "replay")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [it.name for it in BENCHMARKS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--page", action="store_true", help="write the pages anew from what is recorded, run nothing")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in names]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(names)}")
    chosen = [] if asked.page else [benchmark(name) for name in asked.names or names]
    if any(it.name in TRACED for it in chosen) and "CREWCALL_TRACES" not in os.environ:
        _tell(f"CREWCALL_TRACES names no folder: {' and '.join(TRACED)} take the scenarios that ship alone.")
    held = [_run(it, f"{place}/{len(chosen)}") for place, it in enumerate(chosen, 1)]
    _write_pages()
    if held:
        _tell(f"{sum(held)} of {len(held)} hold their promises; docs/benchmarks.md has the figures")
    return 0 if all(held) else 1


def _write_pages() -> None:
    (DOCS / "benchmarks.md").write_text(page.render(recording.read()), encoding="utf-8")
    (DOCS / "autoscalers.md").write_text(quality_page.render(quality_record.read()), encoding="utf-8")


def _run(it: Benchmark, place: str) -> bool:
    """Run one and record it; whether it holds its promises."""
    results = recording.read()
    before = results.get(it.name)
    usual = before.took_s if before and before.status == 0 else it.usual_s
    _tell(f"[{place}] {it.name}: {it.title}; usually {_minutes(usual)} ...")
    command = [sys.executable, "-m", f"benchmarks.{it.name}", *it.arguments]
    patience = PATIENCE * it.usual_s + PATIENCE_S
    result = measure(command, recording.look_around(), LOGS / f"{it.name}.log", patience)
    recording.write({**recording.read(), it.name: result})
    is_held = page.is_held(it, result)
    _tell(f"        {'held' if is_held else 'BROKEN'} after {_minutes(result.took_s)}")
    for promise in it.broken(result.figures):
        _tell(f"        {promise.figure} is {result.figures.get(promise.figure)}; promised is {limits(promise)}")
    if not is_held:
        _tell(f"        see {(LOGS / it.name).relative_to(ROOT)}.log")
    return is_held


def measure(command: Sequence[str], surroundings: Surroundings, log: Path, patience_s: float) -> Result:
    """Run a benchmark in a process group of its own; what it writes goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began, clock, before = recording.now(), time.monotonic(), stolen.ticks()
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process,
    ):
        try:
            output = process.communicate(timeout=patience_s)[0]
        except subprocess.TimeoutExpired:
            output = f"not over after {patience_s:g} s, and ended"
        finally:
            _end(process)
    took, share = time.monotonic() - clock, stolen.share(before, stolen.ticks())
    with log.open("a", encoding="utf-8") as end:
        end.write(output)
    return Result(recording.last_figures(output), process.returncode, round(took, 1), began, surroundings, share)


def _end(process: subprocess.Popen[str]) -> None:
    """As by Ctrl-C, where it still runs: it then ends its servers and workers, which are in groups of their own."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _tell(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    sys.exit(main())
