"""Traces from files, and the words for those that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from crewcall_operator.simulation.trace import SHORTEST, BadTrace, Trace, read_trace


def test_reads_the_jobs_of_a_file(tmp_path: Path) -> None:
    file = _written(tmp_path, "arrival_s,service_s\n0.000,1.65\n0.052, 2\n")

    assert read_trace(file) == Trace("jobs", (0.0, 0.052), (1.65, 2.0))


def test_finds_its_columns_among_others_and_passes_over_empty_lines(tmp_path: Path) -> None:
    file = _written(tmp_path, "queue,service_s,arrival_s\n\nsms,1,0\n\nsms,2,3\n")

    assert read_trace(file) == Trace("jobs", (0.0, 3.0), (1.0, 2.0))


def test_times_count_from_the_first_arrival(tmp_path: Path) -> None:
    file = _written(tmp_path, "arrival_s,service_s\n1753000000.5,1\n1753000010,2\n")

    assert read_trace(file) == Trace("jobs", (0.0, 9.5), (1.0, 2.0))


def test_a_job_that_took_no_time_counts_as_the_shortest(tmp_path: Path) -> None:
    assert read_trace(_written(tmp_path, "arrival_s,service_s\n0,0\n")).services == (SHORTEST,)


def test_reads_what_spreadsheets_write_at_the_head_of_a_file(tmp_path: Path) -> None:
    file = _written(tmp_path, "\ufeffarrival_s,service_s\n0,1\n")

    assert read_trace(file) == Trace("jobs", (0.0,), (1.0,))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", ": holds no jobs; expected a line for each below arrival_s,service_s."),
        ("arrival_s,service_s\n", ": holds no jobs; expected a line for each below arrival_s,service_s."),
        ("0.0,1.65\n", " line 1: is '0.0,1.65'; expected a header with arrival_s,service_s."),
        (
            'arrival_s,service_s\n0.0,"1,65"\n',
            ' line 2: service_s is "1,65"; expected seconds as a number, such as 1.65.',
        ),
        ("arrival_s,service_s\n0.0\n", ' line 2: service_s is ""; expected seconds as a number, such as 1.65.'),
        ("arrival_s,service_s\n-1,1\n", ' line 2: arrival_s is "-1"; expected seconds as a number, such as 0.250.'),
        ("arrival_s,service_s\n0,inf\n", ' line 2: service_s is "inf"; expected seconds as a number, such as 1.65.'),
        (
            "arrival_s,service_s\n1_000,1\n",
            ' line 2: arrival_s is "1_000"; expected seconds as a number, such as 0.250.',
        ),
        (
            "arrival_s,service_s\n0," + "x" * 5000 + "\n",
            f' line 2: service_s is "{"x" * 40}…"; expected seconds as a number, such as 1.65.',
        ),
        (
            "arrival_s,service_s\n0,1\n0," + "x" * 140_000 + "\n",
            " line 3: is not CSV: field larger than field limit (131072).",
        ),
        (
            "arrival_s,service_s\n0,1\n1753000000000,1\n",
            " line 3: arrival_s is 1753000000000, more than a year after the first; are these seconds?",
        ),
        (
            "arrival_s,service_s\n0,1e9\n",
            " line 2: service_s is 1e9, more than 30 days; are these seconds?",
        ),
        ("arrival_s,service_s\n5,1\n3,1\n", " line 3: arrival_s is 3 after 5; sort the jobs by arrival_s."),
    ],
)
def test_says_which_line_is_wrong_and_what_is_expected(tmp_path: Path, text: str, complaint: str) -> None:
    file = _written(tmp_path, text)

    with pytest.raises(BadTrace) as raised:
        read_trace(file)

    assert raised.value.lines == (f"{file}{complaint}",)


def test_names_ten_problems_and_counts_the_others(tmp_path: Path) -> None:
    file = _written(tmp_path, "arrival_s,service_s\n" + "0,x\n" * 25)

    with pytest.raises(BadTrace) as raised:
        read_trace(file)

    assert len(raised.value.lines) == 11
    assert raised.value.lines[-1] == f"{file}: and 15 more."


def test_says_that_a_file_is_missing_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(BadTrace, match="cannot be read: No such file or directory"):
        read_trace(tmp_path / "none.csv")
    binary = tmp_path / "jobs.csv"
    binary.write_bytes(b"arrival_s,service_s\n\xff\xfe\n")
    with pytest.raises(BadTrace, match="is not text in UTF-8"):
        read_trace(binary)


def _written(folder: Path, text: str) -> Path:
    file = folder / "jobs.csv"
    file.write_text(text, encoding="utf-8")
    return file
