"""The benchmarks' list and their pages: nothing is left out, and nothing is called held that is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import __main__ as bench
from benchmarks import catalogue, page, quality_page, quality_record, recording, stolen
from benchmarks.catalogue import BENCHMARKS, Benchmark, at_least, at_most, benchmark, exactly, limits
from benchmarks.quality import POLICY, PROMISE_S
from benchmarks.recording import Result, Surroundings

ROOT = Path(__file__).parents[2]
THERE = Surroundings("abc123", "2 cores (such as there are), Linux 6, Python 3.11.7, Valkey 9.1", 0.2)
KEPT = Result({"single_ratio": 0.81, "batch_ratio": 3.4}, 0, 31.0, "2026-11-22 10:00", THERE)
ENQUEUE = benchmark("enqueue")


def test_the_list_has_every_benchmark_of_the_makefile_and_runs_the_same_module() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = dict(re.findall(r"^(bench-[a-z]+|soak):.*\n\t@\$\(BIN\)/python -m benchmarks\.(\w+)", text, re.MULTILINE))

    assert targets == {it.target: it.name for it in BENCHMARKS}
    assert set(re.findall(r"^(bench-[a-z]+):", text, re.MULTILINE)) <= targets.keys()


@pytest.mark.parametrize("it", BENCHMARKS, ids=lambda it: it.name)
def test_every_benchmark_promises_something_and_ends_by_its_promises(it: Benchmark) -> None:
    source = (ROOT / "benchmarks" / f"{it.name}.py").read_text(encoding="utf-8")

    assert it.promises
    assert f'return catalogue.exit_status("{it.name}", figures)' in source
    assert [promise.figure for promise in it.promises if f'"{promise.figure}"' not in source] == []


def test_a_promise_is_kept_up_to_its_bounds_and_never_by_a_figure_that_is_missing() -> None:
    most, least, both = at_most(2.5, "late_s", ""), at_least(0.9, "ratio", ""), exactly(0, "lost", "")

    assert [most.is_kept({"late_s": value}) for value in (0, 2.5, 2.51)] == [True, True, False]
    assert [least.is_kept({"ratio": value}) for value in (0.89, 0.9, 2)] == [False, True, True]
    assert [both.is_kept({"lost": value}) for value in (-1, 0, 1)] == [False, True, False]
    assert not most.is_kept({})
    assert [limits(promise) for promise in (most, least, both)] == ["at most 2.5", "at least 0.9", "0"]


def test_a_benchmark_ends_with_1_and_says_what_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    statuses = [
        catalogue.exit_status("enqueue", figures)
        for figures in ({"single_ratio": 0.7, "batch_ratio": 3.0}, {"single_ratio": 0.69, "batch_ratio": 3.0})
    ]

    assert statuses == [0, 1]
    assert capsys.readouterr().err == "broken: single_ratio is 0.69; at least 0.7\n"


def test_a_run_holds_only_when_it_came_to_its_end_and_kept_every_promise() -> None:
    broken = replace(KEPT, figures={"single_ratio": 0.5, "batch_ratio": 3.4})

    assert page.is_held(ENQUEUE, KEPT)
    assert not page.is_held(ENQUEUE, broken)
    assert not page.is_held(ENQUEUE, replace(KEPT, status=1))
    assert not page.is_held(ENQUEUE, replace(KEPT, figures={}))
    assert not page.is_held(ENQUEUE, None)


def test_the_page_has_promise_and_figure_side_by_side_and_calls_a_broken_one_broken() -> None:
    result = replace(KEPT, figures={"single_ratio": 0.5, "batch_ratio": 3.4, "turns": 60}, status=1)

    text = page.render({"enqueue": result})

    assert f"0 of {len(BENCHMARKS)} benchmarks hold" in text
    assert "| 1 of 2 | **broken** |" in text
    assert "| of the rate of `send`, one by one | at least 0.7 | 0.5 | **broken** |" in text
    assert "| of the rate of `send`, in batches of 100 | at least 3 | 3.4 | held |" in text
    assert "Also: `turns` 60." in text
    assert f"2026-11-22 10:00 UTC, 31 s, at commit abc123, on {THERE.machine}; load 0.2 before it." in " ".join(
        text.split()
    )


def test_the_page_says_how_much_of_the_machine_others_took() -> None:
    text = " ".join(page.render({"enqueue": replace(KEPT, stolen=0.254)}).split())

    assert "load 0.2 before it, and 25% of the processors' time taken by other virtual machines during it." in text


def test_time_is_stolen_as_far_as_the_kernel_counts_it(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_text("cpu  100 10 20 300 5 0 5 60 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    after.write_text("cpu  130 10 30 320 5 0 5 80 70 0\n")

    assert stolen.ticks(before) == stolen.Ticks(60, 500)
    assert stolen.share(stolen.ticks(before), stolen.ticks(after)) == 0.25
    assert stolen.share(stolen.ticks(before), stolen.ticks(before)) is None
    assert stolen.ticks(tmp_path / "another system") is None
    assert stolen.share(None, stolen.ticks(after)) is None


def test_the_page_names_what_has_not_been_run_and_what_did_not_end() -> None:
    text = page.render({"enqueue": Result({}, -9, 31.0, "2026-11-22 10:00", THERE)})

    assert "`make bench-reaction` has not been run yet. It promises:" in text
    assert "| until all 50 are asked for, the worst of five rounds | at most 1.2 s | | |" in text
    assert "**It did not come to its end: exit status -9.**" in text
    assert "| of the rate of `send`, one by one | at least 0.7 | none | **broken** |" in text


def test_the_page_says_that_all_are_of_one_run_only_where_they_are() -> None:
    one_run = {it.name: replace(KEPT, figures={}) for it in BENCHMARKS}
    two_commits = {**one_run, "soak": replace(KEPT, surroundings=replace(THERE, commit="def456"))}

    assert "All of one run at commit abc123" in page.render(one_run)
    assert "Not all of them are from one run" in page.render(two_commits)


@pytest.mark.parametrize(
    ("output", "figures"),
    [
        ('{"program": "dramatiq"}\n{"lost": 0}\n', {"lost": 0}),
        ("Traceback (most recent call last):\nOSError: no\n", {}),
        ("", {}),
        ("3\n", {}),
    ],
)
def test_the_figures_are_the_last_line_where_that_is_json(output: str, figures: dict[str, int]) -> None:
    assert recording.last_figures(output) == figures


def test_what_is_recorded_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results.json")
    assert recording.read() == {}

    recording.write({"enqueue": KEPT})

    assert recording.read() == {"enqueue": KEPT}


def test_all_are_run_and_recorded_though_a_promise_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = replace(KEPT, figures={"single_ratio": 0.5, "batch_ratio": 3.4}, status=1, took_s=120.0)
    kept = replace(KEPT, figures={"jobs": 50, "early": 0, "late_p99_s": 1.9})
    outcomes = {"enqueue": broken, "delayed": kept}
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(recording, "look_around", lambda: THERE)
    monkeypatch.setattr(bench, "measure", lambda command, *_: outcomes[command[-1].rpartition(".")[2]])
    monkeypatch.setattr(bench, "DOCS", tmp_path)

    status = bench.main(["enqueue", "delayed"])

    assert (status, recording.read()) == (1, outcomes)
    assert (tmp_path / "benchmarks.md").read_text() == page.render(outcomes)
    assert capsys.readouterr().out.splitlines() == [
        "[1/2] enqueue: Jobs enqueued a second, against Dramatiq's `send`; usually 45 s ...",
        "        BROKEN after 2 min",
        "        single_ratio is 0.5; promised is at least 0.7",
        "        see build/bench/enqueue.log",
        "[2/2] delayed: Delayed jobs while their pool sleeps at zero; usually 45 s ...",
        "        held after 31 s",
        "1 of 2 hold their promises; docs/benchmarks.md has the figures",
    ]


def test_a_benchmark_that_hangs_is_ended_and_has_no_figures(tmp_path: Path) -> None:
    result = bench.measure(["sleep", "60"], THERE, tmp_path / "log", patience_s=0.1)

    assert (result.figures, result.status) == ({}, -2)
    assert (tmp_path / "log").read_text() == "not over after 0.1 s, and ended"


def test_every_score_is_recorded_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = quality_record.read()
    monkeypatch.setattr(quality_record, "RECORD", tmp_path / "quality.json")

    quality_record.write(record)

    assert quality_record.read() == record


def test_only_pictures_of_cases_that_were_run_are_shown_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = quality_record.read()
    monkeypatch.setattr(quality_record, "IMAGES", tmp_path)
    for name in quality_record.DRAWN:
        (tmp_path / quality_record.picture_of(name)).touch()

    quality_record.draw_pictures([], POLICY, PROMISE_S)
    text = quality_page.render(replace(record, cases=[it for it in record.cases if it["trace"] != "step-burst"]))

    assert list(tmp_path.iterdir()) == []
    assert "benchmark-step-burst.png" not in text
    assert "benchmark-delayed-only.png" in text


def test_the_committed_pages_are_those_of_what_is_recorded() -> None:
    pages = {
        "benchmarks.md": page.render(recording.read()),
        "autoscalers.md": quality_page.render(quality_record.read()),
    }

    assert {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in pages} == pages, "make benchmarks-doc"
