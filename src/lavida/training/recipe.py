"""A training recipe: the YAML file of `lavida train`, checked against these classes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from lavida.errors import InputError
from lavida.model.losses import LossWeights

PRECISIONS = {"bf16": "bf16", "float32": "no"}  # our names (in YAML, "no" is false) and Accelerate's
COUNTS = (
    "data.clip_length",
    "train.steps",
    "train.batch_size",
    "train.accumulate",
    "train.checkpoint_every",
    "train.log_every",
    "train.keep_checkpoints",
    "train.evaluate_pictures",
    "train.lora.rank",
    "train.tokens_per_pair",
)
COUNTS_OR_NONE = ("train.workers", "train.warmup", "train.evaluate_every", "train.show_pictures")
FRAME_MULTIPLE = 32  # of the coarsest map of any backbone
CHOICES = {
    "train.precision": tuple(PRECISIONS),
    "train.schedule": ("cosine", "linear"),
    "train.embeddings": ("full", "seg_row", None),
}


@dataclass
class SetRecipe:
    """One data set of the mixture: `folder` below `data.root`, its split and its share of the draws."""

    name: str = MISSING
    folder: str = MISSING
    split: str = "train"
    weight: float = 1.0
    clips: bool = False  # consecutive frames: may be drawn as clips of `data.clip_length`
    max_categories: int | None = None  # of this set, if that is less than `sampler.max_categories`


@dataclass
class DataRecipe:
    root: str = MISSING
    sets: list[SetRecipe] = MISSING
    size: tuple[int, int] = (256, 320)  # height, width of a training frame
    zoom: tuple[float, float] = (0.5, 2.0)  # of a random view; 1 is the largest view of that shape
    without: float = 0.25  # part of the views chosen to lose a class: the same scene without the object
    moving: float = 0.0  # share of the samples in which cut-out objects move through the picture
    clip_length: int = 4
    clip_share: float = 0.2  # share of the steps that train on clips, with batch_size / clip_length of them
    max_side: int = 640  # longer images are stored at this size
    removed: list[str] = field(default_factory=list)  # categories that training never uses, to be asked at test


@dataclass
class SamplerRecipe:
    """Eq. 1 and 2."""

    max_categories: int = 30
    names: str = "mixture"  # where irrelevant names come from; or "own", the sample's own data set alone (Eq. 1)
    absent: str = "sure"  # irrelevant is what is surely not there; or "unlisted", what the sample does not list (Eq. 1)
    class_share: float | None = 0.5  # of irrelevant names from class names, not free texts; null: one pool of both
    further: float = 0.0  # share of the irrelevant names that come from words which no mask of the mixture shows
    probability: float = 0.5
    several: float = 0.3  # share of the anomalous samples with more than one true category
    ask_left: float = 0.5  # how likely a class that the view has lost is asked for
    labels: str = "observed"  # or "letter": Eq. 2 as written
    phrases: bool = True  # say classes in other words of the vocabulary, too
    even_words: bool = True  # draw names such that the words alone say little about the label


@dataclass
class AlignmentWeights:
    """Weights of the dense signal, which the paper does not have."""

    evidence: float = 4.0
    presence: float = 2.0


@dataclass
class LoraRecipe:
    """Low-rank adapters on linear layers of the language model, whose other weights are then frozen."""

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    targets: list[str] = field(default_factory=lambda: ["q_proj", "v_proj"])


@dataclass
class OptimiserRecipe:
    """What is trained and how."""

    steps: int = MISSING
    batch_size: int = 16  # images a step, all processes and accumulated parts together
    accumulate: int = 1  # parts in which a process takes its share of a step: less memory, the same losses
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    schedule: str = "cosine"  # or "linear": from the learning rate down to 0, after `warmup` steps up to it
    warmup: int = 100
    clip_norm: float = 1.0
    precision: str = "bf16"  # or "float32"
    gradient_checkpointing: bool = False  # of the MLLM: compute activations twice instead of keeping them
    freeze: list[str] | None = None  # names of modules; null: what the preset keeps, see `trainable.FROZEN`
    lora: LoraRecipe | None = None
    embeddings: str | None = None  # "full", "seg_row" (only <SEG>); null: seg_row with LoRA or a pretrained MLLM
    tokens_per_pair: int | None = None  # of the MLLM while it is trained; null: as in the model
    seed: int = 0
    workers: int = 1
    checkpoint_every: int = 250
    log_every: int = 10
    keep_checkpoints: int = 2
    evaluate_every: int = 0  # steps between measurements on held-out pictures; 0: never
    evaluate_pictures: int = 20  # of every set that has held-out pictures
    show_pictures: int = 4  # in TensorBoard, with what the model finds in them


@dataclass
class Recipe:
    """`model` holds `preset` and any field of `LavidaConfig` that differs from it."""

    model: dict[str, Any] = field(default_factory=lambda: {"preset": "nano"})
    data: DataRecipe = field(default_factory=DataRecipe)
    sampler: SamplerRecipe = field(default_factory=SamplerRecipe)
    loss: LossWeights = field(default_factory=LossWeights)
    alignment: AlignmentWeights = field(default_factory=AlignmentWeights)
    train: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    calibrate: bool = True  # on half of the held-out pictures of the data kit below data.root
    out: str = "runs/nano"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML recipe and apply `key=value` overrides. Raises InputError naming the key that does not fit."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such recipe: {path}; try configs/nano.yaml")
    try:
        merged = OmegaConf.merge(
            OmegaConf.structured(Recipe), OmegaConf.load(path), OmegaConf.from_dotlist(list(overrides))
        )
        recipe = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise InputError(f"{path}: {error.full_key or 'recipe'}: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # such as data.sets.0.weight=2
        raise InputError(f"{path}: {error}; a recipe is a mapping, its lists are replaced as a whole") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    assert isinstance(recipe, Recipe)
    _check_values(path, merged)
    return recipe


def _check_values(path: Path, recipe: DictConfig) -> None:
    if any(side < 1 or side % FRAME_MULTIPLE for side in recipe.data.size):
        raise InputError(
            f"{path}: data.size: {list(recipe.data.size)}; choose a height and a width that {FRAME_MULTIPLE} divides"
        )
    for key, choices in CHOICES.items():
        if (chosen := OmegaConf.select(recipe, key)) not in choices:
            names = ", ".join("null" if choice is None else choice for choice in choices)
            raise InputError(f"{path}: {key}: {chosen}; choose one of {names}")
    for keys, least in ((COUNTS, 1), (COUNTS_OR_NONE, 0)):
        for key in keys:
            count = OmegaConf.select(recipe, key)
            if count is not None and count < least:
                raise InputError(f"{path}: {key}: {count}; choose {least} or more")
