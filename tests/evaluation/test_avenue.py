import numpy as np
import pytest
import scipy.io

from evaluation.benchmark_trees import avenue, mask
from lavida.errors import InputError
from lavida.evaluation import open_benchmark


def test_labels_and_masks_come_from_the_matlab_files(tmp_path):
    benchmark = open_benchmark("avenue", avenue(tmp_path))
    event, throughout = benchmark.videos
    assert benchmark.frame_labels(event).tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]
    assert benchmark.frame_labels(throughout).all() and event.frames == 9
    masks = list(benchmark.pixel_labels(event))
    assert len(masks) == 9 and masks[2].dtype == bool and (masks[2] == mask(abnormal=True)).all()
    assert benchmark.intervals(event) is None and benchmark.interval_rule is None


@pytest.mark.parametrize("root", ["", "Avenue Dataset"])
def test_the_annotation_may_lie_beside_the_videos(tmp_path, root):
    avenue(tmp_path)
    assert len(open_benchmark("avenue", tmp_path / root).videos) == 2


def test_each_event_is_a_track(tmp_path):
    benchmark = open_benchmark("avenue", avenue(tmp_path))
    tracks = np.stack(list(benchmark.tracks(benchmark.videos[0])))
    assert tracks.max(axis=(1, 2)).tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 0]


def test_a_missing_annotation_is_named(tmp_path):
    avenue(tmp_path)
    (tmp_path / "ground_truth_demo" / "testing_label_mask" / "8_label.mat").unlink()
    with pytest.raises(InputError, match="no annotation for 08: .*8_label.mat"):
        open_benchmark("avenue", tmp_path)


@pytest.mark.parametrize("content", [{"other": np.zeros(3)}, None])
def test_a_file_in_another_format_is_named(tmp_path, content):
    avenue(tmp_path)
    path = tmp_path / "ground_truth_demo" / "testing_label_mask" / "1_label.mat"
    path.write_bytes(b"MATLAB 7.3 it is not") if content is None else scipy.io.savemat(path, content)
    with pytest.raises(InputError, match="not a mask file of Avenue: .*1_label.mat"):
        open_benchmark("avenue", tmp_path)


def test_another_number_of_decoded_frames_is_refused(tmp_path):
    benchmark = open_benchmark("avenue", avenue(tmp_path))
    with pytest.raises(InputError, match="01: 8 frames but 9 labels in .*1_label.mat"):
        benchmark.frame_labels(benchmark.videos[0], 8)
