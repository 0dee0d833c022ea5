"""Metric families as the text that Prometheus scrapes, in its text format; what is in them belongs to the collectors.

In place of `prometheus_client.generate_latest`, which asks of each label of each sample whether its name is a plain
word: 5,000 pools have 90,000 samples, and a scrape took more than a second of CPU, for which the engine waited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

#: What the text format adds to a family's name, by its type.
_SUFFIXES = {"counter": "_total", "info": "_info"}


def exposition(families: Iterable[Metric]) -> bytes:
    """Counters, gauges, infos and histograms, whose names and labels are plain words, without timestamps.

    Labels are in the order of the alphabet, as the library writes them.
    """
    return b"".join(["".join(_lines(family)).encode() for family in families])  # the lines of one at a time


def _lines(family: Metric) -> Iterator[str]:
    name = family.name + _SUFFIXES.get(family.type, "")
    text = family.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {text}\n"
    yield f"# TYPE {name} {'gauge' if family.type == 'info' else family.type}\n"
    for sample in family.samples:
        labels = ",".join([f'{label}="{_escaped(value)}"' for label, value in sorted(sample.labels.items())])
        named = f"{sample.name}{{{labels}}}" if labels else sample.name
        yield f"{named} {float(sample.value)!r}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
