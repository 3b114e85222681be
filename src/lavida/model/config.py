"""`LavidaConfig`: one configuration for every scale; larger scales only change the parts."""

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig, Sam2Config
from transformers.configuration_utils import SubConfigSpec

from lavida.errors import InputError
from lavida.model import backbone as _registers_the_light_backbone  # noqa: F401
from lavida.model.compression import MODES


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
    image_mean: list[float] | None = None
    image_std: list[float] | None = None

    # MLLM: precision of its weights, visual tokens a frame pair, compression ratio L_r / L_z and k of Eq. 3
    mllm_dtype: str = "float32"  # or "bfloat16", "float16"
    tokens_per_pair: int = 192
    compression_ratio: float = 0.5
    compression_k: int = 8
    compression_mode: str = "exact"
    # at test time first drop tokens within this cosine distance of the first frames: the published code does it with
    # 0.01, the paper does not mention it
    static_patch_drop: float | None = None

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
    calibration_temperature: float = 1.0
    calibration_bias: float = 0.0

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
        if self.compression_mode not in MODES:
            modes = " or ".join(MODES)
            raise InputError(f"compression_mode {self.compression_mode!r} in the model's config: choose {modes}")
        if not self.compression_ratio > 0:
            raise InputError(f"compression_ratio {self.compression_ratio} in the model's config: choose one above 0")
        heads = ("projector_heads", "cross_attention_heads")
        for count in ("clip_length", "frame_side", "frame_multiple", "tokens_per_pair", "compression_k", *heads):
            if getattr(self, count) < 1:
                raise InputError(f"{count} {getattr(self, count)} in the model's config: choose 1 or more")
        for count in heads:
            if self.projector_dim % getattr(self, count):
                width = f"projector_dim {self.projector_dim} in the model's config is no multiple of {count}"
                raise InputError(f"{width} {getattr(self, count)}; choose one that is")
        for switch in ("classifier_evidence", "residual_evidence", "qualifiers"):
            if getattr(self, switch) and not self.alignment:
                raise InputError(f"{switch} needs alignment: in the model's config; set {switch} to false too")


AutoConfig.register(LavidaConfig.model_type, LavidaConfig)
