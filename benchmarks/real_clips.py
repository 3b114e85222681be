"""Real clips with and without the named thing, against labels made by eye.

    python benchmarks/real_clips.py ../shared/data/videos [--model nano]

For each clip and category: frame AUC where both kinds of frames exist, events at the default threshold, how many
labelled stretches have an event in them, and the share of frames outside them that are over the threshold.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import lavida

# first frame and first frame after it, labelled by eye: any part of the thing (not its shadow) is in the picture
PEOPLE = [(60, 198), (227, 447), (502, 699), (745, 870), (921, 1202), (1235, 1362)]
CARS = [(56, 108), (181, 239), (316, 348)]
CLIPS = (
    ("one-by-one-person-detection.mp4", "person", PEOPLE),
    ("one-by-one-person-detection.mp4", "car", []),
    ("one-by-one-person-detection.mp4", "bicycle", []),
    ("car-detection.mp4", "car", CARS),
    ("car-detection.mp4", "person", []),
    ("fire-house6.mp4", "fire", None),
    ("fire-house6.mp4", "car", []),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    detector = lavida.load(options.model)
    print("| clip | category | frame AUC | events | stretches found | quiet frames over the threshold |")
    print("|---|---|---|---|---|---|")
    for name, category, stretches in CLIPS:
        result = detector.detect(options.root / name, [category])
        print("| " + " | ".join([name, category, *measure(result, stretches)]) + " |", flush=True)


def measure(result: "lavida.Detection", stretches: list[tuple[int, int]] | None) -> list[str]:
    """`stretches` None: the thing is in every frame."""
    events, scores = result.events(), result.scores
    labels = np.zeros(len(scores), dtype=bool)
    for first, stop in stretches if stretches is not None else [(0, len(scores))]:
        labels[first:stop] = True
    found = sum(
        any(e.start_s < result.times[stop - 1] and e.end_s > result.times[first] for e in events)
        for first, stop in stretches or []
    )
    both = labels.any() and not labels.all()
    quiet = scores[~labels]
    return [
        f"{roc_auc_score(labels, scores):.3f}" if both else "-",
        str(len(events)),
        f"{found} of {len(stretches)}" if stretches else "-",
        f"{(quiet >= result.threshold).mean():.3f}" if len(quiet) else "-",
    ]


if __name__ == "__main__":
    main()
