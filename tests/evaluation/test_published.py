import pytest

from lavida.evaluation.benchmarks import BENCHMARKS
from lavida.evaluation.protocols import STANDARD
from lavida.paper.published import PUBLISHED


@pytest.mark.parametrize("benchmark", PUBLISHED)
def test_rows_are_in_the_metric_that_counts_and_name_their_training(benchmark):
    assert benchmark in BENCHMARKS
    regimes = {"unsupervised", "weakly-supervised", "few-shot", "zero-shot", "supervised", "finetune"}
    for row in PUBLISHED[benchmark]:
        assert list(row.metrics) == [STANDARD.on(benchmark).headline]
        assert row.training in regimes and "LAVIDA paper" in row.source
