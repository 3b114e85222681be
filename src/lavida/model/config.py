"""`LavidaConfig`: one configuration for every scale; larger scales only change the parts."""

import math
from collections.abc import Iterator

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig, Sam2Config
from transformers.configuration_utils import SubConfigSpec

from lavida.errors import InputError
from lavida.model import backbone as _registers_the_light_backbone  # noqa: F401
from lavida.model.compression import MODES

COARSEST = 32  # stride of the coarsest map of any backbone
COUNTS = (
    *("clip_length", "frame_side", "frame_multiple", "tokens_per_pair", "compression_k", "alignment_dim"),
    *("projector_dim", "projector_layers", "projector_heads", "projector_mlp_dim", "projector_queries"),
    *("cross_attention_heads", "sparse_prompts"),
)
CHOICES = {
    "compression_mode": MODES,
    "mllm_dtype": ("float32", "bfloat16", "float16"),
    "text_pooling": ("mean", "projection"),
    "projector": ("two_way", "q_former", "mlp"),
}
# settings that take whole numbers, too, which `strict` alone does not take for others
WHOLE_TOO = (
    *("image_mean", "image_std", "compression_ratio", "static_patch_drop"),
    *("calibration_temperature", "calibration_bias"),
)
# what a model of pretrained parts has of them
OF_PARTS = ("mllm_config", "sam2_config", "text_config", "sources", "untrained", "frozen_parts")
FROZEN_KEYS = {"module", "package", "file", "sha256"}


@strict
class LavidaConfig(PreTrainedConfig):
    """The parts and the sizes of a `LavidaModel`.

    Sections follow the data: frames, MLLM and token compression (Eq. 3-5), encoders (Eq. 6), frame-level
    cross-attention (Eq. 7), projector (Eq. 8), what goes beyond the paper, and calibration of the scores.
    """

    model_type = "lavida"
    sub_configs_defaults = {
        "mllm_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2_vl"),
        "sam2_config": SubConfigSpec(config_class=Sam2Config, model_type="sam2"),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
    }

    mllm_config: dict | PreTrainedConfig | None = None
    sam2_config: dict | PreTrainedConfig | None = None
    text_config: dict | PreTrainedConfig | None = None

    # frames: T a clip, the longer side in pixels given to the vision encoder, its normalisation
    clip_length: int = 8
    frame_side: int = 1024
    frame_multiple: int = 32
    image_mean: list[float | int] | None = None
    image_std: list[float | int] | None = None

    # MLLM: precision of its weights, visual tokens a frame pair, compression ratio L_r / L_z and k of Eq. 3
    mllm_dtype: str = "float32"  # or "bfloat16", "float16"
    tokens_per_pair: int = 192
    compression_ratio: float | int = 0.5
    compression_k: int = 8
    compression_mode: str = "exact"
    # at test time first drop tokens within this cosine distance of the first frames: the published code does it with
    # 0.01, the paper does not mention it
    static_patch_drop: float | int | None = None

    # text: how the encoder's tokens become f_c ("mean" over tokens, or "projection" for CLIP)
    text_pooling: str = "projection"

    # Eq. 7 and 8
    projector: str = "two_way"  # or "mlp", "q_former" (Table 4)
    projector_dim: int = 768
    projector_layers: int = 5
    projector_heads: int = 12
    projector_mlp_dim: int = 2048
    projector_queries: int = 48
    cross_attention_heads: int = 8
    sparse_prompts: int = 1

    # beyond the paper, each switchable
    alignment: bool = False  # dense text-pixel evidence per category (model/alignment.py)
    alignment_dim: int = 128
    classifier_evidence: bool = False  # the backbone's own ImageNet classifier as open-vocabulary evidence
    residual_evidence: bool = False  # frame and pixel logits = Eq. 9 + evidence, instead of Eq. 9 alone
    clean_masks: bool = False  # masks lose specks and holes (`lavida.masks`)
    expected_maps: bool = False  # pixel maps are the mean of the three masks, smoothed, instead of the best one
    qualifiers: bool = False  # a thing and what qualifies it have maps of their own (model/qualifier_evidence.py)
    motion: bool = False  # what moves between neighbouring frames, added to f_v (model/vision.py)

    # parts that an ablation switches off
    use_f_sem: bool = True  # the MLLM's answer in Eq. 8; without it a learned constant
    use_f_a: bool = True  # the category features in Eq. 8; without them f_sem alone
    keep_positions: bool = True  # kept tokens keep their 3-D positions; else they are numbered anew

    # names that training never used, neither as true nor as irrelevant
    removed_categories: list[str] | None = None

    # score = sigmoid((logit - calibration_bias) / calibration_temperature), fitted on held-out exposure data
    calibration_temperature: float | int = 1.0
    calibration_bias: float | int = 0.0

    # what the pretrained parts were made from: hub ids or names of folders, and whether the other parts are untrained
    sources: dict[str, str] | None = None
    untrained: bool = False

    # weights that stay in the registry package that carries them: [{module, package, file, sha256}]
    frozen_parts: list[dict] | None = None

    def __post_init__(self, **kwargs):
        self.image_mean = [0.485, 0.456, 0.406] if self.image_mean is None else self.image_mean
        self.image_std = [0.229, 0.224, 0.225] if self.image_std is None else self.image_std
        self.frozen_parts = [] if self.frozen_parts is None else self.frozen_parts
        self.removed_categories = [] if self.removed_categories is None else self.removed_categories
        super().__post_init__(**kwargs)
        for name in WHOLE_TOO:
            value = getattr(self, name)
            setattr(self, name, [float(each) for each in value] if isinstance(value, list) else _float(value))
        for name, remedy in self._faults():
            raise InputError(f"{name} {getattr(self, name)} in the model's config: choose {remedy}")
        for count in ("projector_heads", "cross_attention_heads"):
            if self.projector_dim % getattr(self, count):
                width = f"projector_dim {self.projector_dim} in the model's config is no multiple of {count}"
                raise InputError(f"{width} {getattr(self, count)}; choose one that is")
        for switch in ("classifier_evidence", "residual_evidence", "qualifiers"):
            if getattr(self, switch) and not self.alignment:
                raise InputError(f"{switch} needs alignment: in the model's config; set {switch} to false too")

    def _faults(self) -> Iterator[tuple[str, str]]:
        """Settings outside their limits, and what to choose instead."""
        yield from ((name, "1 or more") for name in COUNTS if getattr(self, name) < 1)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                yield name, f"{', '.join(choices[:-1])} or {choices[-1]}"
        if self.frame_multiple % COARSEST:
            yield "frame_multiple", f"a multiple of {COARSEST}"
        means, stds = self.image_mean or [], self.image_std or []
        if len(means) != 3 or not all(map(math.isfinite, means)):
            yield "image_mean", "three numbers, of red, green and blue"
        if len(stds) != 3 or not all(0 < std < math.inf for std in stds):
            yield "image_std", "three numbers above 0, of red, green and blue"
        if not 0 < self.compression_ratio <= 1:
            yield "compression_ratio", "one above 0, at most 1"
        if self.static_patch_drop is not None and not self.static_patch_drop >= 0:
            yield "static_patch_drop", "0 or more, or null"
        if not 0 < self.calibration_temperature < math.inf:
            yield "calibration_temperature", "one above 0"
        if not math.isfinite(self.calibration_bias):
            yield "calibration_bias", "a finite number"
        for part in self.frozen_parts or []:
            if part.keys() != FROZEN_KEYS or not all(isinstance(value, str) for value in part.values()):
                yield "frozen_parts", f"mappings of {', '.join(sorted(FROZEN_KEYS))} to texts"


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


# names of the settings: not those that transformers gives every configuration
SETTINGS = tuple(LavidaConfig.__annotations__)

AutoConfig.register(LavidaConfig.model_type, LavidaConfig)
