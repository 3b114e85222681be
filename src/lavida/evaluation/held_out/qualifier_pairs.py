"""Does the model hear what qualifies a thing? Pairs of a true and a false qualifier, and verbs that nobody taught.

Every text is asked alone, of a picture or a clip that shows the thing. Made pairs come from the masks of held-out
pictures and from scenes made of held-out cut-outs; those by hand were written by looking at held-out pictures and at
clips of DAVIS val before anything was trained with qualifiers.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lavida.detector import DEFAULT_THRESHOLD, Detector
from lavida.evaluation.held_out.answers import area, ask
from lavida.evaluation.held_out.further import further_sets
from lavida.evaluation.held_out.questions import CLIP_LENGTH, PICTURES, SIZE, STREETS, ZOOM, HeldOut, scene_bank
from lavida.exposure.heldout import MIN_AREA, Query
from lavida.exposure.mixture import Mixture
from lavida.exposure.moving import set_in_motion
from lavida.exposure.qualified_draws import draw_qualified, is_thing, put
from lavida.exposure.qualifier_proofs import KINDS, Qualifier
from lavida.exposure.sample import SegmentationDataset, SegmentationSample
from lavida.exposure.views import reframe
from lavida.exposure.vocabulary import Vocabulary
from lavida.timing import Progress, untold

CLIPS = HeldOut("davis clips", "davis", "davis2016", CLIP_LENGTH)
PAIRS = 160  # made ones of each kind
MOST_DRAWS = 3000
SHARE_OF_SCENES = 0.5  # of the draws; the rest are still pictures
SHOWING = 12  # pictures and clips for each noun of `UNPROVEN`
# what nothing proves, by noun; tests/evaluation/test_qualified.py checks that no training asks for these verbs
UNPROVEN: dict[str, tuple[str, ...]] = {
    "person": (
        "robbing a bank", "fighting", "falling asleep", "kicking a door", "eating", "vandalising property",
        "shooting", "loitering", "fainting", "clapping", "selling drugs", "typing", "stretching", "swearing",
    ),
    "car": ("burning", "reversing", "being washed", "blocking the entrance"),
    "dog": ("howling", "scratching itself"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts about one thing that a sample shows: what is true of it and what is false."""

    kind: str
    true: str
    false: str


Asked = tuple[SegmentationSample, list[Pair]]


def qualified_measures(detector: Detector, root: Path, *, progress: Progress = untold) -> dict[str, Any]:
    """What `evaluate_exposure` writes as `qualified`: `made` and `by_hand` by kind, and `unproven`.

    For each kind the number of `pairs`, the `auc` of true against false texts pooled over all of them, the share of
    pairs in the right `order`, and the shares of true and of false texts over the default threshold (`found`,
    `alarms`). For `unproven` see `unproven_measures`.

    Args:
        detector: what is measured.
        root: the data kit.
        progress: called after every sample.
    """
    sets = [*PICTURES, *further_sets(root)]
    most = PAIRS * len(KINDS)
    return {
        "made": by_kind(detector, made_pairs(root, sets), title="qualified, made", most=most, progress=progress),
        "by_hand": by_kind(
            detector, pairs_by_hand(root), title="qualified, by hand", most=len(by_hand()), progress=progress
        ),
        "unproven": unproven_measures(detector, root, sets, progress=progress),
    }


def made_pairs(root: Path, sets: Sequence[HeldOut], *, most: int = PAIRS) -> Iterator[Asked]:
    """Up to `most` pairs of each kind from the masks of held-out pictures and of scenes made of held-out cut-outs."""
    pictures = Mixture([each.load(root) for each in sets], [1.0] * len(sets))
    streets, bank = Mixture([each.load(root) for each in STREETS], [1.0] * len(STREETS)), scene_bank(root)
    count = dict.fromkeys(KINDS, 0)
    for number in range(MOST_DRAWS):
        wanted = [kind for kind in KINDS if count[kind] < most]
        if not wanted:
            break
        rng = np.random.default_rng((number, 13))
        if rng.random() < SHARE_OF_SCENES:
            view = reframe(streets.draw(rng), size=SIZE, rng=rng, scale=ZOOM, drop_share=0)
            sample = set_in_motion(view, bank, length=1, rng=rng)
        elif {"motion", "pose"}.issuperset(wanted):
            continue  # a still picture proves neither
        else:
            sample = pictures.draw(rng)
        pairs = _pairs(sample, wanted, rng)
        for pair in pairs:
            count[pair.kind] += 1
        if pairs:
            yield sample, pairs


def _pairs(sample: SegmentationSample, kinds: Sequence[str], rng: np.random.Generator) -> list[Pair]:
    """At most one of each kind."""
    qualifier, things = _qualifier(sample), _things(sample)
    pairs = []
    for kind in kinds:
        for name in (things[i] for i in rng.permutation(len(things))):
            verdicts = qualifier.verdicts(name, kind)
            true = [word for word, mask in verdicts if mask is not None]
            false = [word for word, mask in verdicts if mask is None]
            if true and false:
                words = (true[rng.integers(len(true))], false[rng.integers(len(false))])
                pairs.append(Pair(kind, *(put(word, name, rng) for word in words)))
                break
    return pairs


def _qualifier(sample: SegmentationSample) -> Qualifier:
    picture = Vocabulary.builtin().picture(sample.masks, sample.dataset, scene=sample.scene)
    return Qualifier(sample, lambda name: not picture.may_show(name))


def _things(sample: SegmentationSample) -> list[str]:
    """Classes of things that are large enough to be asked for."""
    return [name for name, mask in sample.masks.items() if is_thing(name) and mask.mean((1, 2)).max() >= MIN_AREA]


def pairs_by_hand(root: Path) -> Iterator[Asked]:
    """The pairs of `qualified_by_hand.json` with their pictures, or clips of DAVIS."""
    rows = by_hand()
    for each in (*PICTURES[:-1], CLIPS):
        texts: dict[str, list[Pair]] = defaultdict(list)
        for row in rows:
            if row["set"] == each.dataset:
                texts[row["key"]].append(Pair(row["kind"], row["true"], row["false"]))
        yield from _with_samples(each.load(root), texts)


def by_hand() -> list[dict[str, str]]:
    """`set`, `key`, `kind`, `true` and `false` of each pair by hand."""
    return json.loads((files("lavida.evaluation.held_out") / "qualified_by_hand.json").read_text(encoding="utf-8"))


def _with_samples(dataset: SegmentationDataset, texts: dict[str, list[Pair]]) -> Iterator[Asked]:
    """Each key is a picture's, with or without its folder, or that of a video, of which one clip is taken."""
    left = dict(texts)
    for index in range(len(dataset)):
        if not left:
            return
        sample = dataset[index]
        key = next((key for key in (sample.key, *sample.key.split("/")) if key in left), None)
        if key is not None:
            yield sample, left.pop(key)


def by_kind(
    detector: Detector, asked: Iterator[Asked], *, title: str = "", most: int = 1, progress: Progress = untold
) -> dict[str, Any]:
    """The measures of each kind of the pairs; see `qualified_measures`. `progress` is told of `title` and `most`."""
    logits: dict[str, list[NDArray[np.float64]]] = defaultdict(list)  # of each kind [2] a pair: true, false
    for sample, pairs in asked:
        said = text_logits(detector, sample, [text for pair in pairs for text in (pair.true, pair.false)])
        for pair, two in zip(pairs, said.reshape(-1, 2), strict=True):
            logits[pair.kind].append(two)
        progress(title, sum(map(len, logits.values())), most)
    return {kind: _pair_measures(detector, np.stack(rows)) for kind, rows in sorted(logits.items())}


def _pair_measures(detector: Detector, logits: NDArray[np.float64]) -> dict[str, float | int | None]:
    """Of `[N,2]` logits."""
    over = _over(detector, logits)
    labels = [True] * len(logits) + [False] * len(logits)
    return {
        "pairs": len(logits),
        "auc": area(labels, logits.T.ravel()),
        "order": float(np.mean(logits[:, 0] > logits[:, 1])),
        "found": float(over[:, 0].mean()),
        "alarms": float(over[:, 1].mean()),
    }


def unproven_measures(
    detector: Detector, root: Path, sets: Sequence[HeldOut], *, progress: Progress = untold
) -> dict[str, Any]:
    """Texts that nothing proves, asked where the thing is in sight: how often each is over the default threshold.

    Returns:
        `texts`: text -> share of the samples; `alarms`: over all texts and samples; `noun`: the share in which the
        bare thing is found; `proven`: and the thing with a true qualifier, where one is proven; `samples`.
    """
    texts: dict[str, list[bool]] = defaultdict(list)
    nouns: list[bool] = []
    proven: list[bool] = []
    samples = [(noun, *each) for noun in UNPROVEN for each in _showing(noun, root, [*sets, CLIPS])]
    for done, (noun, sample, qualified) in enumerate(samples, start=1):
        said = [f"{noun} {verb}" for verb in UNPROVEN[noun]]
        over = _over(detector, text_logits(detector, sample, [*said, noun, *qualified])).tolist()
        for text, found in zip(said, over[: len(said)], strict=True):
            texts[text].append(found)
        nouns.append(over[len(said)])
        proven += over[len(said) + 1 :]
        progress("unproven", done, len(samples))
    return {
        "samples": len(samples),
        "alarms": float(np.mean([found for each in texts.values() for found in each])),
        "noun": float(np.mean(nouns)),
        "proven": float(np.mean(proven)),
        "texts": {text: float(np.mean(found)) for text, found in texts.items()},
    }


def _showing(noun: str, root: Path, sets: Sequence[HeldOut]) -> Iterator[tuple[SegmentationSample, list[str]]]:
    """Held-out samples in which a noun is plain to see, from all sets in turn, and a true qualified text of each."""
    rng = np.random.default_rng(len(noun))
    orders = [(dataset, list(rng.permutation(len(dataset)))) for dataset in (each.load(root) for each in sets)]
    found, tries = 0, 0
    while found < SHOWING and any(order for _, order in orders) and tries < MOST_DRAWS:
        for dataset, order in orders:
            tries += 1
            if not order or noun not in dataset.vocabulary:
                order.clear()
                continue
            sample = dataset[int(order.pop())]
            mask = sample.masks.get(noun)
            if mask is None or mask.mean((1, 2)).min() < 2 * MIN_AREA or found == SHOWING:
                continue
            found += 1
            drawn = draw_qualified(_qualifier(sample), [noun], true=True, say=lambda name: name, rng=rng)
            yield sample, [] if drawn is None else [drawn.text]


def text_logits(detector: Detector, sample: SegmentationSample, texts: Sequence[str]) -> NDArray[np.float64]:
    """The frame logit of each text, asked alone, `[N]`; of a clip the mean of its frames."""
    answers = ask(detector, sample, [Query(0, (text,), None) for text in texts], calibrates=False)
    return np.array([answer.logit for answer in answers]).reshape(len(texts), -1).mean(1)


def _over(detector: Detector, logits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a score is over the default threshold, in the shape of the logits."""
    return np.asarray(detector.probabilities(logits) >= DEFAULT_THRESHOLD)
