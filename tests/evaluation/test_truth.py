import pytest
from bright_scenes import ABNORMAL, FRAMES, bright_ped2, square

from evaluation.toy_benchmark import Toy
from lavida.errors import InputError
from lavida.evaluation.benchmarks import open_benchmark
from lavida.evaluation.benchmarks.official import Truth, find_video


@pytest.fixture
def benchmark(tmp_path):
    return open_benchmark("ucsd-ped2", bright_ped2(tmp_path))


def test_labels_and_masks_of_some_frames(benchmark):
    truth = Truth(benchmark, find_video(benchmark, "Test001"))
    assert truth.labels().tolist() == [int(index in ABNORMAL["Test001"]) for index in range(FRAMES)]
    masks = truth.masks([6, 0, 99])
    assert set(masks) == {0, 6} and not masks[0].any()
    assert masks[6][square("Test001")].all() and masks[6].sum() == 14 * 14


def test_masks_after_the_last_wanted_frame_are_not_read():
    class Read(Toy):
        masks = 0

        def pixel_labels(self, video):
            for mask in super().pixel_labels(video):
                self.masks += 1
                yield mask

    toy = Read({"v": [0] * 9})
    Truth(toy, toy.videos[0]).masks([2])
    assert toy.masks == 3


def test_a_benchmark_without_masks_has_none():
    toy = Toy({"v": [0] * 9}, has_pixel_labels=False)
    assert Truth(toy, toy.videos[0]).masks([2]) == {}


def test_an_unknown_video_is_named_with_those_there_are(benchmark):
    with pytest.raises(InputError, match="no video Test7 in ucsd-ped2; it has Test001, Test002"):
        find_video(benchmark, "Test7")
