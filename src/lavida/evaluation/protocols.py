"""Named evaluation protocols: every choice between scores and numbers, as data, written next to the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.detection import nearest
from lavida.errors import InputError

OFFICIAL = "official"
_CHOICE = "choice"  # key of a field's metadata


@dataclass(frozen=True)
class Choice:
    """What a choice of a protocol may be, and how it is written."""

    expected: str  # its values, for people
    parse: Callable[[str], Any]  # reads a value from text; None or ValueError for one that the choice does not have
    empty: str | None = None  # the word for None; None itself where the choice cannot be empty

    def read(self, key: str, text: str) -> Any:
        """The value that `text` stands for. Raises InputError for one that the choice does not have."""
        if self.empty is not None and text == self.empty:
            return None
        try:
            value = self.parse(text)
        except ValueError:
            value = None
        if value is None:
            other = "" if self.empty is None else f" or {self.empty}"
            raise InputError(f"{key}={text}: no such value; {key} is {self.expected}{other}")
        return value

    def shown(self, value: Any) -> str:
        """The text that `read` takes for this value."""
        if value is None:
            return str(self.empty)
        if isinstance(value, tuple):
            return "x".join(map(str, value))
        return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)

    def stored(self, value: Any) -> Any:
        """As JSON keeps it."""
        return self.empty if value is None else list(value) if isinstance(value, tuple) else value


def _choice(default: Any, expected: str, parse: Callable[[str], Any], empty: str | None = None) -> Any:
    return field(default=default, metadata={_CHOICE: Choice(expected, parse, empty)})


def _words(*allowed: str, empty: str | None = None) -> Any:
    """One of a few words, by default the first, or nothing where it may be empty."""
    return _choice(None if empty else allowed[0], " or ".join(allowed), {word: word for word in allowed}.get, empty)


def _count(default: int) -> Any:
    return _choice(default, "a whole number from 1", _whole)


def _number(default: float | None, *, most: float, empty: str | None = None) -> Any:
    expected = f"a number above 0, at most {most:g}"
    return _choice(default, expected, lambda text: number if 0 < (number := float(text)) <= most else None, empty)


def _size(default: tuple[int, int], *, empty: str) -> Any:
    """(height, width) in pixels."""
    return _choice(default, "HEIGHTxWIDTH, such as 158x238", _sides, empty)


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and int(text) > 0 else None


def _sides(text: str) -> tuple[int, int] | None:
    height, width = map(_whole, text.split("x"))
    return None if height is None or width is None else (height, width)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The choices that turn scores into numbers. `on` gives those of one benchmark.

    Attributes:
        name: on the command line and in `metrics.json`.
        videos: `all`, or only those with an `abnormal` frame.
        short_videos: videos of fewer than `clip_length` * `stride` frames are `kept` or `skipped`.
        tails: frames behind the last whole clip of `clip_length` * `stride` frames are `kept` or `dropped` (those
            of a short video stay). Dropped tails also leave out the last frame that no stride reaches.
        clip_length: analysed frames of a clip; says what is short and what is a tail, not what the model reads.
        interval_start: an annotated interval counts frames from `zero`, from `one`, or as its benchmark's `official`
            script does.
        interval_ends: an annotated interval holds its last frame (`inclusive`), does not (`exclusive`), or `official`.
        stride: frames 0, stride, 2 * stride, ... and the last are analysed; 1 is every frame.
        fill: scores between analysed frames: `linear`, `nearest`, or `hold` of the one before.
        scale: scores of a detector are its `probability` or its `logit`; baselines have neither and stay as they are.
        smoothing: Gaussian over the frames of a video, sigma in frames; None is off (it looks into the future).
        normalisation: `min-max` of each video; None is off (it looks at the whole video).
        metric: the number that counts: `frame_auc`, `frame_ap` or `pixel_auc`.
        averaging: of the frame AUC that counts: `micro` (all frames in one list) or `macro` (mean over videos).
        average_precision: area under the precision-recall curve, `step-wise` or by the `trapezoid` rule.
        auc_padding: added to the list of all frames, for micro AUC and frame AP: `none`, or one normal frame of
            score 0 and one abnormal of score 1 (`zero-one`).
        macro_padding: added to each video for the macro AUC: one normal frame at its lowest score and one abnormal
            at its highest (`extremes`), `zero-one`, or `none`, which leaves videos of one class out.
        pixel_size: (height, width) to which maps, masks and tracks are brought; None is the masks' own size.
        pixel_resize: how maps are brought there, `nearest` or `bilinear`; masks and tracks always by nearest.
        region_iou: least intersection over union of a detected region with an annotated one (RBDC, TBDC).
        track_overlap: least share of a track's regions that must be detected (TBDC).
        region_steps: thresholds an octave at which regions are cut out of the maps (RBDC, TBDC).
        prompt_template: the `paper`'s prompt for each clip, or a `random` one of the training templates.
        per_benchmark: what differs on some benchmarks: name of the benchmark -> choices.
    """

    name: str
    videos: str = _words("all", "abnormal")
    short_videos: str = _words("kept", "skipped")
    tails: str = _words("kept", "dropped")
    clip_length: int = _count(8)
    interval_start: str = _words(OFFICIAL, "zero", "one")
    interval_ends: str = _words(OFFICIAL, "inclusive", "exclusive")
    stride: int = _count(1)
    fill: str = _words("linear", "nearest", "hold")
    scale: str = _words("probability", "logit")
    smoothing: float | None = _number(None, most=10_000, empty="off")
    normalisation: str | None = _words("min-max", empty="off")
    metric: str = _words("frame_auc", "frame_ap", "pixel_auc")
    averaging: str = _words("micro", "macro")
    average_precision: str = _words("step-wise", "trapezoid")
    auc_padding: str = _words("none", "zero-one")
    macro_padding: str = _words("extremes", "zero-one", "none")
    pixel_size: tuple[int, int] | None = _size((240, 428), empty="native")
    pixel_resize: str = _words("nearest", "bilinear")
    region_iou: float = _number(0.1, most=1)
    track_overlap: float = _number(0.1, most=1)
    region_steps: int = _count(4)
    prompt_template: str = _words("paper", "random")
    per_benchmark: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, rule in _RULES.items():
            value = getattr(self, key)
            if rule.read(key, rule.shown(value)) != value:
                raise InputError(f"{key}={value!r}: not as the protocol keeps it; set it by name, as in {key}=...")
        if self.averaging == "macro" and self.metric != "frame_auc":
            raise InputError(
                f"averaging=macro with metric={self.metric}: only the frame AUC is averaged over videos; "
                "set metric=frame_auc too"
            )

    def on(self, benchmark: str) -> Protocol:
        """The choices for this benchmark, with nothing left in `per_benchmark`."""
        return replace(self, **{**self.per_benchmark.get(benchmark, {}), "per_benchmark": {}})

    def changed(self, settings: Sequence[str]) -> Protocol:
        """With `key=value` settings, as on the command line; named custom if any of them changes something.

        Raises:
            InputError: there is no such choice, or it has no such value.
        """
        changes: dict[str, Any] = {}
        for setting in settings:
            key, equals, text = setting.partition("=")
            if not equals or key not in _RULES:
                raise InputError(f"--set {setting}: no such choice; give key=value with one of {', '.join(_RULES)}")
            changes[key] = _RULES[key].read(key, text)
        kept = [self, *(replace(self, **own) for own in self.per_benchmark.values())]
        changes = {key: value for key, value in changes.items() if any(value != getattr(p, key) for p in kept)}
        if not changes:
            return self
        return replace(
            self,
            **changes,
            name=f"custom ({self.name}, {', '.join(f'{k}={_RULES[k].shown(v)}' for k, v in changes.items())})",
            per_benchmark={
                name: {key: value for key, value in own.items() if key not in changes}
                for name, own in self.per_benchmark.items()
            },
        )

    def settings(self) -> dict[str, Any]:
        """Every choice by name, as `metrics.json` keeps it."""
        return {key: rule.stored(getattr(self, key)) for key, rule in _RULES.items()}

    @property
    def headline(self) -> str:
        """The key in `metrics.json` of the number that counts."""
        return f"frame_auc_{self.averaging}" if self.metric == "frame_auc" else self.metric

    def used_frames(self, frames: int) -> int:
        """How many of a video's frames count, from its first; 0 for a video that is skipped."""
        clip = self.clip_length * self.stride
        if frames < clip:
            return 0 if self.short_videos == "skipped" else frames
        return frames if self.tails == "kept" else frames - frames % clip

    def analyses(self, index: int, *, is_last: bool) -> bool:
        """Whether frame `index` of a video is one that its scores come from."""
        return index % self.stride == 0 or (is_last and self.tails == "kept")

    def resize_map(self, image: NDArray[np.floating], *, native: tuple[int, int]) -> NDArray[np.floating]:
        """Brings a score map `[H, W]` to `pixel_size`, or to the masks' `native` size."""
        height, width = self.pixel_size or native
        if self.pixel_resize == "nearest":
            return nearest(image, (height, width))
        return cv2.resize(np.asarray(image, dtype=np.float32), (width, height), interpolation=cv2.INTER_LINEAR)

    def resize_labels(self, image: NDArray[Any]) -> NDArray[Any]:
        """Brings a mask or tracks `[H, W]` to `pixel_size`, by nearest neighbour."""
        return nearest(image, self.pixel_size or image.shape)


_RULES: dict[str, Choice] = {f.name: f.metadata[_CHOICE] for f in fields(Protocol) if _CHOICE in f.metadata}

_UCSD_SIZE = (158, 238)

STANDARD = Protocol(
    name="standard",
    per_benchmark={
        "ucsd-ped1": {"pixel_size": _UCSD_SIZE},
        "ucsd-ped2": {"pixel_size": _UCSD_SIZE, "metric": "pixel_auc"},
        "xd-violence": {"metric": "frame_ap"},
    },
)
"""What the literature compares: every frame of every video, nothing smoothed, no look into the future.

XD-Violence counts frame AP; UCSD Ped2 pixel AUC, as in the paper's Table 2; the others micro frame AUC.
"""

LAVIDA_UPSTREAM = Protocol(
    name="lavida-upstream",
    short_videos="skipped",
    tails="dropped",
    fill="hold",
    scale="logit",
    auc_padding="zero-one",
    macro_padding="zero-one",
    pixel_size=_UCSD_SIZE,
    prompt_template="random",
    per_benchmark={
        "ubnormal": {"stride": 4, "videos": "abnormal"},
        "shanghaitech": {"stride": 2},
        "ucf-crime": {"stride": 128, "interval_start": "zero", "interval_ends": "inclusive"},
        "xd-violence": {"stride": 128, "interval_start": "zero", "interval_ends": "inclusive"},
        "ucsd-ped2": {"metric": "pixel_auc"},
    },
)
"""What the evaluation in the code published with the paper does (commit 56b3058).

Each deviates from the literature: UBnormal without its normal videos; sparse frames, each score held until the next;
videos shorter than a clip skipped (71 of 290 in UCF-Crime, 162 of 800 in XD-Violence) and tails dropped; AUC where
XD-Violence is compared by AP (a comparison in that code is never true); a normal frame of score 0 and an abnormal one
of score 1 added to scores that are logits, in every list; a random prompt for each clip; intervals counted from 0 with
their last frame, which is off by one in UCF-Crime and XD-Violence.
"""

PROTOCOLS = {protocol.name: protocol for protocol in (STANDARD, LAVIDA_UPSTREAM)}
