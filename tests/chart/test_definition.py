"""The WorkerPool's definition in the chart: the same as everywhere else."""

from __future__ import annotations

import yaml
from tests.support.chart import CHART, Chart

from crewcall_operator.api.spec import read_pool

REPOSITORY = CHART.parents[1]
SOURCE = REPOSITORY / "crds" / "workerpool.yaml"
COPY = CHART / "files" / "workerpool.yaml"


def test_the_charts_copy_of_the_definition_is_the_definition() -> None:
    assert COPY.read_text() == SOURCE.read_text(), f"cp {SOURCE} {COPY}"


def test_installs_the_definition_unchanged_and_keeps_it_when_the_release_goes(chart: Chart) -> None:
    written = yaml.safe_load(SOURCE.read_text())

    rendered = chart.render_one("CustomResourceDefinition")

    assert rendered["spec"] == written["spec"]
    assert rendered["metadata"]["name"] == written["metadata"]["name"]
    assert rendered["metadata"]["annotations"] == {
        **written["metadata"].get("annotations", {}),
        "helm.sh/resource-policy": "keep",
    }


def test_the_example_that_artifact_hub_shows_is_a_right_worker_pool() -> None:
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    (shown,) = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
    (named,) = yaml.safe_load(annotations["artifacthub.io/crds"])

    assert (shown["kind"], shown["apiVersion"]) == (named["kind"], f"crewcall.dev/{named['version']}")
    assert read_pool(shown).key.name == "emails"
