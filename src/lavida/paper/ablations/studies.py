"""What is ablated: each study is a list of rows, each row a few changes to the same recipe.

Most are the paper's, or take out a part of it. `ingredients` takes out what the embedded model has beyond it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lavida.errors import unknown
from lavida.evaluation.held_out.further import SMALL
from lavida.paper import ABLATIONS, PublishedAblation
from lavida.training.recipe import Recipe
from lavida.training.start import model_settings

DEFAULT = "default"
RECIPE = Path("configs/ablation.yaml")
AT_INFERENCE = frozenset({"model.clean_masks"})  # keys that no training reads
LATER_SETS = {"coco_mini", *(each.dataset for each in SMALL)}  # beside those that the embedded model began with


def _later_sets(recipe: Recipe) -> list[str]:
    """What the recipe leaves out, and those of its sets; only the first where nothing else would be left."""
    own, used = recipe.data.leave_out, [each.name for each in recipe.data.used]
    later = [name for name in dict.fromkeys(used) if name in LATER_SETS]
    return [*own, *later] if len(later) < len(used) else own


@dataclass(frozen=True)
class Row:
    """One variant of the recipe."""

    name: str  # of the run folder and of `--rows`; `default` where nothing is changed
    label: str  # what the table says
    level: Any = None  # value of the study's key; None where the study has none
    changes: Mapping[str, Any] = field(default_factory=dict)  # dotted key of the recipe -> value

    @property
    def trained_as(self) -> "Row":
        """The row whose weights it has: the default, where training would be the same."""
        return Row(DEFAULT, "") if self.changes and AT_INFERENCE.issuperset(self.changes) else self


@dataclass(frozen=True)
class Study:
    """A table: either the levels of one key, or parts of the model switched off one at a time."""

    name: str  # on the command line
    title: str  # of the table
    key: str = ""  # the dotted key that varies; empty where `parts` vary
    levels: tuple[Any, ...] = ()  # its values, in the order of the table
    # name of a part -> the changes that take it out; a value may depend on the recipe
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remark: str = ""  # what a reader of the table must know
    recipe: Path = RECIPE  # of the default row, where none is given
    further: bool = False  # whether its tables have the columns of `runs.further_measures`, too

    @property
    def published(self) -> PublishedAblation | None:
        """The paper's numbers for the same rows."""
        return ABLATIONS.get(self.name)

    @property
    def keys(self) -> tuple[str, ...]:
        """All dotted keys that its rows change."""
        return (self.key,) if self.key else tuple(key for changes in self.parts.values() for key in changes)

    def rows(self, recipe: Recipe) -> list[Row]:
        """The rows in the order of the table; what the recipe, a `completed` one, has already is the default row."""
        if not self.key:
            changes = {part: differing(recipe, changes) for part, changes in self.parts.items()}
            without = [
                Row(f"no-{part}", f"without {part.replace('-', ' ')}", changes=different)
                for part, different in changes.items()
                if different
            ]
            return [Row(DEFAULT, "all parts"), *without]
        own = setting(recipe, self.key)
        return [
            Row(DEFAULT, f"{_said(level)} (default)", level)
            if level == own
            else Row(f"{self.name}-{_said(level)}", _said(level), level, {self.key: level})
            for level in _with_own(self.levels, own)
        ]


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "max-categories",
            "Most categories named in a training sample, max(K_E)",
            key="sampler.max_categories",
            levels=(10, 20, 30, 40),
        ),
        Study(
            "projector",
            "Projector from semantics to the mask decoder's prompt",
            key="model.projector",
            levels=("mlp", "q_former", "two_way"),
        ),
        Study("queries", "Learnable queries of the projector", key="model.projector_queries", levels=(24, 32, 48, 64)),
        Study(
            "compression",
            "Share of the visual tokens that compression keeps",
            key="model.compression_ratio",
            levels=(1.0, 0.5, 0.2, 0.1, 0.05),
        ),
        Study(
            "components",
            "Parts of the model, taken out one at a time",
            parts={
                "f_sem": {"model.use_f_sem": False},
                "f_a": {"model.use_f_a": False},
                "positions": {"model.keep_positions": False},
                "motion": {"model.motion": False},
                "alignment": {
                    "model.alignment": False,
                    "model.classifier_evidence": False,  # both are read through the alignment
                    "model.residual_evidence": False,
                    "model.qualifiers": False,
                },
                "classifier": {"model.classifier_evidence": False},
            },
            remark=(
                "Motion: in the held-out pictures nothing moves, so what it adds shows in the moving scenes (and on "
                "Ped2, where that is measured); the mean AUC is over the pictures."
            ),
        ),
        Study(
            "ingredients",
            "Ingredients of the embedded model's training beyond the paper, taken out one at a time",
            parts={
                "qualifiers": {
                    "model.qualifiers": False,
                    "sampler.qualified": 0.0,
                    "sampler.denied": 0.0,
                    "sampler.probes": 0,
                    "qualifiers.samples": 0,
                },
                "crowds": {"data.crowds": 0.0},
                # one of them has the fires that burn in other pictures
                "later-sets": {"data.leave_out": _later_sets, "data.burning": 0.0},
                "clean-masks": {"model.clean_masks": False},
            },
            remark=(
                "Columns crowd, qualified and by hand: a runner among small walkers, and true against false "
                "qualifiers, made and written by hand (mean AUC of the kinds). They, and the moving scenes, have no "
                "part in the means; coco, with the pictures of coco128 once more, fire and smoke have. Masks are "
                "cleaned at inference: that row has the default's weights."
            ),
            recipe=Path("configs/ingredients.yaml"),
            further=True,
        ),
    )
}

_KEYS = dict.fromkeys(key for study in STUDIES.values() for key in study.keys)
VARIED = tuple(key.removeprefix("model.") for key in _KEYS if key.startswith("model."))  # fields of the model


def choose(name: str) -> list[Study]:
    """The studies that a name on the command line means; `all` are those that share a recipe.

    Raises InputError for an unknown one.
    """
    if name == "all":
        return [study for study in STUDIES.values() if study.recipe == RECIPE]
    if name not in STUDIES:
        raise unknown("ablation", name, [*STUDIES, "all"])
    return [STUDIES[name]]


def unique_rows(studies: Sequence[Study], recipe: Recipe, *, only: Sequence[str] | None = None) -> list[Row]:
    """Every row once, the default row first. Raises InputError for a name in `only` that no study has."""
    rows = {row.name: row for study in studies for row in study.rows(recipe)}
    names = [DEFAULT, *(name for name in rows if name != DEFAULT)]
    if only is not None:
        if others := [name for name in only if name not in rows]:
            raise unknown("row", others[0], names)
        names = [name for name in names if name in only]
    return [rows[name] for name in names]


def completed(recipe: Recipe) -> Recipe:
    """The recipe with every field of the model that a study varies named in it, with the value that it has anyway.

    Rows and tables then know what the default row is, whatever is left to the preset or to a saved model. A recipe
    that names all of them stays as it is.

    Raises:
        InputError: the model's settings do not fit, or there is no such saved model.
    """
    missing = [name for name in VARIED if name not in recipe.model]
    return replace(recipe, model=recipe.model | model_settings(recipe.model, missing)) if missing else recipe


def setting(recipe: Recipe, key: str) -> Any:
    """The value of a dotted key of a `completed` recipe."""
    section, _, name = key.partition(".")
    part = getattr(recipe, section)
    return part[name] if isinstance(part, dict) else getattr(part, name)


def differing(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the changes that change something of a `completed` recipe."""
    values = {key: value(recipe) if callable(value) else value for key, value in changes.items()}
    return {key: value for key, value in values.items() if setting(recipe, key) != value}


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with other values for some dotted keys."""
    for key, value in changes.items():
        section, _, name = key.partition(".")
        part = getattr(recipe, section)
        part = {**part, name: value} if isinstance(part, dict) else replace(part, **{name: value})
        sections: dict[str, Any] = {section: part}
        recipe = replace(recipe, **sections)
    return recipe


def _with_own(levels: tuple[Any, ...], own: Any) -> list[Any]:
    """The levels and the recipe's own one at its place among them."""
    if own in levels:
        return list(levels)
    if isinstance(own, (int, float)):
        return sorted([*levels, own], reverse=levels[0] > levels[-1])
    return [*levels, own]


def _said(level: Any) -> str:
    return f"{level:g}" if isinstance(level, float) else str(level)
