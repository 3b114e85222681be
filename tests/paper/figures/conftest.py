"""Cases for figures: a stand-in model's findings on small synthetic videos with known truth."""

from pathlib import Path

import pytest
from bright import bright_detector
from bright_scenes import bright_ped2

from lavida.evaluation.benchmarks import open_benchmark
from lavida.evaluation.benchmarks.official import Truth, find_video
from lavida.paper.figures import Case
from lavida.video.decode import open_source


@pytest.fixture
def benchmark(tmp_path: Path):
    return open_benchmark("ucsd-ped2", bright_ped2(tmp_path))


@pytest.fixture
def case_of(benchmark):
    """Build the case of a video by its name; `annotated` says whether its truth is known."""

    def build(name: str, *, annotated: bool = True, categories=("bicycle", "car"), stride: int = 1) -> Case:
        video = find_video(benchmark, name)
        source = open_source(video.source)
        return Case(
            title=f"ucsd-ped2 {name}",
            source=source,
            detection=bright_detector().detect(source, categories, stride=stride),
            truth=Truth(benchmark, video) if annotated else None,
        )

    return build
