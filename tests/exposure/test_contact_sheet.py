"""The drawn samples of `lavida data check`."""

import numpy as np
import pytest
from PIL import Image

from lavida.errors import InputError
from lavida.export.drawing import colours
from lavida.exposure.contact_sheet import PICTURE, ContactSheet
from lavida.exposure.sample import SegmentationSample


def sample(
    masks: dict[str, np.ndarray], *, shape: tuple[int, int, int] = (1, 120, 160), **fields
) -> SegmentationSample:
    frames = np.full((*shape, 3), 90, np.uint8)
    ignore = fields.pop("ignore", None)
    return SegmentationSample(frames=frames, masks=masks, ignore=ignore, dataset="x", key="a/b", **fields)


def filled(rows: slice, columns: slice, *, shape: tuple[int, int, int] = (1, 120, 160), frame: int = 0) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[frame, rows, columns] = True
    return mask


def drawn(tmp_path, *samples: SegmentationSample) -> np.ndarray:
    sheet = ContactSheet()
    for each in samples:
        sheet.add("train", each)
    sheet.save(tmp_path / "new" / "sheet.png")
    return np.asarray(Image.open(tmp_path / "new" / "sheet.png").convert("RGB")).astype(int)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture - colour).max(axis=-1) < 8).sum())


def test_every_mask_has_its_colour_in_the_picture_and_beside_it(tmp_path):
    masks = {"lake": filled(slice(0, 100), slice(0, 100)), "boat": filled(slice(20, 40), slice(20, 60))}
    picture = drawn(tmp_path, sample(masks))
    edge = 20 + PICTURE[0]
    for colour in colours(("lake", "boat")).values():
        assert has(picture[:, :edge], colour) > 100 and has(picture[:, edge:], colour) > 50


def test_words_are_written_and_names_without_a_mask_as_well(tmp_path):
    plain = drawn(tmp_path, sample({}))
    more = {"seen": filled(slice(0, 9), slice(0, 9)), "hidden": filled(slice(0, 0), slice(0, 0))}
    said = drawn(tmp_path, sample(more, expressions={"seen": ("some words for it",)}, out_of_view=frozenset({"zebra"})))
    beside = slice(20 + PICTURE[0], None)
    ink = [(picture[:, beside] < 160).all(axis=-1).sum() for picture in (plain, said)]
    assert ink[1] > ink[0] + 300


def test_of_a_clip_the_frame_with_the_mask_is_shown(tmp_path):
    shape = (3, 120, 160)
    clip = sample({"cat": filled(slice(0, 60), slice(0, 60), shape=shape, frame=2)}, shape=shape)
    clip.frames[2] = (0, 0, 250)
    assert has(drawn(tmp_path, clip), (0, 0, 250)) > 1000


def test_pixels_without_a_label_are_dark(tmp_path):
    dark = drawn(tmp_path, sample({}, ignore=filled(slice(0, 60), slice(0, 160))))
    assert has(dark, (22, 22, 22)) == pytest.approx(60 * 160, rel=0.1)


def test_many_long_names_and_odd_shapes_stay_on_their_tile(tmp_path):
    names = {f"{'very ' * 40}long {i} \udcff": filled(slice(i, i + 1), slice(0, 160)) for i in range(60)}
    tall = sample({"line": np.ones((1, 900, 3), bool)}, shape=(1, 900, 3))
    wide = sample({"line": np.ones((1, 2, 700), bool)}, shape=(1, 2, 700))
    sheet = drawn(tmp_path, sample(names), tall, wide, sample({}))
    single = drawn(tmp_path, sample({}))
    assert sheet.shape == (2 * single.shape[0], 3 * single.shape[1], 3)
    assert (sheet[single.shape[0] :, single.shape[1] :] == 255).all()  # no fifth and sixth sample


def test_an_empty_sheet_and_a_place_that_cannot_be_written_are_input_errors(tmp_path):
    sheet = ContactSheet()
    with pytest.raises(InputError, match="no sample"):
        sheet.save(tmp_path / "sheet.png")
    sheet.add("train", sample({}))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"sheet\.png"):
        sheet.save(tmp_path / "file" / "sheet.png")
