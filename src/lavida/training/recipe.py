"""A training recipe: the YAML file of `lavida train`, checked against these classes."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lavida.errors import InputError, one_line, reason, unknown
from lavida.model.losses import LossWeights
from lavida.settings import check_settings, renamed, setting

PRECISIONS = {"bf16": "bf16", "float32": "no"}  # our names (in YAML, "no" is false) and Accelerate's
FRAME_MULTIPLE = 32  # of the coarsest map of any backbone
EXAMPLE = Path("configs/nano.yaml")
DIVISIBLE = (
    lambda size: all(side >= 1 and side % FRAME_MULTIPLE == 0 for side in size),
    f"a height and a width that {FRAME_MULTIPLE} divides",
)
ABOVE_ZERO = (lambda value: 0 < value < math.inf, "a number above 0")
ZOOM = (lambda zoom: 0 < zoom[0] <= zoom[1] < math.inf, "two numbers above 0, the smaller one first")
BETAS = (lambda betas: all(0 <= beta < 1 for beta in betas), "two numbers from 0 to less than 1")
LARGEST_SEED = 2**32 - 1

# earlier names, which work for one version
RENAMED = {
    "data.without": "data.drop_share",
    "sampler.further": "sampler.negatives_only_share",
    "sampler.ask_left": "sampler.ask_out_of_view",
}
RENAMED_VALUES = {("sampler.labels", "letter"): "literal"}


@dataclass
class SetRecipe:
    """One data set of the mixture: `folder` below `data.root`, its split and its share of the draws."""

    name: str = MISSING
    folder: str = MISSING
    split: str = "train"
    weight: float = setting(1.0, rule=ABOVE_ZERO)
    clips: bool = False  # consecutive frames: may be drawn as clips of `data.clip_length`
    # of this set, if that is less than `sampler.max_categories`
    max_categories: int | None = setting(None, least=1)


@renamed(without="drop_share")
@dataclass
class DataRecipe:
    """What is trained on, and how its pictures are varied."""

    root: str = MISSING
    sets: list[SetRecipe] = MISSING
    leave_out: list[str] = field(default_factory=list)  # names of those that are not used
    size: tuple[int, int] = setting((256, 320), rule=DIVISIBLE)  # height, width of a training frame
    # random views, also mirrored, in other light, colour and camera quality; or "whole": each picture as it is,
    # stretched to `size` (then zoom, drop_share and light do not count)
    views: str = setting("varied", choices=("varied", "whole"))
    zoom: tuple[float, float] = setting((0.5, 2.0), rule=ZOOM)  # of a random view; 1 is the largest view of that shape
    # part of the views chosen to lose a class: the same scene without the object
    drop_share: float = setting(0.25, least=0, most=1)
    # share of the samples in which cut-out objects move through the picture
    moving: float = setting(0.0, least=0, most=1)
    # part of those that are crowds of small people, seen as by a camera on a wall
    crowds: float = setting(0.2, least=0, most=1)
    # part of the people in a crowd who run: with three in ten there is hardly one in which nobody does
    crowd_running: float = setting(0.3, least=0, most=1)
    # share of the samples in which a fire burns that was cut out of another picture; four times that where windows are
    burning: float = setting(0.0, least=0, most=1)
    # how far light, contrast and colour may be from those of the picture: at 1 saturation +-.5, contrast -.4 to +.3
    light: float = setting(1.0, least=0, most=2)
    # share of the samples in which one thing, or what somebody wears, has another colour
    recoloured: float = setting(0.0, least=0, most=1)
    clip_length: int = setting(4, least=1)
    # share of the steps that train on clips, with batch_size / clip_length of them
    clip_share: float = setting(0.2, least=0, most=1)
    max_side: int = setting(640, least=1)  # longer images are stored at this size
    removed: list[str] = field(default_factory=list)  # categories that training never uses, to be asked at test

    @property
    def used(self) -> list[SetRecipe]:
        """The sets without those that are left out."""
        return [each for each in self.sets if each.name not in self.leave_out]


@renamed(further="negatives_only_share", ask_left="ask_out_of_view")
@dataclass
class SamplerRecipe:
    """Eq. 1 and 2."""

    max_categories: int = setting(30, least=1)
    # where irrelevant names come from; or "own", the sample's own data set alone (Eq. 1)
    names: str = setting("mixture", choices=("mixture", "own"))
    # irrelevant is what is surely not there; or "unlisted", what the sample does not list (Eq. 1)
    absent: str = setting("sure", choices=("sure", "unlisted"))
    # of irrelevant names from class names, not free texts; null: one pool of both
    class_share: float | None = setting(0.5, least=0, most=1)
    # share of the irrelevant names that come from words which no mask of the mixture shows
    negatives_only_share: float = setting(0.0, least=0, below=1)
    probability: float = setting(0.5, least=0, most=1)
    several: float = setting(0.3, least=0, most=1)  # share of the anomalous samples with more than one true category
    ask_out_of_view: float = setting(0.5, least=0, most=1)  # how likely a class that the view has lost is asked for
    labels: str = setting("observed", choices=("observed", "literal"))  # or "literal": Eq. 2 as written
    phrases: bool = True  # say classes in other words of the vocabulary, too
    qualified: float = setting(0.0, least=0, most=1)  # share of the true names that get a true qualifier
    denied: float = setting(0.0, least=0, most=1)  # share of the irrelevant names: a visible thing, a false qualifier
    unproven: float = setting(0.3, least=0, most=1)  # share of those whose qualifier nothing proves
    # further texts with qualifiers for each sample, from which only the maps of categories learn
    probes: int = setting(0, least=0)
    even_words: bool = True  # draw names such that the words alone say little about the label


@dataclass
class AlignmentWeights:
    """Weights of the dense signal, which the paper does not have."""

    evidence: float = 4.0
    presence: float = 2.0
    nouns: float = 2.0  # of qualified categories, the thing alone


@dataclass
class QualifierRecipe:
    """A last stage in which the maps of what qualifies a thing are learnt alone, over remembered features."""

    samples: int = setting(0, least=0)  # remembered, about 400 KB each; 0: there is no such stage
    steps: int = setting(1000, least=1)
    batch_size: int = setting(24, least=1)
    learning_rate: float = setting(2e-3, least=0)


@dataclass
class LoraRecipe:
    """Low-rank adapters on linear layers of the language model, whose other weights are then frozen."""

    rank: int = setting(8, least=1)
    alpha: float = 16.0
    dropout: float = setting(0.05, least=0, below=1)
    targets: list[str] = field(default_factory=lambda: ["q_proj", "v_proj"])


@dataclass
class TrainRecipe:
    """What is trained and how."""

    steps: int = setting(MISSING, least=0)  # 0: what is trained is in `qualifiers`
    batch_size: int = setting(16, least=1)  # images a step, all processes and accumulated parts together
    # parts in which a process takes its share of a step: less memory, the same losses but for what is drawn for each
    # part (LoRA's dropout; the words that a model with `classifier_evidence` leaves to it alone)
    accumulate: int = setting(1, least=1)
    learning_rate: float = setting(5e-4, least=0)
    weight_decay: float = setting(1e-4, least=0)
    betas: tuple[float, float] = setting((0.9, 0.95), rule=BETAS)
    # down from the learning rate to 0, after `warmup` steps up to it
    schedule: str = setting("cosine", choices=("cosine", "linear"))
    warmup: int = setting(100, least=0)
    clip_norm: float = setting(1.0, rule=(lambda norm: norm > 0, "a number above 0, .inf for none"))
    precision: str = setting("bf16", choices=tuple(PRECISIONS))
    gradient_checkpointing: bool = False  # of the MLLM: compute activations twice instead of keeping them
    freeze: list[str] | None = None  # names of modules; null: what the preset keeps, see `trainable.FROZEN`
    lora: LoraRecipe | None = None
    # seg_row: only that of <SEG>; null: seg_row with LoRA or a pretrained MLLM
    embeddings: str | None = setting(None, choices=("full", "seg_row", None))
    # of the MLLM while it is trained; null: as in the model
    tokens_per_pair: int | None = setting(None, least=1)
    seed: int = setting(0, least=0, most=LARGEST_SEED)
    workers: int = setting(1, least=0)
    checkpoint_every: int = setting(250, least=1)
    log_every: int = setting(10, least=1)
    keep_checkpoints: int = setting(2, least=1)
    evaluate_every: int = setting(0, least=0)  # steps between measurements on held-out pictures; 0: never
    evaluate_pictures: int = setting(20, least=1)  # of every set that has held-out pictures
    show_pictures: int = setting(4, least=0)  # in TensorBoard, with what the model finds in them


@dataclass
class Recipe:
    """`model` holds `preset` and any field of `LavidaConfig` that differs from it."""

    model: dict[str, Any] = field(default_factory=lambda: {"preset": "nano"})
    data: DataRecipe = field(default_factory=DataRecipe)
    sampler: SamplerRecipe = field(default_factory=SamplerRecipe)
    loss: LossWeights = field(default_factory=LossWeights)
    alignment: AlignmentWeights = field(default_factory=AlignmentWeights)
    train: TrainRecipe = field(default_factory=TrainRecipe)
    qualifiers: QualifierRecipe = field(default_factory=QualifierRecipe)
    calibrate: bool = True  # on half of the held-out pictures of the data kit below data.root
    out: str = "runs/nano"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe and apply `key=value` overrides. Raises InputError naming the key that does not fit."""
    path = Path(path)
    if not path.is_file():
        where = "try" if EXAMPLE.is_file() else "lavida's repository has"
        raise InputError(f"no such recipe: {path}; {where} {EXAMPLE}")
    try:
        given = OmegaConf.load(path), OmegaConf.from_dotlist(list(overrides))
        recipe = OmegaConf.to_object(
            OmegaConf.merge(OmegaConf.structured(Recipe), *(with_new_names(each, where=path) for each in given))
        )
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {error.full_key or 'recipe'}: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # such as data.sets.0.weight=2
        raise InputError(f"{path}: {error}; a recipe is a mapping, its lists are replaced as a whole") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {one_line(error)}") from error
    except OSError as error:  # what OmegaConf says to a number, too
        raise InputError(f"{path} is no recipe: {reason(error)}; try configs/nano.yaml") from error
    assert isinstance(recipe, Recipe)
    check_settings(recipe, where=f"{path}: ")
    _check_left_out(recipe.data, where=f"{path}: ")
    if not recipe.train.steps and not recipe.qualifiers.samples:
        raise InputError(f"{path}: train.steps=0 trains nothing without qualifiers.samples; give 1 or more")
    return recipe


def _check_left_out(data: DataRecipe, *, where: str) -> None:
    names = list(dict.fromkeys(each.name for each in data.sets))
    for name in data.leave_out:
        if name not in names:
            raise InputError(f"{where}{unknown('set in data.leave_out', name, names)}")
    if not data.used:
        raise InputError(f"{where}data.leave_out leaves no set to train on")


def with_new_names(given: DictConfig | ListConfig, *, where: Path, quiet: bool = False) -> DictConfig | ListConfig:
    """What a recipe says, in place of earlier names of keys and values those of today.

    Args:
        given: as YAML has it, not yet checked; changed in place.
        where: the file, for a message.
        quiet: no DeprecationWarning, for what nobody can mend (the recipe of an earlier run).

    Raises:
        InputError: a setting is given by both of its names.
    """

    def warn(old: str, new: str) -> None:
        if not quiet:
            warnings.warn(f"{old} in a recipe is now called {new}", DeprecationWarning, stacklevel=5)

    for old, new in RENAMED.items():
        section, before, after = _section(given, old), old.rpartition(".")[2], new.rpartition(".")[2]
        if section is not None and before in section:
            if after in section:
                raise InputError(f"{where}: {old} is the earlier name of {new}: give one of them")
            warn(old, new)
            section[after] = section.pop(before)
    for (key, value), new in RENAMED_VALUES.items():
        section, name = _section(given, key), key.rpartition(".")[2]
        if section is not None and section.get(name) == value:
            warn(f"{key}: {value}", new)
            section[name] = new
    return given


def _section(given: DictConfig | ListConfig, key: str) -> DictConfig | None:
    found = given.get(key.partition(".")[0]) if isinstance(given, DictConfig) else None
    return found if isinstance(found, DictConfig) else None
