import pytest

from lavida.evaluation.benchmarks import BENCHMARKS
from lavida.evaluation.protocols import STANDARD
from lavida.paper.published import PUBLISHED


def _value(benchmark: str, method: str) -> float:
    (row,) = (row for row in PUBLISHED[benchmark] if row.method == method)
    (value,) = row.metrics.values()
    return value


@pytest.mark.parametrize(
    ("benchmark", "rows", "ours"),
    [
        ("ubnormal", 7, 76.45),
        ("shanghaitech", 11, 85.28),
        ("ucf-crime", 16, 82.18),
        ("xd-violence", 11, 90.62),
        ("ucsd-ped2", 7, 87.68),
    ],
)
def test_the_papers_tables_are_complete(benchmark, rows, ours):
    assert len(PUBLISHED[benchmark]) == rows and _value(benchmark, "LAVIDA (paper)") == ours
    assert PUBLISHED[benchmark][-1].method == "LAVIDA (paper)"


@pytest.mark.parametrize(
    ("benchmark", "method", "value"),
    [
        ("xd-violence", "VERA", 56.27),
        ("ucf-crime", "MULDE", 78.5),
        ("shanghaitech", "AnomalyRuler", 85.2),
        ("ubnormal", "AnyAnomaly", 74.5),
        ("xd-violence", "GODS", 61.56),
        ("ucsd-ped2", "TAO", 75.11),
    ],
)
def test_values_stand_in_their_columns(benchmark, method, value):
    assert _value(benchmark, method) == value


@pytest.mark.parametrize("benchmark", PUBLISHED)
def test_rows_are_in_the_metric_that_counts_and_name_their_training(benchmark):
    assert benchmark in BENCHMARKS
    regimes = {"unsupervised", "weakly-supervised", "few-shot", "zero-shot", "supervised", "finetune"}
    for row in PUBLISHED[benchmark]:
        assert list(row.metrics) == [STANDARD.on(benchmark).headline]
        assert row.training in regimes and "LAVIDA paper" in row.source
