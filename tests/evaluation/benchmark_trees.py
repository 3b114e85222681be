"""Tiny benchmarks in their official layouts, with lines of the official annotation files.

Videos are gray; a bright square is in sight in exactly the frames that the annotation calls abnormal, so that
`BrightSpot`, which knows nothing of annotations, must reach an AUC of 1.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import scipy.io
from PIL import Image

from lavida.video.decode import open_source

HEIGHT, WIDTH = 24, 32
SQUARE = np.s_[4:12, 8:16]

PED1_ANNOTATION = (
    "60:152|50:175|91:200|31:168|5:90, 140:200|1:100, 110:200|1:175|1:94|1:48|1:140|70:165|130:200|1:156|1:200|138:200|"
    "123:200|1:47|54:120|64:138|45:175|31:200|16:107|8:165|50:171|40:135|77:144|10:122|105:200|1:15, 45:113|175:200|"
    "1:180|1:52, 65:115|5:165|1:121|86:200|15:108"
).split("|")
UCF_ANNOTATION = """\
Explosion039_x264.mp4  Explosion  60  150  -1  -1  
RoadAccidents021_x264.mp4  RoadAccidents  30  90  -1  -1  
Vandalism017_x264.mp4  Vandalism  270  330  780  840  
Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1  
"""
XD_ANNOTATION = """\
v=bhZs3ALdL7Y__#1_label_G-0-0 0 70
Quantum.Of.Solace.2008__#01-30-26_01-30-42_label_B2-B1-0 30 55 114 144
The.Fast.and.the.Furious.2001__#01-24-18_01-25-05_label_B6-0-0.mp4 147 347
"""


class BrightSpot:
    """A detector that finds what is bright."""

    name = "bright spot"

    def stream(self, source, anomalies, *, stride, progress) -> Iterator[SimpleNamespace]:
        for frame in open_source(source).read(stride=stride):
            progress(frame.index + 1)
            if frame.image is not None:
                bright = np.where(frame.image.mean(-1) > 150, 4.0, -4.0).astype(np.float16)
                yield SimpleNamespace(
                    indices=np.array([frame.index]),
                    frame_logits=np.array([2.0 if bright.max() > 0 else -2.0], dtype=np.float32),
                    pixel_map=lambda t, bright=bright: bright,
                )


def picture(*, abnormal: bool) -> np.ndarray:
    """uint8 `[H, W]`."""
    image = np.full((HEIGHT, WIDTH), 80, dtype=np.uint8)
    if abnormal:
        image[SQUARE] = 240
    return image


def mask(*, abnormal: bool) -> np.ndarray:
    """bool `[H, W]`, where the square is."""
    return picture(abnormal=abnormal) > 150


def clip(path: Path, frames: int, abnormal: Collection[int] = ()) -> Path:
    """A video file; `abnormal` are indices from 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 2_000_000
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(abnormal=index in abnormal), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def frame_folder(path: Path, frames: int, abnormal: Collection[int] = (), *, suffix: str, first: int = 0) -> Path:
    """A folder of numbered images, the first of which has the number `first`."""
    path.mkdir(parents=True)
    for index in range(frames):
        Image.fromarray(picture(abnormal=index in abnormal)).save(path / f"{index + first:03d}{suffix}")
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def ped1(parent: Path) -> Path:
    """UCSDped1 with the whole annotation, Test005 (two stretches) and Test036, of which the latter has masks."""
    root = parent / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped1"
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{ranges}];" for ranges in PED1_ANNOTATION]
    text(root / "Test" / "UCSDped1.m", "\n".join(["TestVideoFile = {};", *lines, ""]))
    stretches = {"Test005": {*range(4, 90), *range(139, 200)}, "Test036": set(range(14, 108))}
    for name, abnormal in stretches.items():
        frame_folder(root / "Test" / name, 200, abnormal, suffix=".tif", first=1)
    (root / "Test" / "Test036_gt").mkdir()
    for index in range(200):
        shown = mask(abnormal=index in stretches["Test036"])
        Image.fromarray(shown).save(root / "Test" / "Test036_gt" / f"{index + 1:03d}.bmp")
    return root


def avenue(parent: Path) -> Path:
    """Avenue's two downloads beside each other: video 01 with an event, 08 abnormal throughout."""
    for name, abnormal in (("01", {2, 3, 4}), ("08", set(range(9)))):
        clip(parent / "Avenue Dataset" / "testing_videos" / f"{name}.avi", 9, abnormal)
        cells = np.empty((1, 9), dtype=object)
        for index in range(9):
            cells[0, index] = mask(abnormal=index in abnormal).astype(np.uint8)
        path = parent / "ground_truth_demo" / "testing_label_mask" / f"{int(name)}_label.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"volLabel": cells}, do_compression=True)
    return parent


def shanghaitech(parent: Path) -> Path:
    """ShanghaiTech with 01_0014, and 12_0175 without an abnormal frame and without pixel masks."""
    root = parent / "shanghaitech" / "testing"
    for folder in ("test_frame_mask", "test_pixel_mask"):
        (root / folder).mkdir(parents=True)
    for name, abnormal in (("01_0014", {5, 6}), ("12_0175", set())):
        frame_folder(root / "frames" / name, 8, abnormal, suffix=".jpg")
        labels = np.array([index in abnormal for index in range(8)], dtype=np.uint8)
        np.save(root / "test_frame_mask" / f"{name}.npy", labels)
    masks = np.stack([mask(abnormal=index in {5, 6}) for index in range(8)])
    np.save(root / "test_pixel_mask" / "01_0014.npy", masks)
    return parent


def ubnormal(parent: Path) -> Path:
    """UBnormal with one abnormal video of two tracks, and one normal video."""
    root = parent / "UBnormal"
    name = "abnormal_scene_1_scenario_1"
    text(root / "abnormal_test_video_names.txt", f"{name}\nabnormal_scene_1_scenario_2")
    text(root / "normal_test_video_names.txt", "normal_scene_18_scenario_4")
    clip(root / "Scene1" / f"{name}.mp4", 12, {3, 4, 5, 6, 9})
    clip(root / "Scene18" / "normal_scene_18_scenario_4.mp4", 5)
    annotations = root / "Scene1" / f"{name}_annotations"
    text(annotations / f"{name}_tracks.txt", "7.0,3.0,6.0\n9.0,9.0,9.0\n")
    for index in range(12):
        objects = np.full((HEIGHT, WIDTH), 5, dtype=np.uint8)  # a normal person
        objects[SQUARE] = 9 if index == 9 else 7  # object 7 is in sight, but normal, from frame 10 on
        cv2.imwrite(str(annotations / f"{name}_{index:04d}_gt.png"), objects)
    return parent


def ucf_crime(parent: Path) -> Path:
    """UCF-Crime: folders by class, one video in a part of the download, one missing."""
    root = parent / "UCF_Crimes"
    text(root / "Temporal_Anomaly_Annotation.txt", UCF_ANNOTATION)
    clip(root / "Explosion" / "Explosion039_x264.mp4", 160, range(59, 150))
    clip(root / "Anomaly-Videos-Part-3" / "RoadAccidents" / "RoadAccidents021_x264.mp4", 85, range(29, 85))
    clip(root / "Testing_Normal_Videos_Anomaly" / "Normal_Videos_003_x264.mp4", 20)
    return parent


def xd_violence(parent: Path) -> Path:
    """XD-Violence: two of three listed videos, and a normal one; a training video lies elsewhere."""
    root = parent / "XD-Violence"
    text(root / "annotations.txt", XD_ANNOTATION)
    clip(root / "videos" / "v=bhZs3ALdL7Y__#1_label_G-0-0.mp4", 80, range(70))
    abnormal = {*range(30, 55), *range(114, 144)}
    clip(root / "videos" / "Quantum.Of.Solace.2008__#01-30-26_01-30-42_label_B2-B1-0.mp4", 150, abnormal)
    clip(root / "videos" / "v=38GQ9L2meyE__#00-00-00_00-01-00_label_A.mp4", 20)
    clip(root / "training" / "v=5zrJmgrM0tY__#1_label_A.mp4", 3)
    return parent


TREES: dict[str, Callable[[Path], Path]] = {
    "ucsd-ped1": ped1,
    "avenue": avenue,
    "shanghaitech": shanghaitech,
    "ubnormal": ubnormal,
    "ucf-crime": ucf_crime,
    "xd-violence": xd_violence,
}
