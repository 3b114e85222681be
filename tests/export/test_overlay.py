import av
import numpy as np
import pytest
from PIL import Image

from lavida.detection import Mask
from lavida.errors import InputError
from lavida.export import overlay
from lavida.export.film import encoder, ticks_of
from lavida.export.overlay import OverlayPainter, overlay_size, write_overlay

GRAY = 100
SIZE = (120, 200)


def decode(path) -> tuple[av.VideoStream, list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def block(frame: int, *, category="fire", size=SIZE) -> Mask:
    pixels = np.zeros(size, dtype=bool)
    pixels[60:90, 20:80] = True
    return Mask.from_pixels(pixels, frame=frame, category=category, score=0.9)


def painted(detection, frame: int, *, size=SIZE) -> np.ndarray:
    image = np.full((*size, 3), GRAY, dtype=np.uint8)
    OverlayPainter(detection, size=size).draw(image, frame)
    return image


def test_the_overlay_holds_every_frame_once_at_the_mean_rate(detection_of, picture_folder, tmp_path):
    found = detection_of([0.1, 0.2] * 6, path=picture_folder, size=(47, 63), fps=12.5)
    write_overlay(found, tmp_path / "overlay.mp4")
    stream, frames = decode(tmp_path / "overlay.mp4")
    assert len(frames) == 12
    assert stream.average_rate == 12.5
    assert frames[0].shape == (46, 62, 3)
    assert stream.codec_context.name == "h264"
    assert abs(frames[5][:30].astype(float) - GRAY).mean() < 3


def test_a_damaged_picture_shows_the_one_before_it(detection_of, picture_folder, tmp_path):
    Image.fromarray(np.full((47, 63, 3), 200, np.uint8)).save(picture_folder / "3.png")
    (picture_folder / "4.png").write_bytes(b"broken")
    found = detection_of([0.1] * 12, path=picture_folder, size=(47, 63))
    write_overlay(found, tmp_path / "overlay.mp4")
    _, frames = decode(tmp_path / "overlay.mp4")
    brightness = [frame[:30].mean() for frame in frames]
    assert len(frames) == 12
    assert brightness[4] == pytest.approx(200, abs=8)
    assert brightness[5] == pytest.approx(GRAY, abs=8)


def test_a_stretch_of_a_source_shows_its_own_frames(detection_of, picture_folder, tmp_path):
    for index in range(6):
        Image.fromarray(np.full((47, 63, 3), 220, np.uint8)).save(picture_folder / f"{index}.png")
    found = detection_of([0.1] * 4, path=picture_folder, size=(47, 63), times=np.arange(6, 10) / 25)
    write_overlay(found, tmp_path / "overlay.mp4")
    _, frames = decode(tmp_path / "overlay.mp4")
    assert [frame[:30].mean() for frame in frames] == pytest.approx([GRAY] * 4, abs=8)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 8, 12])
def test_the_overlay_ends_with_its_last_frame_whatever_is_stored_last(detection_of, picture_folder, tmp_path, frames):
    """Some other frame is, where B-frames are coded."""
    times = np.cumsum([0, 31, 36, 35, 30, 34, 33, 29, 38, 40, 27, 5])[:frames] / 1000
    found = detection_of([0.1] * frames, path=picture_folder, size=(47, 63), times=times, fps=5)
    write_overlay(found, tmp_path / "overlay.mp4")
    with av.open(str(tmp_path / "overlay.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
        assert shown == pytest.approx(times, abs=1e-4)
        assert container.duration / av.time_base == pytest.approx(found.end_s, abs=1e-3)


def test_what_the_encoder_refuses_is_one_line(detection_of, picture_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "MAX_WIDTH", 20_000)
    Image.fromarray(np.full((4, 18_000, 3), 100, np.uint8)).save(picture_folder / "wide.png")
    for index in range(12):
        (picture_folder / f"{index}.png").unlink()
    found = detection_of([0.1], path=picture_folder, size=(4, 18_000))
    with pytest.raises(InputError, match="cannot be encoded.*--no-overlay"):
        write_overlay(found, tmp_path / "overlay.mp4")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((47, 63), (46, 62)),
        ((1080, 1920), (720, 1280)),
        ((1920, 1080), (1920, 1080)),
        ((1, 5000), (2, 1280)),
        ((17_000, 1000), (8192, 480)),
    ],
)
def test_sides_are_even_and_big_videos_shrink(size, expected):
    assert overlay_size(height=size[0], width=size[1]) == expected


def test_a_quiet_frame_keeps_its_picture_and_gets_a_gray_bar(detection_of):
    image = painted(detection_of([0.3] * 5, masks=[block(0)], size=SIZE), 2)
    assert (image[:110] == GRAY).all()
    bar = image[-2]
    assert (bar[:58] == bar[0]).all() and len(set(bar[0].tolist())) == 1
    assert bar[70].max() < bar[0].min()
    assert (bar[100] == 255).all()


def test_the_bar_is_as_long_as_the_score(detection_of):
    bars = [painted(detection_of([score] * 5, size=SIZE), 0)[-2] for score in (0.6, 0.9)]
    lengths = [int((bar == bar[0]).all(axis=1).sum()) for bar in bars]
    assert lengths[1] - lengths[0] == 60


def test_a_mask_is_translucent_inside_and_outlined(detection_of):
    image = painted(detection_of([0.9] * 5, masks=[block(0)], size=SIZE), 0)
    inside, edge, outside = image[75, 50], image[60, 50], image[75, 120]
    assert (outside == GRAY).all()
    assert inside[0] > GRAY > inside[2]
    assert edge[0] > inside[0] and edge[2] < inside[2]


def test_a_mask_is_held_until_the_next_analysed_frame(detection_of):
    found = detection_of([0.9, 0.9, 0.9], stride=5, masks=[block(0)], size=SIZE)
    shown = [(painted(found, frame)[75, 50] != GRAY).any() for frame in range(11)]
    assert shown == [True] * 5 + [False] * 6


def test_categories_differ_in_colour(detection_of):
    categories = ("fire", "smoke")
    colours = []
    for category in categories:
        found = detection_of([0.9] * 5, categories=categories, masks=[block(0, category=category)], size=SIZE)
        colours.append(painted(found, 0)[75, 50])
    assert (colours[0] != colours[1]).any()


def test_masks_at_display_size_fit_a_smaller_overlay(detection_of):
    found = detection_of([0.9] * 5, masks=[block(0)], size=SIZE)
    image = painted(found, 0, size=(60, 100))
    assert (image[37, 25] != GRAY).any() and (image[37, 50] == GRAY).all()


def test_the_label_appears_in_events_and_a_long_one_stays_in_the_frame(detection_of):
    short = painted(detection_of([0.9] * 5, size=SIZE), 0)
    long = painted(detection_of([0.9] * 5, categories=("somebody\nclimbs over a fence " * 5,), size=SIZE), 0)
    assert (short[:20, :150] != GRAY).any() and (short[:20, 150:] == GRAY).all()
    assert (long[:20, 120:190] != GRAY).any() and (long[:20, -2:] == GRAY).all()


@pytest.mark.parametrize("size", [(2, 2), (16, 24), (46, 62)])
def test_tiny_frames_can_be_drawn_on(detection_of, size):
    mask = Mask.from_pixels(np.ones(size, dtype=bool), frame=0, category="fire", score=0.9)
    image = painted(detection_of([0.9] * 5, masks=[mask], size=size), 0, size=size)
    assert (image != GRAY).any()


def test_a_real_clip_is_drawn_frame_by_frame(detection_of, kit, tmp_path):
    path = kit / "videos" / "car-detection.mp4"
    found = detection_of(np.full(40, 0.1), path=path, size=(432, 768), fps=12.5)
    write_overlay(found, tmp_path / "overlay.mp4")
    _, frames = decode(tmp_path / "overlay.mp4")
    with av.open(str(path)) as container:
        originals = [
            frame.to_ndarray(format="rgb24") for frame, _ in zip(container.decode(video=0), range(40), strict=False)
        ]
    assert len(frames) == 40
    for frame, original in zip(frames, originals, strict=True):
        assert abs(frame[:400].astype(float) - original[:400]).mean() < 3


@pytest.mark.parametrize(("pause_s", "rate"), [(3600, 90_000), (24_000, 1_000), (86_400, 1_000), (30 * 86_400, 60)])
def test_pictures_hours_apart_are_shown_at_their_own_times(tmp_path, pause_s, rate):
    times = np.concatenate([np.arange(10) * 0.04, pause_s + np.arange(10) * 0.04])
    assert ticks_of(times, end_s=times[-1] + 0.04)[1] == rate
    path = tmp_path / "far.mp4"
    with encoder(path, size=(48, 64), fps=25, times=times, end_s=times[-1] + 0.04) as encode:
        for index in range(len(times)):
            encode(np.full((48, 64, 3), 10 * index, np.uint8))
    with av.open(str(path)) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert shown == pytest.approx(times, abs=0.51 / rate)


@pytest.mark.parametrize("column", [40, 41])
def test_a_thin_line_keeps_its_colour_wherever_it_is(tmp_path, column):
    picture = np.full((64, 96, 3), 128, np.uint8)
    picture[:, column] = (255, 40, 40)
    with encoder(tmp_path / "film.mp4", size=(64, 96), fps=5, times=np.zeros(1), end_s=0.2) as encode:
        encode(picture)
    _, (shown,) = decode(tmp_path / "film.mp4")
    red, green, _ = shown[20:40, column].mean(0)
    assert red > green + 60


def test_colours_survive_the_film(tmp_path):
    colours = [(213, 94, 0), (86, 180, 233), (0, 158, 115), (255, 255, 255), (0, 0, 0)]
    times = np.arange(5) / 5
    with encoder(tmp_path / "film.mp4", size=(64, 96), fps=5, times=times, end_s=1.0) as encode:
        for colour in colours:
            encode(np.full((64, 96, 3), colour, np.uint8))
    shown = [picture[20:40, 20:60].mean((0, 1)) for picture in decode(tmp_path / "film.mp4")[1]]
    assert np.abs(np.array(shown) - colours).max() <= 4
