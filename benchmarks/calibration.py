"""Whether calibration keeps its promise: 1,000 made score series with bursts, each with a longer one afterwards.

    python benchmarks/calibration.py [--series 1000] [--later 50] [--from 0]

Prints for each kind of bursts how many series were refused as too short, and in how many of the others the false alarms
of the later hours stayed within the bound. Takes some minutes on one core.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.live.calibration import COOL_DOWN_S, alarms_of, calibrate_word

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from live.made_series import KINDS, series

WISHES, HOURS = (2.0, 4.0, 8.0), (2.0, 4.0)


def one(seed: int, kind: dict[str, float], later: float) -> tuple[bool, float, float] | None:
    """Whether the bound held, the later rate and the bound; None where the footage was refused."""
    rng = np.random.default_rng(seed)
    wish, hours = float(rng.choice(WISHES)), float(rng.choice(HOURS))
    try:
        learnt = calibrate_word("word", [series(rng, hours, **kind)], per_hour=wish)
    except InputError:
        return None
    rate = len(alarms_of(learnt.word, series(rng, later, **kind), cool_down_s=COOL_DOWN_S)) / later
    return rate <= learnt.bound_per_hour <= wish, rate, learnt.bound_per_hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000, help="in all, shared by the kinds of bursts")
    parser.add_argument("--later", type=float, default=50.0, help="hours after calibration")
    parser.add_argument("--from", dest="first", type=int, default=0, help="seed of the first series, one more for each")
    options = parser.parse_args()
    rows = {name: [] for name in KINDS}
    for seed in range(options.first, options.first + options.series):
        name = list(KINDS)[seed % len(KINDS)]
        rows[name].append(one(seed, KINDS[name], options.later))
    kept_all = promised_all = 0
    for name, results in rows.items():
        promised = [each for each in results if each is not None]
        kept = sum(each[0] for each in promised)
        kept_all, promised_all = kept_all + kept, promised_all + len(promised)
        rate, bound = (float(np.mean([each[k] for each in promised])) if promised else None for k in (1, 2))
        row = {"bursts": name, "series": len(results), "refused": len(results) - len(promised), "kept": kept}
        print(json.dumps(row | {"mean_rate": rate, "mean_bound": bound}))
    print(json.dumps({"promised": promised_all, "kept": kept_all, "share": round(kept_all / max(1, promised_all), 4)}))


if __name__ == "__main__":
    main()
