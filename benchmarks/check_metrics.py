"""Compute the numbers of an evaluation again, with scikit-learn alone, from what it saved.

    lavida eval ucsd-ped2 --root DIR --out results/motion --baseline motion --save-maps
    python benchmarks/check_metrics.py results/motion [MORE...]

Frame metrics come from `scores/*.npz`; pixel metrics from `maps/*.npy`, where they were saved. Nothing of lavida is
imported. Exit code 1 if a number differs by more than 1e-6.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

TOLERANCE = 1e-6


def average_precision(labels, scores, rule):
    if rule == "step-wise":
        return average_precision_score(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    return auc(recall, precision)


def padded(labels, scores, padding):
    if padding == "none":
        return labels, scores
    low, high = (0, 1) if padding == "zero-one" else (min(scores), max(scores))
    return np.append(labels, [0, 1]), np.append(scores, [low, high])


def frame_metrics(folder, names, protocol):
    videos = []
    for name in names:
        with np.load(folder / "scores" / f"{name}.npz") as video:
            videos.append((video["label"], video["score"]))
    labels, scores = (np.concatenate(column) for column in zip(*videos, strict=True))
    if len(set(labels)) < 2:
        return {"frame_auc_micro": None, "frame_auc_macro": None, "frame_ap": None}
    each = [padded(*video, protocol["macro_padding"]) for video in videos]
    each = [roc_auc_score(*video) for video in each if len(set(video[0])) == 2]
    labels, scores = padded(labels, scores, protocol["auc_padding"])
    return {
        "frame_auc_micro": roc_auc_score(labels, scores),
        "frame_auc_macro": np.mean(each) if each else None,
        "frame_ap": average_precision(labels, scores, protocol["average_precision"]),
    }


def pixel_metrics(folder, names, protocol):
    maps = [np.load(folder / "maps" / f"{name}.npy").ravel() for name in names]
    masks = [np.load(folder / "maps" / f"{name}.mask.npy").ravel() for name in names]
    scores, labels = np.concatenate(maps).astype(np.float32), np.concatenate(masks).astype(bool)
    if labels.all() or not labels.any():
        return {"pixel_auc": None, "pixel_ap": None}
    return {
        "pixel_auc": roc_auc_score(labels, scores),
        "pixel_ap": average_precision(labels, scores, protocol["average_precision"]),
    }


def check(folder):
    """Prints a line for each number; whether all agree."""
    result = json.loads((folder / "metrics.json").read_text())
    names, protocol = result["settings"]["video_names"], result["settings"]["protocol"]
    again = frame_metrics(folder, names, protocol)
    if (folder / "maps").is_dir():
        again |= pixel_metrics(folder, names, protocol)
    agree = True
    for key, value in again.items():
        said = result[key]
        same = said is value if None in (said, value) else abs(said - value) <= TOLERANCE
        agree &= same
        print(f"{folder}: {key}: {said} in metrics.json, {value} here{'' if same else '  DIFFERS'}")
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="result folders of `lavida eval`")
    results = [check(folder) for folder in parser.parse_args().folders]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
