"""What other tools read of `lavida export`, each in an environment of its own: is it what was found, and what was said?

    python benchmarks/readers.py                                  # all; a few minutes for the installations
    python benchmarks/readers.py --only duckdb datumaro --keep environments

A small result with masks, events and labels is made, exported in every format, and read by pycocotools, Datumaro,
label-studio-sdk, DuckDB and FiftyOne, which know nothing of lavida (`benchmarks/readers/`). CVAT has no reader but
its server: Datumaro reads its format, which was written against CVAT's documentation. The exit code is 1 if anything
differs; what cannot be installed or does not start is named.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import add_out, publish, run

from lavida.detection import Detection, Mask
from lavida.export.formats import FORMATS, write_export
from lavida.export.labels import EventLabel
from lavida.video.source import SourceInfo

HERE = Path(__file__).parent / "readers"
READERS = {  # the package, and who reads it
    "pycocotools": ("pycocotools", "with_pycocotools.py"),
    "duckdb": ("duckdb", "with_duckdb.py"),
    "label-studio-sdk": ("label-studio-sdk", "with_label_studio.py"),
    "datumaro": ("datumaro", "with_datumaro.py"),
    "fiftyone": ("fiftyone", "with_fiftyone.py"),
}
NOT_HERE = 3  # the exit code of a reader whose own server does not start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--keep", type=Path, metavar="DIR", help="make the environments here, or use those that are")
    add_out(parser, "readers")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        exported = Path(place) / "exported"
        write_all(exported)
        for name in options.only:
            rows.append(read_by(name, exported, (options.keep or Path(place)) / name))
            print(rows[-1], file=sys.stderr)
    publish("readers", rows, out=options.out)
    sys.exit(1 if any(row["read"] == "differs" for row in rows) else 0)


def write_all(folder: Path) -> None:
    """Every format, and `expected.json` with what stands in them."""
    folder.mkdir()
    found = made()
    labels = said(found)
    for kind in FORMATS:
        suffix = {"cvat": "xml", "csv": "csv", "vtt": "vtt"}.get(kind, "json")
        write_export(found, kind, folder / f"{kind}.{suffix}", labels=labels)
    write_export(picture(found), "label-studio", folder / "label-studio-picture.json")
    (folder / "expected.json").write_text(json.dumps(expected(found, labels)))


def made() -> Detection:
    """Two categories, one with quotes and markup; masks with holes and in several pieces."""
    count, stride = 41, 5
    sampled = np.arange(0, count, stride)
    scores = np.array([0.1, 0.9, 0.8, 0.7, 0.1, 0.1, 0.6, 0.9, 0.1], np.float32)
    rows = np.stack([scores, np.where(sampled >= 25, scores * 0.97, 0.05)], axis=1).astype(np.float32)
    rows[sampled >= 25, 0] = 0.1
    masks = []
    for place, frame in enumerate(sampled.tolist()):
        pixels = np.zeros((48, 64), bool)
        pixels[5 + place : 30, 10 : 40 + place] = True
        pixels[14:20, 15:25] = False
        pixels[40:44, 2:6] = place % 2 == 0
        category = "fire" if frame < 25 else 'a <b> & "c", d'
        masks.append(Mask.from_pixels(pixels, frame=frame, category=category, score=float(rows[place].max())))
    return Detection(
        info=SourceInfo(Path("clip.mp4"), "clip", 64, 48, 10.0, count),
        categories=("fire", 'a <b> & "c", d'),
        times=np.arange(count) / 10,
        sampled=sampled,
        sampled_scores=scores,
        sampled_category_scores=rows,
        threshold=0.5,
        candidates=masks,
    )


def picture(found: Detection) -> Detection:
    """The masks of all frames in one picture, each of which Label Studio gets as brush."""
    return replace(
        found,
        info=replace(found.info, path=Path("street.png")),
        times=found.times[:1],
        sampled=found.sampled[:1],
        sampled_scores=found.sampled_scores[1:2],
        sampled_category_scores=found.sampled_category_scores[1:2],
        candidates=[replace(mask, frame=0) for mask in found.masks],
        masks=[],
    )


def said(found: Detection) -> list[EventLabel]:
    """One event is true, one is false, one was missed."""
    labels = [
        EventLabel(
            start_s=event.start_s,
            end_s=event.end_s,
            category=event.category,
            verdict=verdict,
            threshold=found.threshold,
            peak_score=event.peak_score,
        )
        for event, verdict in zip(found.events(), ("true", "false"), strict=True)
    ]
    return [*labels, EventLabel(start_s=3.8, end_s=4.1, category="fire", verdict="missed")]


def expected(found: Detection, labels: list[EventLabel]) -> dict[str, Any]:
    """In words that need no package: masks as rows of 0 and 1."""
    masks = [
        {
            "frame": mask.frame,
            "category": mask.category,
            "score": mask.score,
            "box": mask.box,
            "rows": ["".join(map(str, row)) for row in mask.pixels.astype(int).tolist()],
        }
        for mask in found.masks
    ]
    events = [event.to_json() for event in found.events()]
    told = [{name: getattr(label, name) for name in ("start_s", "end_s", "category", "verdict")} for label in labels]
    about = {"times": found.times.tolist(), "sampled": found.sampled.tolist(), "end_s": found.end_s}
    return {"masks": masks, "events": events, "labels": told, "size": [48, 64], **about}


def read_by(name: str, exported: Path, place: Path) -> Mapping[str, Any]:
    """Install a reader where it is not yet, and have it compare."""
    package, script = READERS[name]
    begun, python = time.monotonic(), place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        installed = subprocess.run([str(python), "-m", "pip", "install", "-q", package], capture_output=True, text=True)
        if installed.returncode:
            return {"reader": name, "read": "cannot be installed", "what": installed.stderr.strip()[-200:]}
    asked = [str(python), str(HERE / script), str(exported)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    read = {0: "equal", NOT_HERE: "does not start here"}.get(answer.returncode, "differs")
    what = (answer.stdout.strip() if read == "equal" else (answer.stderr or answer.stdout).strip()[-400:]).splitlines()
    return {"reader": name, "read": read, "what": what[-1] if what else "", "s": time.monotonic() - begun}


if __name__ == "__main__":
    run(main)
