import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pycocotools import mask as coco_rle

from lavida.detection import Mask


def read(folder: Path, name: str):
    return json.loads((folder / name).read_text(), parse_constant=lambda name: 1 / 0)


def test_the_frame_table_has_a_row_for_every_frame(detection_of, tmp_path):
    found = detection_of([0.0, 0.9, 0.2], stride=5, categories=("fire", "a fight"))
    found.save(tmp_path / "result", overlay=False)
    table = pq.read_table(tmp_path / "result" / "frames.parquet")
    assert table.schema.equals(
        pa.schema([("frame", pa.int64()), ("time_s", pa.float64()), ("score", pa.float32()), ("category", pa.string())])
    )
    assert table["frame"].to_pylist() == list(range(11))
    np.testing.assert_array_equal(table["score"].to_numpy(), found.scores)
    np.testing.assert_array_equal(table["time_s"].to_numpy(), found.times)
    assert set(table["category"].to_pylist()) == {"fire"}


def test_masks_are_coco_and_in_order_of_frames(detection_of, tmp_path):
    rng = np.random.default_rng(0)
    maps = {frame: rng.random((48, 64)) > 0.5 for frame in (4, 0)}
    masks = [Mask.from_pixels(m, frame=frame, category="fire", score=0.7) for frame, m in maps.items()]
    rows = read(detection_of([0.9] * 5, masks=masks).save(tmp_path / "result", overlay=False), "masks.json")
    assert [row["frame"] for row in rows] == [0, 4]
    for row in rows:
        assert set(row) == {"frame", "category", "score", "segmentation"}
        np.testing.assert_array_equal(coco_rle.decode(row["segmentation"]), maps[row["frame"]])


def test_a_quiet_video_gives_empty_lists(detection_of, tmp_path):
    folder = detection_of([0.1] * 5).save(tmp_path / "result", overlay=False)
    assert read(folder, "events.json") == [] == read(folder, "masks.json")


def test_events_have_the_agreed_keys(detection_of, tmp_path):
    (event,) = read(detection_of([0.9] * 5).save(tmp_path / "result", overlay=False), "events.json")
    assert list(event) == ["start_s", "end_s", "peak_s", "peak_score", "category", "box"]


def test_run_json_is_strict_json_whatever_was_measured(detection_of, tmp_path):
    run = {
        "fps": float("inf"),
        "peak": np.float32(0.5),
        "path": tmp_path,
        "ms": {"decode": np.int64(3)},
        "n": [None],
    }
    folder = detection_of([0.1] * 5, run=run).save(tmp_path / "result", overlay=False)
    written = read(folder, "run.json")
    assert {name: written[name] for name in run} == {
        "fps": None,
        "peak": 0.5,
        "path": str(tmp_path),
        "ms": {"decode": 3},
        "n": [None],
    }
