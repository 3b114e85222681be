"""What pictures of events show, and that nothing waits for them."""

import threading

import cv2
import numpy as np
import pytest

from lavida.detection import Mask
from lavida.live.handover import MOST_PICTURES, MOST_RECORDS, Handover
from lavida.live.pictures import BLOCKS, coded, pixelated
from lavida.live.storing import Storing
from lavida.live.stream import LiveFrame
from lavida.live.watched import Moment
from lavida.video.source import Frame
from live.sending import Camera
from live.streams import BrightScorer, clip
from live.watching import Watching, is_phase, is_score, is_state, planned

HEIGHT, WIDTH = 96, 128
SIDE = HEIGHT // BLOCKS


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def box(x: int, y: int, width: int, height: int, *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Mask:
    pixels = np.zeros(size, bool)
    pixels[y : y + height, x : x + width] = True
    return Mask.from_pixels(pixels, frame=3, category="person", score=0.1)


def moment(image: np.ndarray, *, masks=(), blurred=()) -> Moment:
    return Moment(LiveFrame(Frame(3, 1.2, image), (HEIGHT, WIDTH), (), 0.0, 0.0, False), masks, blurred)


def record(**fields) -> dict:
    return {"type": "event", "phase": "start", "id": "a1", "stream": "gate", "peak_s": 1.2} | fields


def test_what_is_blurred_has_one_colour_a_block_and_the_rest_stays():
    image, person = noise(), box(40, 32, 16, 32)
    shown = pixelated(image, [person])
    hidden = shown[32:64, 40:56].reshape(4, SIDE, 2, SIDE, 3)
    assert (hidden == hidden[:, :1, :, :1]).all()
    assert (shown[:, 80:] == image[:, 80:]).all()
    assert (shown[80:] == image[80:]).all()
    assert (pixelated(image, []) == image).all()


def test_what_is_blurred_cannot_be_undone():
    """Pictures that differ in everything but the means of blocks are the same picture afterwards."""
    image, everywhere = noise(), [box(0, 0, WIDTH, HEIGHT)]
    blocks = image.reshape(BLOCKS, SIDE, WIDTH // SIDE, SIDE, 3)
    other = blocks[:, ::-1, :, ::-1].reshape(image.shape)
    assert (other != image).mean() > 0.9
    assert (pixelated(other, everywhere) == pixelated(image, everywhere)).all()


def test_a_picture_whose_side_is_no_multiple_of_a_block_is_covered_to_its_edge():
    image = noise()[:93, :121]
    shown = pixelated(image, [box(100, 80, 28, 16)])
    assert shown.shape == image.shape
    assert (shown[-1] == shown[-2])[110:].all()


def test_both_pictures_that_leave_are_blurred_and_the_mask_is_drawn_over_it():
    jpegs = coded(record(), moment(noise(), masks=[box(0, 0, 8, 8)], blurred=[box(20, 16, 8, 16, size=(48, 64))]))
    plain, drawn = (cv2.imdecode(np.frombuffer(jpegs[name], np.uint8), 1) for name in ("snapshot", "snapshot_mask"))
    for picture in (plain, drawn):
        assert picture[32:64, 40:56].reshape(4, SIDE, 2, SIDE, 3).std((1, 3)).max() < 12  # JPEG alone
        assert picture[64:, 80:].std() > 50
    assert drawn[:8, :8, 2].mean() > plain[:8, :8, 2].mean() + 30


def test_words_to_blur_are_asked_for_pictures_only_and_give_no_events(tmp_path):
    scorer, moments = BrightScorer(), []
    plan = planned(str(clip(tmp_path / "fire.mp4", [20] * 25 + [250] * 25 + [20] * 25)), blur=("person",))
    with Watching(plan=plan, scorer=scorer, seen=lambda told, each: moments.append((told["phase"], each))) as seen:
        seen.until(is_state("ended"), within=20)
    assert [phase for phase, _ in moments] == ["start", "end"]
    blurred = moments[0][1].blurred
    assert [mask.category for mask in blurred] == ["person"]
    assert moments[1][1] is None
    assert scorer.asked[("person",)] == 1
    assert {name for each in seen.records if is_score(each) for name in each["scores"]} == {"fire", "smoke"}


@pytest.mark.slow
def test_a_disk_that_hangs_delays_no_score_and_keeps_all_events():
    free, kept, camera = threading.Event(), [], Camera()

    def keep(told, picture):
        assert free.wait(60)
        kept.append((told["phase"], picture is not None and bool(picture.jpegs(told))))

    storing = Storing(keep, say=lambda line: None)
    storing.start()
    with Watching(camera.url, seen=storing.put) as seen:
        camera.level = 250
        seen.until(is_phase("start"), within=10)
        known = len(seen.records)
        seen.until(lambda _: len([each for each in seen.records[known:] if is_score(each)]) >= 10, within=20)
        camera.level = 20
        seen.until(is_phase("end"), within=10)
        assert kept == []
    free.set()
    storing.close(patience_s=10)
    camera.close()
    assert kept[0] == ("start", True)
    assert kept[-1][0] == "end"


def test_where_too_many_pictures_wait_the_next_are_dropped_and_their_events_are_kept():
    free, kept, said = threading.Event(), [], []
    storing = Storing(lambda told, picture: free.wait(60) and kept.append((told["id"], picture)), say=said.append)
    count = MOST_PICTURES + 5
    for number in range(count):
        storing.put(record(id=f"e{number}"), moment(noise()))
    assert said == [
        f"no picture of event e{MOST_PICTURES} of gate is kept: the disk is too slow, as many as may are waiting"
    ]
    storing.start()
    free.set()
    storing.close(patience_s=10)
    assert [event for event, _ in kept] == [f"e{number}" for number in range(count)]
    assert [picture is None for _, picture in kept] == [False] * MOST_PICTURES + [True] * 5


def test_whatever_goes_wrong_with_one_event_is_said_and_the_next_is_kept():
    kept, said = [], []

    def keep(told, picture):
        if told["id"] == "bad":
            raise RuntimeError("a library says so")
        kept.append(told["id"])

    storing = Storing(keep, say=said.append)
    storing.start()
    for event in ("bad", "good"):
        storing.put(record(id=event), None)
    storing.close(patience_s=10)
    assert kept == ["good"]
    assert said == [
        "not all of event bad of gate is kept: a library says so; scores go on",
        "events are kept again",
    ]


def test_what_a_disk_has_not_taken_at_the_end_is_said():
    free, said = threading.Event(), []
    storing = Storing(lambda told, picture: free.wait(60), say=said.append)
    storing.start()
    for number in range(3):
        storing.put(record(id=f"e{number}"), None)
    storing.close(patience_s=0.1)
    free.set()
    (line,) = said
    assert line.split(maxsplit=1) in (
        [count, "records of events are not kept: the disk was too slow to take them at the end"] for count in "23"
    )


def test_what_waits_is_bounded_and_starts_and_ends_are_never_left_out():
    handover = Handover()
    for number in range(MOST_RECORDS + 100):
        handover.put({"type": "score", "number": number})
    handover.put(record(phase="update"))
    handover.put(record(phase="end"))
    taken = [told for told, _ in handover.take(10**6, timeout_s=0)]
    assert len(taken) == MOST_RECORDS + 1
    assert taken[-1]["phase"] == "end"
    assert handover.take(1, timeout_s=0) == []


@pytest.mark.parametrize("phase", ["update", "end"])
def test_a_frame_that_is_not_the_peak_has_no_picture(phase):
    assert coded(record(phase=phase, peak_s=9.0), moment(noise())) == {}
