"""Does a model hear what qualifies a thing? A true against a false qualifier by kind, and verbs that nobody taught.

    python benchmarks/qualified.py ../shared/data [--model nano] [--pairs 60]

The part of `lavida heldout --qualified` that is about qualifiers, on the photos of the five first sets of the data kit,
on made scenes and on clips of DAVIS val. Chance is an AUC of 0.5; a model that reads only nouns has it.
"""

import argparse
from pathlib import Path

import lavida
from lavida.evaluation.held_out.qualifier_pairs import by_kind, made_pairs, pairs_by_hand, unproven_measures
from lavida.evaluation.held_out.questions import PICTURES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--pairs", type=int, default=60, help="made ones of each kind")
    options = parser.parse_args()
    detector = lavida.load(options.model)
    print("| pairs | kind | number | AUC | right order | true ones found | false ones found |")
    print("|---|---|---|---|---|---|---|")
    asked = {"made": made_pairs(options.root, PICTURES, most=options.pairs), "by hand": pairs_by_hand(options.root)}
    for name, pairs in asked.items():
        measures = by_kind(detector, pairs)
        for kind, row in measures.items():
            shares = " | ".join(f"{row[key]:.3f}" for key in ("auc", "order", "found", "alarms"))
            print(f"| {name} | {kind} | {row['pairs']} | {shares} |", flush=True)
        mean = sum(row["auc"] for row in measures.values()) / len(measures)
        print(f"| {name} | mean of the kinds | | {mean:.3f} | | | |")
    said = unproven_measures(detector, options.root, PICTURES)
    print(
        f"\nOver the threshold, of {said['samples']} pictures and clips that show a thing: the thing itself in "
        f"{said['noun']:.1%}, with a true qualifier in {said['proven']:.1%}, with a verb that nobody taught in "
        f"{said['alarms']:.1%}."
    )


if __name__ == "__main__":
    main()
