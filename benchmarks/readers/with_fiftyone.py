"""coco.json by FiftyOne: masks and scores; exit code 3 where its database does not start."""

import json
import struct
import sys
import tempfile
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np

try:
    import fiftyone as fo

    dataset = fo.Dataset()
except Exception as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(3)

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
height, width = expected["size"]
told = json.loads((folder / "coco.json").read_text())


def png() -> bytes:
    """A black picture: it looks for one of each."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


with tempfile.TemporaryDirectory() as place:
    for image in told["images"]:
        path = Path(place) / image["file_name"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png())
    dataset.add_dir(
        dataset_type=fo.types.COCODetectionDataset,
        data_path=place,
        labels_path=str(folder / "coco.json"),
        label_types="segmentations",
        include_id=True,
        extra_attrs=["score"],
        progress=False,
    )
    got = {}
    for sample in dataset:
        frame = int(Path(sample.filepath).stem.rsplit("-", 1)[1])
        for field in ("segmentations", "detections", "ground_truth"):
            for one in sample[field].detections if sample.has_field(field) and sample[field] else ():
                left, top, *_ = (
                    round(side * size) for side, size in zip(one.bounding_box, [width, height] * 2, strict=True)
                )
                pixels = np.zeros((height, width), int)
                pixels[top : top + one.mask.shape[0], left : left + one.mask.shape[1]] = one.mask
                got[frame, one.label] = ["".join(map(str, row)) for row in pixels.tolist()]
dataset.delete()
wanted = {(mask["frame"], mask["category"]): mask["rows"] for mask in expected["masks"]}
assert got == wanted, (sorted(got), sorted(wanted))
print(f"FiftyOne {version('fiftyone')}: {len(got)} masks of COCO")
