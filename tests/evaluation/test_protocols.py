from dataclasses import replace

import numpy as np
import pytest

from lavida.errors import InputError
from lavida.evaluation import PROTOCOLS
from lavida.evaluation.protocols import LAVIDA_UPSTREAM, STANDARD, Protocol, shown


def test_standard_looks_at_every_frame_and_never_into_the_future():
    assert STANDARD.stride == 1
    assert STANDARD.smoothing is None and STANDARD.normalisation is None
    assert (STANDARD.videos, STANDARD.short_videos, STANDARD.tails) == ("all", "kept", "kept")
    assert STANDARD.auc_padding == "none" and STANDARD.prompt_template == "paper"


@pytest.mark.parametrize(
    ("benchmark", "headline", "size"),
    [
        ("ucsd-ped2", "pixel_auc", (158, 238)),
        ("xd-violence", "frame_ap", (240, 428)),
        ("shanghaitech", "frame_auc_micro", (240, 428)),
    ],
)
def test_standard_counts_what_the_literature_counts(benchmark, headline, size):
    protocol = STANDARD.on(benchmark)
    assert (protocol.headline, protocol.pixel_size, protocol.name) == (headline, size, "standard")


@pytest.mark.parametrize(
    ("benchmark", "stride", "videos"),
    [
        ("ubnormal", 4, "abnormal"),
        ("shanghaitech", 2, "all"),
        ("ucf-crime", 128, "all"),
        ("xd-violence", 128, "all"),
        ("ucsd-ped2", 1, "all"),
    ],
)
def test_upstream_is_what_the_published_code_does(benchmark, stride, videos):
    protocol = LAVIDA_UPSTREAM.on(benchmark)
    assert (protocol.stride, protocol.videos, protocol.pixel_size) == (stride, videos, (158, 238))
    assert (protocol.short_videos, protocol.tails, protocol.fill) == ("skipped", "dropped", "hold")
    assert (protocol.scale, protocol.auc_padding, protocol.prompt_template) == ("logit", "zero-one", "random")
    assert protocol.quiet_maps == "floored"
    assert protocol.headline != "frame_ap"  # AUC where XD-Violence needs AP


def test_any_choice_can_be_changed_by_name_and_the_protocol_is_then_custom():
    changed = STANDARD.on("ucsd-ped2").changed(["smoothing=2.5", "pixel_size=native", "stride=4"])
    assert (changed.smoothing, changed.pixel_size, changed.stride) == (2.5, None, 4)
    assert changed.name == "custom (standard, smoothing=2.5, pixel_size=native, stride=4)"
    assert changed.settings()["pixel_size"] == "native"


def test_a_change_that_changes_nothing_leaves_the_name():
    assert STANDARD.changed(["stride=1", "smoothing=off"]) == STANDARD


def test_a_change_holds_on_every_benchmark():
    changed = STANDARD.changed(["pixel_size=100x100", "metric=frame_auc"])
    assert changed.on("ucsd-ped2").pixel_size == (100, 100)
    assert changed.on("xd-violence").headline == "frame_auc_micro"
    assert changed.name.startswith("custom")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_is_stored_says_everything_and_can_be_set_again(name):
    protocol = PROTOCOLS[name].on("xd-violence")
    stored = protocol.settings()
    said = [f"{key}={shown(value)}" for key, value in stored.items()]
    fresh = Protocol(name="fresh").changed(said)
    assert fresh.settings() == stored and len(stored) == 23


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("smothing=2", "no such choice.*smoothing"),
        ("stride", "no such choice"),
        ("stride=0", "stride: 0; choose 1 or more"),
        ("stride=1.5", "stride: 1.5; choose a whole number"),
        ("smoothing=-1", "smoothing: -1.*above 0.*or off"),
        ("smoothing=nan", "smoothing: nan"),
        ("smoothing=1e9", "smoothing: 1"),
        ("smoothing=much", "smoothing: much; choose a number"),
        ("fill=spline", "linear, nearest, hold"),
        ("pixel_size=158", "HEIGHTxWIDTH.*or native"),
        ("region_iou=1.1", "at most 1"),
        ("averaging=macro metric=frame_ap", "averaging"),
    ],
)
def test_an_unknown_choice_or_value_is_one_clear_line(setting, message):
    with pytest.raises(InputError, match=message) as error:
        STANDARD.changed([setting])
    assert "\n" not in str(error.value)


def test_ap_is_not_averaged_over_videos():
    with pytest.raises(InputError, match="averaging=macro.*frame_auc"):
        STANDARD.on("xd-violence").changed(["averaging=macro"])
    changed = STANDARD.on("xd-violence").changed(["averaging=macro", "metric=frame_auc"])
    assert changed.headline == "frame_auc_macro"


def test_a_value_of_the_wrong_type_is_refused_in_python_too():
    with pytest.raises(InputError, match="fill"):
        replace(STANDARD, fill="spline")
    with pytest.raises(InputError, match="stride"):
        replace(STANDARD, stride=2.5)


@pytest.mark.parametrize(
    ("tails", "short", "frames", "used"),
    [
        ("kept", "kept", 37, 37),
        ("dropped", "kept", 37, 32),  # clips of 8 x 2 frames
        ("dropped", "kept", 15, 15),
        ("dropped", "skipped", 15, 0),
        ("kept", "skipped", 15, 0),
        ("kept", "skipped", 16, 16),
    ],
)
def test_which_frames_of_a_video_count(tails, short, frames, used):
    protocol = Protocol(name="p", stride=2, tails=tails, short_videos=short)
    assert protocol.used_frames(frames) == used


def test_the_last_frame_is_analysed_unless_tails_are_dropped():
    kept = Protocol(name="kept", stride=4)
    assert [i for i in range(10) if kept.analyses(i, is_last=i == 9)] == [0, 4, 8, 9]
    dropped = Protocol(name="dropped", stride=4, tails="dropped")
    assert [i for i in range(10) if dropped.analyses(i, is_last=i == 9)] == [0, 4, 8]


def test_resize_takes_the_nearest_pixel_down_and_up():
    image = np.arange(24.0).reshape(4, 6)
    down, up = Protocol(name="down", pixel_size=(2, 3)), Protocol(name="up", pixel_size=(8, 12))
    assert down.resize_map(image, native=(9, 9)).tolist() == [[0, 2, 4], [12, 14, 16]]
    assert (up.resize_labels(image) == image.repeat(2, axis=0).repeat(2, axis=1)).all()


def test_bilinear_mixes_maps_and_never_labels():
    protocol = Protocol(name="p", pixel_size=(1, 2), pixel_resize="bilinear")
    labels = np.array([[0, 0, 4, 4]])
    assert protocol.resize_map(np.array([[0.0, 1.0, 3.0, 5.0]]), native=(1, 4)).tolist() == [[0.5, 4.0]]
    assert protocol.resize_labels(labels).tolist() == [[0, 4]]


def test_native_size_is_that_of_the_masks():
    protocol = Protocol(name="p", pixel_size=None)
    assert protocol.resize_map(np.zeros((3, 3)), native=(6, 5)).shape == (6, 5)
    assert protocol.resize_labels(np.zeros((6, 5))).shape == (6, 5)


def test_resize_keeps_a_mask_a_mask():
    mask = np.zeros((240, 360), dtype=bool)
    mask[100:140, 50:90] = True
    small = STANDARD.on("ucsd-ped2").resize_labels(mask)
    assert small.shape == (158, 238) and small.dtype == bool
    assert abs(small.mean() - mask.mean()) < 0.001
