"""Named evaluation protocols: every choice between scores and numbers, as data, written next to the numbers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from lavida.detection import nearest
from lavida.errors import InputError
from lavida.settings import check_settings, setting

OFFICIAL = "official"
NO_OBJECT = -1024.0  # SAM 2's mask logit where its object score says that nothing is there
NO_VALUE = {"smoothing": "off", "normalisation": "off", "pixel_size": "native"}  # the word for None


def _words(*allowed: str) -> Any:
    """One of a few words, by default the first."""
    return setting(allowed[0], choices=allowed)


def _is_size(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(side, int) and side > 0 for side in value)


_SIGMA = (lambda sigma: 0 < sigma <= 10_000, "a number above 0, at most 10000, or off")
_SHARE = (lambda share: 0 < share <= 1, "a number above 0, at most 1")
_SIZE = (_is_size, "HEIGHTxWIDTH, such as 158x238, or native")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The choices that turn scores into numbers. `on` gives those of one benchmark."""

    name: str  # on the command line and in `metrics.json`
    videos: str = _words("all", "abnormal")  # all, or only those with an abnormal frame
    short_videos: str = _words("kept", "skipped")  # those of fewer than `clip_length` * `stride` frames
    # frames behind the last whole clip of `clip_length` * `stride` frames (those of a short video stay); dropped
    # tails also leave out the last frame that no stride reaches
    tails: str = _words("kept", "dropped")
    clip_length: int = setting(8, least=1)  # says what is short and what is a tail, not what the model reads
    # an annotated interval counts frames from 0, from 1, or as its benchmark's official script does
    interval_start: str = _words(OFFICIAL, "zero", "one")
    interval_ends: str = _words(OFFICIAL, "inclusive", "exclusive")  # whether it holds its last frame
    stride: int = setting(1, least=1)  # frames 0, stride, 2 * stride, ... and the last are analysed
    fill: str = _words("linear", "nearest", "hold")  # scores between analysed frames; hold: of the one before
    scale: str = _words("probability", "logit")  # of a detector's scores; baselines have neither and stay as they are
    # Gaussian over the frames of a video, sigma in frames (it looks into the future)
    smoothing: float | None = setting(None, rule=_SIGMA)
    # of each video (it looks at the whole video)
    normalisation: str | None = setting(None, rule=(lambda how: how == "min-max", "min-max or off"))
    metric: str = _words("frame_auc", "frame_ap", "pixel_auc")  # the number that counts
    averaging: str = _words("micro", "macro")  # of the frame AUC that counts: all frames in one list, or mean of videos
    average_precision: str = _words("step-wise", "trapezoid")  # area under the precision-recall curve
    # added to the list of all frames for micro AUC and frame AP: one normal frame of score 0, one abnormal of score 1
    auc_padding: str = _words("none", "zero-one")
    # added to each video for the macro AUC: the same, or one normal frame at its lowest score and one abnormal at its
    # highest; none leaves videos of one class out
    macro_padding: str = _words("extremes", "zero-one", "none")
    # (height, width) to which maps, masks and tracks are brought; None is the masks' own size
    pixel_size: tuple[int, int] | None = setting((240, 428), rule=_SIZE)
    pixel_resize: str = _words("nearest", "bilinear")  # of maps; masks and tracks always by nearest
    # a detector's maps of frames whose logit is not above 0; floored: `NO_OBJECT` everywhere, as SAM 2 has it
    quiet_maps: str = _words("kept", "floored")
    region_iou: float = setting(0.1, rule=_SHARE)  # least IoU of a detected region with an annotated one (RBDC, TBDC)
    track_overlap: float = setting(0.1, rule=_SHARE)  # least share of a track's regions that must be detected (TBDC)
    region_steps: int = setting(4, least=1)  # thresholds an octave at which regions are cut out of the maps
    prompt_template: str = _words("paper", "random")  # the paper's for each clip, or one of the training templates
    per_benchmark: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name of a benchmark -> own choices

    def __post_init__(self) -> None:
        check_settings(self)
        if self.averaging == "macro" and self.metric != "frame_auc":
            raise InputError(
                f"averaging=macro with metric={self.metric}: only the frame AUC is averaged over videos; "
                "set metric=frame_auc too"
            )

    def on(self, benchmark: str) -> Self:
        """The choices for this benchmark, with nothing left in `per_benchmark`."""
        return replace(self, **{**self.per_benchmark.get(benchmark, {}), "per_benchmark": {}})

    def changed(self, settings: Sequence[str]) -> Self:
        """With `key=value` settings, as on the command line; named custom if any of them changes something.

        Raises:
            InputError: there is no such choice, or it has no such value.
        """
        changes: dict[str, Any] = {}
        for text in settings:
            key, equals, value = text.partition("=")
            if not equals or key not in _TYPES:
                raise InputError(f"--set {text}: no such choice; give key=value with one of {', '.join(_TYPES)}")
            changes[key] = _read(key, value)
        kept = [self, *(replace(self, **own) for own in self.per_benchmark.values())]
        changes = {key: value for key, value in changes.items() if any(value != getattr(p, key) for p in kept)}
        if not changes:
            return self
        changed = replace(
            self,
            **changes,
            per_benchmark={
                name: {key: value for key, value in own.items() if key not in changes}
                for name, own in self.per_benchmark.items()
            },
        )
        stored = changed.settings()
        said = (f"{key}={shown(stored[key])}" for key in changes)
        return replace(changed, name=f"custom ({', '.join([self.name, *said])})")

    def settings(self) -> dict[str, Any]:
        """Every choice by name, as `metrics.json` keeps it."""
        chosen = {key: getattr(self, key) for key in _TYPES}
        chosen = {key: NO_VALUE[key] if value is None else value for key, value in chosen.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}

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

    def frame_scores(
        self, scores: NDArray[np.float64], sampled: NDArray[np.int64], *, frames: int, logits: bool
    ) -> NDArray[np.float32]:
        """Scale, fill, smooth and normalise the scores `[S]` of one video, in this order.

        `sampled` `[S]` are the indices of the analysed frames, ascending, one or more; `logits` says whether scores are
        logits, so that they have a probability. The result is float32 `[frames]`, the precision in which scores are
        saved and measured: probabilities of logits above 16.7 are then all 1; the scale `logit` tells them apart.
        """
        if logits and self.scale == "probability":
            scores = expit(scores)
        filled = _FILLS[self.fill](np.arange(frames), sampled, scores)
        if self.smoothing is not None:  # the first and last score go on outside
            filled = gaussian_filter1d(filled, self.smoothing, mode="nearest")
        if self.normalisation is not None:
            low, high = filled.min(), filled.max()
            filled = (filled - low) / (high - low) if high > low else np.zeros_like(filled)
        return filled.astype(np.float32)

    def gated(self, pixel_map: NDArray[np.floating], *, logit: float) -> NDArray[np.floating]:
        """A detector's map `[H, W]` of a frame with this logit, by `quiet_maps`."""
        if self.quiet_maps == "kept" or logit > 0:
            return pixel_map
        return np.full_like(pixel_map, NO_OBJECT)

    def resize_map(self, image: NDArray[np.floating], *, native: tuple[int, int]) -> NDArray[np.floating]:
        """Brings a score map `[H, W]` to `pixel_size`, or to the masks' `native` size."""
        height, width = self.pixel_size or native
        if self.pixel_resize == "nearest":
            return nearest(image, (height, width))
        values = np.asarray(image, dtype=np.float32)
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)

    def resize_labels(self, image: NDArray[Any]) -> NDArray[Any]:
        """Brings a mask or tracks `[H, W]` to `pixel_size`, by nearest neighbour."""
        return nearest(image, self.pixel_size or image.shape)


def _held(every: NDArray[np.int64], sampled: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[np.maximum(np.searchsorted(sampled, every, side="right") - 1, 0)]


def _nearest(every: NDArray[np.int64], sampled: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores[np.searchsorted((sampled[1:] + sampled[:-1]) / 2, every)]  # the earlier one at half-way


_FILLS: dict[str, Callable[..., NDArray[np.float64]]] = {"linear": np.interp, "nearest": _nearest, "hold": _held}

# choice -> its type, without the None of those that may be off
_TYPES: dict[str, Any] = {f.name: (get_args(f.type) or (f.type,))[0] for f in fields(Protocol) if f.metadata}


def _read(key: str, text: str) -> Any:
    """The value that a text stands for; the text itself, which no choice takes, where it stands for none."""
    if key in NO_VALUE and text in (NO_VALUE[key], "null"):
        return None
    with suppress(ValueError):
        if key == "pixel_size":
            return tuple(map(int, text.split("x")))
        return _TYPES[key](text)
    return text


def shown(stored: Any) -> str:
    """A choice as `metrics.json` keeps it, as `--set` takes it."""
    return "x".join(map(str, stored)) if isinstance(stored, list) else str(stored).removesuffix(".0")


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
    quiet_maps="floored",
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
of score 1 added to scores that are logits, in every list; no pixel of a frame counts whose logit is not above 0; a
random prompt for each clip; intervals counted from 0 with their last frame, which is off by one in UCF-Crime and
XD-Violence.
"""

PROTOCOLS = {protocol.name: protocol for protocol in (STANDARD, LAVIDA_UPSTREAM)}
