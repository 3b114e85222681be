"""The detector: source and categories -> Detection, clip by clip, with flat memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers.utils import logging as transformers_logging

from lavida import __version__
from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.model.lavida import LavidaModel, LavidaOutput
from lavida.model.prompt import clean_category
from lavida.stages import StageClock, peak_memory_mb
from lavida.video.clips import Clip, analysis_size, clips
from lavida.video.decode import Frame, Source, SourceInfo, default_stride, open_source

DEFAULT_THRESHOLD = 0.5  # scores are calibrated: more likely than not
MASK_LOGIT = 0.0  # a pixel is abnormal when that is more likely than not
LEAST_MASK_SHARE = 0.0002  # of the frame: smaller specks are not worth a mask
MOST_CATEGORIES = 200
DEVICE_TYPES = ("cpu", "cuda", "mps")
EMBEDDED = Path(__file__).parent / "weights" / "nano"


def load(model: str | Path = "nano", *, device: str = "auto") -> "Detector":
    """Load a detector.

    Args:
        model: `nano` (embedded), or the folder of a saved model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InputError: There is no such model or device.
    """
    folder = EMBEDDED if str(model) == "nano" else Path(model)
    if not folder.is_dir():
        if folder is EMBEDDED:
            raise InputError(f"the embedded model is missing: {folder}; install lavida again, or give a model's folder")
        raise InputError(f"no such model: {model}; give nano or the folder of a saved model")
    chosen = choose_device(device)
    with _quiet_transformers():
        return Detector(LavidaModel.from_pretrained(folder), name=str(model), device=chosen)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar and no warning from transformers: what matters to the user is raised as one line."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


class Detector:
    """A loaded model and the device it runs on."""

    def __init__(self, model: LavidaModel, *, name: str, device: torch.device):
        self.model = model.to(device).eval()
        self.name = name
        self.device = device
        self.autocast = _autocast(device)

    def detect(
        self,
        source: str | Path | Source,
        anomalies: Sequence[str],
        *,
        stride: int | None = None,
        threshold: float = DEFAULT_THRESHOLD,
        pixel_maps: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Detection:
        """Find when and where the described anomalies happen.

        Args:
            source: A video file, a folder of images, or an opened source.
            anomalies: What counts as abnormal, 1 to 200 texts.
            stride: Analyse frames 0, stride, 2 stride, ... and the last; by default at least 5 a second.
            threshold: Score in (0, 1) from which a frame is abnormal.
            pixel_maps: Also keep the logits of every analysed frame at display size (grows with the video).
            progress: Called with the number of frames read so far.

        Raises:
            InputError: The source, the categories or a setting cannot be used.
        """
        anomalies = check_categories(anomalies)
        check_settings(stride=stride, threshold=threshold)
        if isinstance(source, str | Path):
            source = open_source(source)
        stride = stride or default_stride(source.info.fps)
        clock = StageClock()
        gather = _Gather(source.info, anomalies, threshold=threshold, keep_maps=pixel_maps)
        frames = gather.watch(clock.iterate("decode", source.read(stride=stride, size=self._size(source))), progress)
        with torch.inference_mode():
            for clip in clips(frames, length=self.model.config.clip_length):
                with clock.stage("model"):
                    output = self._forward(clip, anomalies)
                with clock.stage("masks"):
                    gather.add(clip, output, self.model)
        return gather.finish(self._run_record(source, anomalies, stride, threshold, clock, gather))

    def _size(self, source: Source) -> tuple[int, int]:
        config = self.model.config
        return analysis_size(
            source.info.width, source.info.height, long_side=config.frame_side, multiple=config.frame_multiple
        )

    def _forward(self, clip: Clip, anomalies: Sequence[str]) -> LavidaOutput:
        try:
            with self.autocast():
                return self.model(clip.frames[None].to(self.device), [list(anomalies)])
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"not enough memory on {self.device} for {len(anomalies)} categories: "
                "give fewer at a time, free the device, or choose --device cpu"
            ) from error

    def _run_record(
        self,
        source: Source,
        anomalies: Sequence[str],
        stride: int,
        threshold: float,
        clock: StageClock,
        gather: "_Gather",
    ) -> dict:
        seconds = clock.elapsed()
        return {
            "source": str(source.info.path),
            "model": self.name,
            "categories": list(anomalies),
            "settings": {
                "stride": stride,
                "threshold": threshold,
                "analysed_size": list(self._size(source)),
                "device": str(self.device),
                "precision": "bf16" if self.autocast().fast_dtype == torch.bfloat16 else "float32",
            },
            "versions": {"lavida": __version__, "torch": torch.__version__},
            "frames": len(gather.times),
            "analysed_frames": len(gather.sampled),
            "stage_ms": clock.milliseconds(),
            "frames_per_second": round(len(gather.times) / seconds, 2),
            "peak_memory_mb": peak_memory_mb(),
            "warnings": list(source.warnings),
        }


class _Gather:
    """Collects what each clip says; holds scores and run-length masks, never pixels (unless maps are kept)."""

    def __init__(self, info: SourceInfo, categories: tuple[str, ...], *, threshold: float, keep_maps: bool):
        self.info, self.categories, self.threshold = info, categories, threshold
        self.times: list[float] = []
        self.sampled: list[int] = []
        self.scores: list[np.ndarray] = []
        self.category_scores: list[np.ndarray] = []
        self.masks: list[Mask] = []
        self.maps: list[np.ndarray] | None = [] if keep_maps else None

    def watch(self, frames, progress: Callable[[int], None] | None):
        """Pass frames on and note the time of each."""
        frame: Frame
        for frame in frames:
            self.times.append(frame.time_s)
            if progress is not None:
                progress(len(self.times))
            yield frame

    def add(self, clip: Clip, output: LavidaOutput, model: LavidaModel) -> None:
        scores = model.calibrated(output.frame_logits[0]).sigmoid().float().cpu().numpy()  # [T]
        per_category = model.category_scores(output, count=len(self.categories))[0].float().cpu().numpy()  # [T, K]
        if not (np.isfinite(scores).all() and np.isfinite(per_category).all()):
            raise InputError("the model's scores are not numbers: its weights are damaged; save or train it again")
        self.sampled.extend(clip.indices.tolist())
        self.scores.append(scores)
        self.category_scores.append(per_category)
        for t, score in enumerate(scores):
            wanted = score >= self.threshold
            if not (wanted or self.maps is not None):
                continue
            logits = self._at_display_size(output.pixel_logits[:, t : t + 1])
            if self.maps is not None:
                self.maps.append(logits.half().cpu().numpy())
            if wanted:
                self._add_masks(int(clip.indices[t]), logits, output, t, per_category[t])

    def _at_display_size(self, logits: torch.Tensor) -> torch.Tensor:
        """`[1,1,h,w]` -> `[H,W]`."""
        size = (self.info.height, self.info.width)
        return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)[0, 0]

    def _add_masks(
        self, frame: int, logits: torch.Tensor, output: LavidaOutput, t: int, per_category: np.ndarray
    ) -> None:
        """One mask a category: each abnormal pixel goes to the category with the most evidence there."""
        abnormal = (logits >= MASK_LOGIT).cpu().numpy()  # [H, W]
        if output.evidence is None or len(self.categories) == 1:
            shares = {int(per_category.argmax()): abnormal}
        else:
            owner = _nearest(output.evidence[0, t].argmax(0).to(torch.uint8).cpu().numpy(), abnormal.shape)
            shares = {index: abnormal & (owner == index) for index in np.unique(owner).tolist()}
        for index, pixels in shares.items():
            if pixels.mean() >= LEAST_MASK_SHARE:
                self.masks.append(
                    Mask.from_pixels(
                        pixels, frame=frame, category=self.categories[index], score=float(per_category[index])
                    )
                )

    def finish(self, run: dict) -> Detection:
        return Detection(
            info=self.info,
            categories=self.categories,
            times=np.array(self.times),
            sampled=np.array(self.sampled),
            sampled_scores=np.concatenate(self.scores),
            sampled_category_scores=np.concatenate(self.category_scores),
            threshold=self.threshold,
            masks=self.masks,
            run=run,
            pixel_maps=None if self.maps is None else np.stack(self.maps),
        )


def _nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge `[h, w]` to `size`."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(size, values.shape, strict=True))
    return values[rows[:, None], columns]  # [H, W]


def check_categories(anomalies: Sequence[str]) -> tuple[str, ...]:
    """The categories on one line each, without repeated ones. Raises InputError for a blank one, none or too many."""
    if isinstance(anomalies, str):
        anomalies = [anomalies]
    cleaned = tuple(dict.fromkeys(clean_category(text) for text in anomalies))
    if not cleaned:
        raise InputError("no category: describe what counts as abnormal in words, for example -a bicycle")
    if len(cleaned) > MOST_CATEGORIES:
        raise InputError(f"{len(cleaned)} categories: give at most {MOST_CATEGORIES} at a time")
    return cleaned


def check_settings(*, stride: int | None, threshold: float) -> None:
    """Raises InputError for a stride or a threshold out of range."""
    if not 0 < threshold < 1:
        raise InputError(f"threshold {threshold} is out of range: choose a value between 0 and 1")
    if stride is not None and stride < 1:
        raise InputError(f"stride {stride} is out of range: choose 1 or more")


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU. Raises InputError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in DEVICE_TYPES:
            raise RuntimeError(f"lavida runs on {', '.join(DEVICE_TYPES)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(". ")[0]
        raise InputError(f"device {name} cannot be used: {reason}; try --device auto") from error
    return device


def _autocast(device: torch.device) -> Callable[[], torch.autocast]:
    """bf16 where the hardware multiplies it fast, else float32."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)
