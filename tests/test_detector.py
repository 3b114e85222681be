"""The detector in Python: what is analysed, what comes back, and what stays in memory."""

import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from bright import CLIP_LENGTH, BrightModel, bright_detector
from PIL import Image
from transformers.utils import logging as transformers_logging
from video import make

import lavida
from lavida.detector import Detector
from lavida.device import choose_device
from lavida.errors import InputError
from lavida.loading import load
from lavida.video.decode import Frame, SourceInfo, open_source
from lavida.video.sampling import FrameSampling


def pictures(folder: Path, bright: dict[int, tuple[int, int, int, int]], *, frames: int, size=(80, 60)) -> Path:
    """Dark pictures, of which those in `bright` have a white box (left, top, right, bottom)."""
    folder.mkdir()
    for index in range(frames):
        image = Image.new("L", size, 30)
        if index in bright:
            image.paste(255, bright[index])
        image.save(folder / f"{index}.png")
    return folder


class Synthetic:
    """Frames out of nothing, which tells how many of its pictures are alive."""

    def __init__(self, frames: int, *, fps: float = 25.0) -> None:
        self.info = SourceInfo(Path("synthetic.mp4"), "synthetic", 64, 48, fps, None)
        self.warnings: list[str] = []
        self.frames, self.alive, self.most_alive = frames, 0, 0

    def read(self, *, stride, size=None, pair_size=None):
        sampling = FrameSampling(stride, fps=self.info.fps)
        for index in range(self.frames):
            image, after = None, None if index == self.frames - 1 else (index + 1) / self.info.fps
            if sampling.takes(index, index / self.info.fps, after):
                image = np.full((*size, 3), index % 200, np.uint8)
                self.alive += 1
                self.most_alive = max(self.most_alive, self.alive)
                weakref.finalize(image, self._died)
            yield Frame(index, index / self.info.fps, image)

    def _died(self) -> None:
        self.alive -= 1


# --- which frames


@pytest.mark.parametrize(
    ("frames", "stride", "sampled"),
    [
        (9, 4, [0, 4, 8]),
        (10, 4, [0, 4, 8, 9]),
        (10, 1, list(range(10))),
        (10, 1000, [0, 9]),
        (1, 3, [0]),
    ],
)
def test_every_nth_frame_and_the_last_are_analysed_and_every_frame_is_scored(frames, stride, sampled):
    found = bright_detector().detect(Synthetic(frames), ["light"], stride=stride)
    assert found.sampled.tolist() == sampled and found.sampled.dtype == np.int64
    assert found.scores.shape == (frames,) and found.scores.dtype == np.float32
    assert found.category_scores.shape == (frames, 1)
    assert np.allclose(found.times, np.arange(frames) / 25)


@pytest.mark.parametrize("fps", [2.0, 5.0, 9.9, 24.9, 25.0, 29.97, 60.0, 240.0])
def test_by_default_at_least_five_frames_a_second_are_analysed(fps):
    found = bright_detector().detect(Synthetic(round(fps * 4) + 1, fps=fps), ["light"])
    widest = np.diff(found.times[found.sampled]).max()
    assert widest <= max(0.2, 1 / fps) + 1e-9
    assert widest * 2 > min(0.2, 1 / fps)  # and not every frame of a fast camera


def test_a_picture_that_cannot_be_read_takes_its_score_from_its_neighbours(tmp_path):
    for broken in (0, 6):
        folder = pictures(tmp_path / str(broken), dict.fromkeys(range(7), (0, 0, 40, 30)), frames=7)
        (folder / f"{broken}.png").write_bytes(b"\x89PNG, then the power failed")
        found = bright_detector().detect(folder, ["light"], stride=1)
        assert found.sampled.tolist() == [index for index in range(7) if index != broken]
        assert np.all(found.scores > 0.9) and len(found.scores) == 7
        assert len(found.run["warnings"]) == 1 and f"{broken}.png" in found.run["warnings"][0]
        saved = found.save(tmp_path / "out")
        overlay = open_source(saved / "overlay.mp4")
        assert len(list(overlay.read(stride=100))) == 7


# --- where


def test_masks_cover_what_is_abnormal_at_display_size(tmp_path):
    box = (20, 16, 48, 40)
    source = pictures(tmp_path / "in", {2: box, 5: box}, frames=8)
    found = bright_detector().detect(source, ["light"], stride=1)
    assert [mask.frame for mask in found.masks] == [2, 5]
    wanted = np.zeros((60, 80), bool)
    wanted[box[1] : box[3], box[0] : box[2]] = True
    for mask in found.masks:
        assert mask.size == (60, 80)
        assert (mask.pixels & wanted).sum() / (mask.pixels | wanted).sum() > 0.7
    (event,) = found.events()  # the two are too close to be two alarms
    assert np.allclose(event.box, (20, 16, 28, 24), atol=3)
    assert (event.peak_s, event.category) == (2 / 25, "light")


@pytest.mark.parametrize(
    ("matrix", "size", "corner"),
    [
        ((1, 0, 0, 1), (48, 64), (0, 0)),
        ((0, 1, -1, 0), (64, 48), (0, 24)),  # a phone held upright
        ((-1, 0, 0, -1), (48, 64), (24, 32)),
        ((0, -1, 1, 0), (64, 48), (32, 0)),
    ],
)
def test_masks_boxes_and_overlay_stand_as_the_video_is_shown(tmp_path, matrix, size, corner):
    found = bright_detector().detect(make.rotated(tmp_path / "phone.mp4", matrix, frames=5), ["light"], stride=1)
    assert {mask.size for mask in found.masks} == {size}
    (event,) = found.events()
    left, top, width, height = event.box
    assert np.allclose((top, left, height, width), (*corner, size[0] / 2, size[1] / 2), atol=4)
    overlay = open_source(found.save(tmp_path / "out") / "overlay.mp4")
    assert (overlay.info.height, overlay.info.width) == size


def test_each_pixel_goes_to_the_category_that_it_shows(tmp_path):
    source = pictures(tmp_path / "in", {0: (4, 4, 76, 56)}, frames=1)
    found = bright_detector().detect(source, ["left", "between", "right"])
    assert [mask.category for mask in found.masks] == ["left", "right"]
    left, right = (mask.pixels for mask in found.masks)
    assert not (left & right).any()
    assert not left[:, 42:].any() and not right[:, :38].any()
    assert np.isclose(left.sum(), right.sum(), rtol=0.1)


def test_a_model_that_cannot_tell_categories_apart_gives_all_of_them_the_frames_score(tmp_path):
    source = pictures(tmp_path / "in", {1: (4, 4, 76, 56)}, frames=3)
    found = bright_detector(tells_categories=False).detect(source, ["one", "two"], stride=1)
    assert np.array_equal(found.category_scores, np.repeat(found.scores[:, None], 2, axis=1))
    assert [(mask.frame, mask.category) for mask in found.masks] == [(1, "one")]


@pytest.mark.slow
def test_a_huge_picture_is_analysed_small_and_its_masks_are_huge(tmp_path):
    (tmp_path / "in").mkdir()
    Image.new("L", (7680, 4320), 255).save(tmp_path / "in" / "0.jpg", quality=50)
    found = bright_detector().detect(tmp_path / "in", ["left", "right"])
    assert found.run["settings"]["analysed_size"] == [32, 64]
    assert [mask.size for mask in found.masks] == [(4320, 7680)] * 2
    assert [mask.box for mask in found.masks] == [(0, 0, 3840, 4320), (3840, 0, 3840, 4320)]


def test_pixel_maps_are_logits_of_the_analysed_frames_at_display_size(tmp_path):
    source = pictures(tmp_path / "in", {3: (0, 0, 40, 60), 6: (40, 0, 80, 60)}, frames=8)
    found = bright_detector().detect(source, ["light"], stride=3, pixel_maps=True)
    maps = found.pixel_maps
    assert found.sampled.tolist() == [0, 3, 6, 7]
    assert maps.dtype == np.float16 and maps.shape == (4, 60, 80)
    assert np.allclose(maps[0], -3, atol=0.05) and np.allclose(maps[3], maps[0])
    assert np.allclose(maps[1][:, :30], 3, atol=0.05) and np.all(maps[1][:, 50:] < -2.9)
    assert np.allclose(maps[2][:, 50:], 3, atol=0.05) and np.all(maps[2][:, :30] < -2.9)
    assert bright_detector().detect(source, ["light"]).pixel_maps is None


# --- memory and the record of the run


def test_neither_frames_nor_outputs_are_held_however_long_the_video():
    source, outputs = Synthetic(500), weakref.WeakSet()
    most_outputs = 0

    def remember(model, arguments, output):
        nonlocal most_outputs
        outputs.add(output.pixel_logits)
        most_outputs = max(most_outputs, len(outputs))

    detector = bright_detector()
    detector.model.register_forward_hook(remember)
    found = detector.detect(source, ["light"], stride=1)
    assert len(found.scores) == 500
    assert source.most_alive <= 2 * CLIP_LENGTH and source.alive <= 1
    assert most_outputs <= 2 and not outputs


def test_the_run_says_how_the_result_came_about():
    source = Synthetic(11)
    source.warnings.append("a little damaged")
    run = bright_detector().detect(source, ["light", "fire"], stride=4, threshold=0.3).run
    assert run["model"] == "bright" and run["categories"] == ["light", "fire"]
    assert run["settings"]["stride"] == 4 and run["settings"]["threshold"] == 0.3
    assert run["settings"]["device"] == "cpu" and run["settings"]["precision"] in ("bf16", "float32")
    assert run["versions"]["lavida"] == lavida.__version__ and run["versions"]["torch"] == torch.__version__
    assert (run["frames"], run["analysed_frames"]) == (11, 4)
    assert set(run["stage_ms"]) == {"decode", "model", "masks"} and min(run["stage_ms"].values()) >= 0
    assert run["frames_per_second"] > 0
    assert sys.platform == "win32" or 10 < run["peak_memory_mb"] < 1e6
    assert run["warnings"] == ["a little damaged"]


def test_a_path_is_decoded_beside_the_model_and_what_that_took_is_told(tmp_path):
    path = make.video(tmp_path / "a.mp4", frames=30)
    detector = bright_detector()
    ahead = detector.detect(path, ["light"], stride=5)
    inline = detector.detect(open_source(path), ["light"], stride=5)
    assert np.array_equal(ahead.scores, inline.scores) and np.array_equal(ahead.times, inline.times)
    assert set(ahead.run["stage_ms"]) == {"waiting", "decode", "model", "masks"}
    assert set(inline.run["stage_ms"]) == {"decode", "model", "masks"}
    assert not any(thread.name == "lavida-decode" for thread in threading.enumerate())


def test_progress_counts_the_frames_read():
    seen: list[int] = []
    bright_detector().detect(Synthetic(7), ["light"], stride=3, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


# --- categories


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["dog", " dog", "dog\t", "Dog"], ("dog", "Dog")),
        ("a single text", ("a single text",)),
        (["two\nlines", "tab\tbed"], ("two lines", "tab bed")),
        (["a\ud800b"], ("a b",)),
        ([str(number) for number in range(200)], tuple(str(number) for number in range(200))),
    ],
)
def test_categories_are_kept_on_one_line_and_once(given, kept):
    assert bright_detector().detect(Synthetic(1), given).categories == kept


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no category"),
        ([""], "empty"),
        ([" \n\t"], "empty"),
        (["\u200b"], "empty"),
        (["dog", ""], "empty"),
        ([str(number) for number in range(201)], "201 categories.*200"),
        ([1], "category 1 is no text"),
        (None, "category None is no text"),
        (b"dog", "is no text"),
    ],
)
def test_categories_that_describe_nothing_or_are_too_many_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        bright_detector().detect(Synthetic(1), given)


@pytest.mark.parametrize(
    "settings",
    [
        *({"stride": 0}, {"stride": -1}, {"stride": 1.5}, {"stride": True}, {"stride": "2"}),
        *({"threshold": 0}, {"threshold": 1}, {"threshold": float("nan")}, {"threshold": "0.5"}),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings):
    (name,) = settings
    with pytest.raises(InputError, match=name):
        bright_detector().detect(Synthetic(1), ["light"], **settings)


# --- the real model


@pytest.fixture(scope="module")
def tiny_detector(tiny_model_dir: Path) -> Detector:
    return lavida.load(tiny_model_dir, device="cpu")


ODD_CATEGORIES = [
    "<SEG>",
    "<|video_pad|>",
    "<|im_end|>",
    "[CLS]",
    "[PAD]",
    "🚲🔥",
    "line\nbreak",
    "x" * 10_000,
    "a very long story " * 500,
    "$x_1$ {c} %s \\",
]


@pytest.mark.slow
def test_category_text_is_data_whatever_it_spells(tiny_detector, tmp_path):
    source = make.video(tmp_path / "clip.mp4", frames=3)
    together = tiny_detector.detect(source, ODD_CATEGORIES, stride=1)
    assert together.category_scores.shape == (3, len(ODD_CATEGORIES))
    assert np.isfinite(together.category_scores).all()
    plain = tiny_detector.detect(source, ["bicycle"], stride=1).scores
    after = tiny_detector.detect(source, ["bicycle"], stride=1).scores
    assert np.array_equal(plain, after)


def test_two_hundred_categories_are_scored_apart(tiny_detector, tmp_path):
    source = make.video(tmp_path / "clip.mp4", frames=2)
    found = tiny_detector.detect(source, [f"kind number {index}" for index in range(200)])
    assert found.category_scores.shape == (2, 200)
    assert len(np.unique(found.category_scores[0])) > 10  # of bfloat16 few differ
    assert np.allclose(found.category_scores.max(axis=1), found.scores, atol=0.02)


def test_the_same_video_gives_the_same_result_and_clips_do_not_mix_up_frames(tiny_detector, tmp_path):
    source = make.video(tmp_path / "clip.mp4", frames=7, texture=60)
    once = tiny_detector.detect(source, ["bicycle", "dog"], stride=1, pixel_maps=True)
    again = tiny_detector.detect(source, ["bicycle", "dog"], stride=1, pixel_maps=True)
    assert np.array_equal(once.scores, again.scores) and np.array_equal(once.pixel_maps, again.pixel_maps)
    assert once.pixel_maps.shape == (7, 48, 64)


def test_weights_that_are_not_numbers_are_an_error_and_no_result():
    with pytest.raises(InputError, match="damaged"):
        bright_detector(broken=True).detect(Synthetic(3), ["light"])


def test_a_device_that_runs_out_of_memory_is_named():
    class Greedy(BrightModel):
        def forward(self, frames, categories, *, motion=None):
            raise torch.OutOfMemoryError("CUDA out of memory")

    detector = Detector.of(Greedy(), name="greedy", device=torch.device("cpu"))
    with pytest.raises(InputError, match="memory on cpu"):
        detector.detect(Synthetic(3), ["light"])


def test_a_detector_is_made_and_asked_in_the_earlier_ways_for_one_version():
    with pytest.warns(DeprecationWarning, match=r"Detector\.of"):
        detector = Detector(BrightModel(), name="bright", device=torch.device("cpu"))
    with pytest.warns(DeprecationWarning, match=r"torch\.autocast"), detector.autocast():
        pass
    assert detector.device == torch.device("cpu") and detector.model is detector.backend.model
    prepared = []
    detector.backend.prepare = lambda: prepared.append(True)  # a stand-in has no weights to cast
    with pytest.warns(DeprecationWarning, match=r"backend\.prepare"):
        detector.prepare()
    assert prepared and len(detector.detect(Synthetic(3), ["light"]).times) == 3


def test_what_moves_reaches_a_model_that_sees_motion(tmp_path):
    class Watching(BrightModel):
        seen: list[torch.Tensor | None] = []

        def forward(self, frames, categories, *, motion=None):
            self.seen.append(motion)
            return super().forward(frames, categories)

    for index in range(9):  # a textured square that moves to the right
        image = np.random.default_rng(0).integers(0, 60, (48, 64), dtype=np.uint8)
        image[16:32, 4 + 3 * index : 20 + 3 * index] = 200
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    detector = Detector.of(Watching(), name="watching", device=torch.device("cpu"))
    detector.detect(tmp_path, ["light"], stride=4)
    assert Watching.seen == [None]
    detector.motion = True
    detector.detect(tmp_path, ["light"], stride=4)
    field = Watching.seen[1][0].float()  # of frames 0, 4 and 8
    assert field.shape == (3, 4, 12, 16) and (field[:, 3] == 1).all()
    right = field[:, 0].flatten(1).amax(1)
    assert (right > 0.5).all()  # 3 pixels of 48 each 1/25 s


@pytest.mark.slow
@pytest.mark.parametrize("bars", [True, False])
def test_loading_is_silent_and_leaves_the_librarys_settings_alone(tiny_model_dir, capfd, bars):
    (transformers_logging.enable_progress_bar if bars else transformers_logging.disable_progress_bar)()
    transformers_logging.set_verbosity_info()
    try:
        assert load(str(tiny_model_dir), device="cpu").name == str(tiny_model_dir)
        assert capfd.readouterr() == ("", "")
        assert transformers_logging.get_verbosity() == transformers_logging.INFO
        assert transformers_logging.is_progress_bar_enabled() == bars
    finally:
        transformers_logging.enable_progress_bar()
        transformers_logging.set_verbosity_warning()


@pytest.mark.parametrize("name", ["", "cuda:99", "meta", "toaster"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match="device"):
        choose_device(name)
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
