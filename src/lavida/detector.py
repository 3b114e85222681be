"""The detector: source and categories -> Detection, clip by clip, with flat memory."""

import resource
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from lavida import __version__
from lavida.detection import Detection, Mask
from lavida.errors import InputError
from lavida.model.lavida import LavidaModel, LavidaOutput
from lavida.stages import StageClock
from lavida.video.clips import Clip, analysis_size, clips
from lavida.video.decode import Frame, Source, SourceInfo, default_stride, open_source

DEFAULT_THRESHOLD = 0.5  # scores are calibrated: more likely than not
MASK_PROBABILITY = 0.5
LEAST_MASK_SHARE = 0.0002  # of the frame: smaller specks are not worth a mask
MOST_CATEGORIES = 200


def load(model: str | Path = "nano", *, device: str = "auto") -> "Detector":
    """Load a detector.

    Args:
        model: `nano` (embedded), or the folder of a saved model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InputError: There is no such model or device.
    """
    folder = Path(__file__).parent / "weights" / "nano" if str(model) == "nano" else Path(model)
    if not folder.is_dir():
        raise InputError(f"no such model: {model}; give nano or the folder of a saved model")
    return Detector(LavidaModel.from_pretrained(folder), name=str(model), device=choose_device(device))


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
        if not 0 < threshold < 1:
            raise InputError(f"threshold {threshold} is out of range: choose a value between 0 and 1")
        if stride is not None and stride < 1:
            raise InputError(f"stride {stride} is out of range: choose 1 or more")
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
        with self.autocast():
            return self.model(clip.frames[None].to(self.device), [list(anomalies)])

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
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
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
        per_category = model.category_scores(output)[0].float().cpu().numpy()  # [T, K]
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
        abnormal = logits.sigmoid() >= MASK_PROBABILITY  # [H, W]
        if output.evidence is None or len(self.categories) == 1:
            owner = torch.full_like(abnormal, int(per_category.argmax()), dtype=torch.int64)
        else:
            owner = output.evidence[0, t].float().argmax(0)[None, None].float()  # [1, 1, h, w]
            owner = F.interpolate(owner, size=tuple(logits.shape), mode="nearest")[0, 0].long()
        for index in owner[abnormal].unique().tolist():
            pixels = (abnormal & (owner == index)).cpu().numpy()
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


def check_categories(anomalies: Sequence[str]) -> tuple[str, ...]:
    """The categories as given, without blank or repeated ones. Raises InputError when none or too many are left."""
    if isinstance(anomalies, str):
        anomalies = [anomalies]
    cleaned = tuple(dict.fromkeys(" ".join(text.split()) for text in anomalies))
    if not cleaned or "" in cleaned:
        raise InputError("empty category: describe what counts as abnormal in words, for example -a bicycle")
    if len(cleaned) > MOST_CATEGORIES:
        raise InputError(f"{len(cleaned)} categories: give at most {MOST_CATEGORIES} at a time")
    return cleaned


def choose_device(name: str) -> torch.device:
    """`auto` takes CUDA, then MPS, then the CPU. Raises InputError for a device that is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name} cannot be used: {reason}; try --device auto") from error
    return device


def _autocast(device: torch.device) -> Callable[[], torch.autocast]:
    """bf16 where the hardware multiplies it fast, else float32."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return lambda: torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)
