"""LAVIDA's forward pass on one screen: clip and categories -> frame scores and pixel logits (Eq. 3-9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, PreTrainedTokenizerBase, Sam2Model

from lavida.errors import InputError
from lavida.model.alignment import Alignment, ClassifierEvidence, presence
from lavida.model.config import LavidaConfig
from lavida.model.decoder import Decoded, decode_masks
from lavida.model.frame_semantics import FrameSemantics
from lavida.model.phrase import split_phrase
from lavida.model.projector import SemanticProjector, build_projector
from lavida.model.qualifier_evidence import QualifierEvidence, qualified
from lavida.model.semantics import Semantics
from lavida.model.text import CategoryEncoder, random_encoder
from lavida.model.vision import CUES, MotionEncoder, VisionFeatures, vision_cues, vision_features


@dataclass(frozen=True, slots=True)
class LavidaOutput:
    """B clips of T frames with up to K categories; all logits, padding categories hold anything.

    Attributes:
        frame_logits: `[B,T]`, y^f before the sigmoid.
        pixel_logits: `[B,T,H/4,W/4]`, y^p before the sigmoid: the mask of highest predicted IoU.
        category_logits: `[B,T,K]`, which category is in the frame; None without alignment.
        evidence: `[B,T,K,H/8,W/8]`, where each category is; None without alignment.
        decoded: The decoder's three masks, IoU and object logits for B*T frames, for the objective.
        text_loss: L_txt, None unless asked for.
        noun_evidence: `evidence` of each noun alone, whatever qualifies it; None without `config.qualifiers`.
        probe_evidence: `[B,T,P,H/8,W/8]`, `evidence` of further texts; None unless asked for.
    """

    frame_logits: torch.Tensor
    pixel_logits: torch.Tensor
    category_logits: torch.Tensor | None
    evidence: torch.Tensor | None
    decoded: Decoded
    text_loss: torch.Tensor | None
    noun_evidence: torch.Tensor | None = None
    probe_evidence: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """What the text encoder says of up to K categories of each of B prompts.

    Attributes:
        f_c: `[B,K,D_t]`, zeros for padding.
        valid: Bool `[B,K]`, False for padding.
        f_noun: `[B,K,D_t]`, of the nouns alone; None without `config.qualifiers`.
        f_qualifier: `[B,K,Q,D_t]`, of what qualifies them, zeros for padding; None where nothing does.
        f_named: `[B,K,Q,D_t]`, of what each qualifier names; None with `f_qualifier`.
        present: Bool `[B,K,Q]`, False for padding; None with `f_qualifier`.
    """

    f_c: torch.Tensor
    valid: torch.Tensor
    f_noun: torch.Tensor | None = None
    f_qualifier: torch.Tensor | None = None
    f_named: torch.Tensor | None = None
    present: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """`mllm` for Eq. 5, `sam2` for f_v and the mask decoder, `text` for f_c."""

    mllm: PreTrainedModel
    sam2: Sam2Model
    text: PreTrainedModel

    @classmethod
    def random(cls, config: LavidaConfig) -> "Parts":
        """Of the shapes in `config`, without trained weights."""
        return cls(
            mllm=AutoModelForImageTextToText.from_config(config.mllm_config, dtype=config.mllm_dtype),
            sam2=Sam2Model(config.sam2_config),
            text=random_encoder(config.text_config, pooling=config.text_pooling),
        )


class LavidaNetwork(PreTrainedModel):
    """The whole of section 3, assembled from `transformers` parts by a `LavidaConfig`.

    `parts`: pretrained models of the shapes in `config`, taken as they are; without them random ones are made.
    """

    config_class = LavidaConfig
    main_input_name = "frames"

    def __init__(
        self,
        config: LavidaConfig,
        tokenizer: PreTrainedTokenizerBase,
        text_tokenizer: PreTrainedTokenizerBase,
        *,
        parts: Parts | None = None,
    ):
        super().__init__(config)
        parts = Parts.random(config) if parts is None else parts
        self.sam2 = parts.sam2
        vision_dim = parts.sam2.config.vision_config.fpn_hidden_size
        self.semantics = Semantics(
            parts.mllm,
            tokenizer,
            ratio=config.compression_ratio,
            k=config.compression_k,
            tokens_per_pair=config.tokens_per_pair,
            compression=config.compression_mode,
            keep_positions=config.keep_positions,
            static_patch_drop=config.static_patch_drop,
        )
        self.text = CategoryEncoder(config.text_config, text_tokenizer, pooling=config.text_pooling, encoder=parts.text)
        if config.motion:
            self.motion = MotionEncoder(vision_dim=vision_dim)
        self.frame_semantics = FrameSemantics(
            text_dim=self.text.dim,
            vision_dim=vision_dim,
            dim=config.projector_dim,
            heads=config.cross_attention_heads,
        )
        projector = build_projector(
            config.projector,
            dim=config.projector_dim,
            out_dim=parts.sam2.config.mask_decoder_config.hidden_size,
            layers=config.projector_layers,
            heads=config.projector_heads,
            mlp_dim=config.projector_mlp_dim,
            queries=config.projector_queries,
            prompts=config.sparse_prompts,
        )
        self.projector = SemanticProjector(projector, llm_dim=self.semantics.hidden_size, dim=config.projector_dim)
        if config.alignment:
            classifier = None
            if config.classifier_evidence:
                classifier = ClassifierEvidence(classes=1000, text_dim=self.text.dim)
            self.alignment = Alignment(
                vision_dim=vision_dim,
                text_dim=self.text.dim,
                dim=config.alignment_dim,
                classifier=classifier,
            )
            if config.qualifiers:
                self.add_qualifiers()
            self.presence_to_semantics = nn.Linear(1, config.projector_dim)
        self.post_init()
        # post_init finds tied weights of direct children only
        tied = parts.mllm.all_tied_weights_keys.items()
        self.all_tied_weights_keys |= {f"semantics.mllm.{a}": f"semantics.mllm.{b}" for a, b in tied}

    def add_qualifiers(self) -> None:
        """Give the model new, untrained weights for what qualifies a thing; without a qualifier it answers as before.

        Raises InputError if the model has no alignment.
        """
        config = self.config
        if not config.alignment:
            raise InputError("qualifiers need a model with alignment; model.start takes a model as it is")
        config.qualifiers = True
        vision_dim = self.sam2.config.vision_config.fpn_hidden_size
        self.qualifiers = QualifierEvidence(
            vision_dim=vision_dim, cues=CUES, text_dim=self.text.dim, dim=config.alignment_dim
        ).train(self.training)

    def get_input_embeddings(self) -> None:
        """None: it reads videos. Accelerate asks for them before it shards a model."""

    def forward(
        self,
        frames: torch.Tensor,
        categories: Sequence[Sequence[str]],
        *,
        motion: torch.Tensor | None = None,
        template: Sequence[int] | None = None,
        with_text_loss: bool = False,
        probes: Sequence[Sequence[str]] | None = None,
    ) -> LavidaOutput:
        """Score B clips, each with its own categories.

        Args:
            frames: `[B,T,3,H,W]` RGB in 0..255, sides multiples of `config.frame_multiple`.
            categories: For each clip its anomaly descriptions, at least one.
            motion: `[B,T,4,H/4,W/4]`, what moves in each frame (`video.motion.motion_field`); None: unknown.
            template: For each clip an index into `prompt.TEMPLATES`; the paper's by default.
            with_text_loss: Also compute L_txt.
            probes: P texts for each clip whose maps alone are wanted, which is cheap; needs alignment.
        """
        f_sem, text_loss = self.clip_semantics(
            frames, categories, template=template, with_text_loss=with_text_loss
        )  # [B, D_llm]
        features = self.encode(frames, motion)
        probed = self._evidence(features, self.text_features(probes))[0] if probes else None
        return replace(self.decode(features, f_sem, categories), text_loss=text_loss, probe_evidence=probed)

    def encode(self, frames: torch.Tensor, motion: torch.Tensor | None = None) -> VisionFeatures:
        """Compute f_v of B clips (Eq. 6), the most costly part, which no prompt changes: encode once, decode often.

        Arguments as in `forward`; frames do not depend on each other, so a clip may come in parts.
        """
        f_v = vision_features(self.sam2, frames, mean=self.config.image_mean, std=self.config.image_std)
        moving = motion.flatten(0, 1) if self.config.motion and motion is not None else None
        if moving is not None:
            f_v = self.motion(f_v, moving)
        return replace(f_v, cues=vision_cues(frames, moving)) if self.config.qualifiers else f_v

    def decode(
        self, features: VisionFeatures, f_sem: torch.Tensor, categories: Sequence[Sequence[str]]
    ) -> LavidaOutput:
        """Score encoded frames against prompts (Eq. 7-9).

        Args:
            features: What `encode` gave for B clips, or for one clip that B prompts are about.
            f_sem: `[B,D_llm]` of the whole clips, from `clip_semantics`.
            categories: For each of the B its anomaly descriptions.
        """
        f_v = features.repeated(len(categories)) if features.clips == 1 else features
        return self.decode_features(f_v, f_sem, self.text_features(categories))

    def decode_features(self, f_v: VisionFeatures, f_sem: torch.Tensor, texts: TextFeatures) -> LavidaOutput:
        """`decode` behind the text encoder: tensors alone.

        Args:
            f_v: Of B clips, one for each prompt.
            f_sem: `[B,D_llm]`.
            texts: f_c `[B,K,D_t]`, with what qualifies each, and which of the K are no padding.
        """
        batch, length = f_v.clips, f_v.coarsest.shape[0] // f_v.clips
        f_c, category_mask = texts.f_c, texts.valid
        coarse = f_v.coarsest.unflatten(0, (batch, length))
        f_a = self.frame_semantics(f_c, coarse)  # [B, T, K, D_a]

        evidence = nouns = category_logits = strongest = None
        if self.config.alignment:
            evidence, nouns = self._evidence(f_v, texts)  # [B, T, K, H/8, W/8]
            category_logits = presence(evidence)  # [B, T, K]
            f_a = f_a + self.presence_to_semantics(category_logits[..., None])
            absent = ~category_mask[:, None, :, None, None]
            strongest = evidence.masked_fill(absent, -torch.inf).amax(2).flatten(0, 1)[:, None]

        # without f_a the projector sees f_sem alone
        read = category_mask if self.config.use_f_a else torch.zeros_like(category_mask)
        f_proj = self.projector(f_sem, f_a, read)  # [B, T, P, D_m]
        decoded = decode_masks(self.sam2, f_proj.flatten(0, 1), f_v, strongest)
        frame_logits = decoded.object_logits.float().unflatten(0, (batch, length))
        if self.config.residual_evidence and category_logits is not None:  # the config sees to it that they are there
            present = category_logits.masked_fill(~category_mask[:, None], -torch.inf).amax(-1)
            frame_logits = frame_logits + present
            decoded = decoded.plus_evidence(strongest)
        return LavidaOutput(
            frame_logits=frame_logits,
            pixel_logits=decoded.best_mask().float().unflatten(0, (batch, length)),
            category_logits=category_logits,
            evidence=evidence,
            noun_evidence=nouns,
            decoded=decoded,
            text_loss=None,
        )

    @torch.no_grad()
    def unfamiliar(self, categories: Sequence[str]) -> list[str]:
        """Those of the categories whose words the text encoder hardly knows: their scores mean little."""
        return self.text.unfamiliar(categories, self.known_words)

    @property
    def known_words(self) -> torch.Tensor | None:
        """Features of the names that training asked, `[N, D_t]`; None without the classifier that knows them."""
        classifier = self.alignment.classifier if self.config.alignment else None
        return classifier.class_features if classifier is not None and len(classifier.class_features) else None

    def pixel_maps(self, output: LavidaOutput) -> torch.Tensor:
        """`[B,T,H/4,W/4]`, logits by which pixels of different frames are compared.

        The paper's are those of the best mask, `output.pixel_logits`; with `config.expected_maps` those of
        `Decoded.expected_mask`.
        """
        if not self.config.expected_maps:
            return output.pixel_logits
        return output.decoded.expected_mask().unflatten(0, output.frame_logits.shape)

    def clip_semantics(
        self,
        frames: torch.Tensor,
        categories: Sequence[Sequence[str]],
        *,
        template: Sequence[int] | None = None,
        with_text_loss: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """f_sem `[B,D_llm]` (Eq. 5) and L_txt; zeros without the MLLM, which leaves Eq. 8 the bias of W_LLM.

        Arguments as in `forward`, or one clip that B prompts are about.
        """
        if not self.config.use_f_sem:
            nothing = frames.new_zeros(len(categories), self.semantics.hidden_size, dtype=torch.float32)
            return nothing, nothing.sum() if with_text_loss else None
        read = self.semantics(frames, categories, template=template, with_text_loss=with_text_loss)
        return read.f_sem.float(), read.text_loss  # the MLLM may be held in half precision, Eq. 8 is not

    def _category_features(self, categories: Sequence[Sequence[str]]) -> tuple[torch.Tensor, torch.Tensor]:
        """f_c `[B, K, D_t]`, zero-padded to the longest list, and where it is not padding `[B, K]`."""
        features = [self.text(list(names)) for names in categories]
        padded = nn.utils.rnn.pad_sequence(features, batch_first=True)
        counts = torch.tensor([len(f) for f in features], device=padded.device)
        return padded, torch.arange(padded.shape[1], device=padded.device) < counts[:, None]

    def text_features(self, categories: Sequence[Sequence[str]]) -> TextFeatures:
        """What the text encoder says of the categories of B prompts."""
        f_c, valid = self._category_features(categories)
        if not self.config.qualifiers:
            return TextFeatures(f_c, valid)
        phrases = [[split_phrase(text) for text in some] for some in categories]
        f_noun, _ = self._category_features([[phrase.noun for phrase in some] for some in phrases])
        most = max(1, *(len(phrase.qualifiers) for some in phrases for phrase in some))
        features = f_noun.new_zeros(2, *f_noun.shape[:2], most, f_noun.shape[-1])
        present = torch.zeros(features.shape[1:4], dtype=torch.bool, device=f_noun.device)
        for b, some in enumerate(phrases):
            for k, phrase in enumerate(some):
                if count := len(phrase.qualifiers):
                    features[0, b, k, :count] = self.text(list(phrase.qualifiers))
                    features[1, b, k, :count] = self.text(list(phrase.named))
                    present[b, k, :count] = True
        if not present.any() and not self.training:  # in training every weight takes part, for data-parallel steps
            return TextFeatures(f_c, valid, f_noun)
        return TextFeatures(f_c, valid, f_noun, features[0], features[1], present)

    def _evidence(self, f_v: VisionFeatures, texts: TextFeatures) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The evidence of each category, and of its noun alone where the model tells them apart."""
        shape = (f_v.clips, f_v.coarsest.shape[0] // f_v.clips)
        class_logits = None if f_v.class_logits is None else f_v.class_logits.unflatten(0, shape)
        level = f_v.levels[1].unflatten(0, shape)
        if f_v.cues is None or texts.f_noun is None:
            return self.alignment(level, texts.f_c, class_logits), None
        nouns = self.alignment(level, texts.f_noun, class_logits)  # [B, T, K, H/8, W/8]
        if texts.f_qualifier is None or texts.f_named is None or texts.present is None:
            return nouns, nouns
        named = self.alignment(level, texts.f_named.flatten(1, 2), class_logits).unflatten(2, texts.present.shape[1:])
        qualifiers = self.qualifiers(
            level,
            f_v.cues.unflatten(0, shape),
            nouns,
            named,
            f_noun=texts.f_noun,
            f_qualifier=texts.f_qualifier,
            f_named=texts.f_named,
        )
        # what denies the whole text must not deny the thing
        more = texts.present.any(-1)[:, None, :, None, None]
        return qualified(torch.where(more, nouns.detach(), nouns), qualifiers, texts.present), nouns

    def _init_weights(self, module: nn.Module) -> None:
        """Parts of `transformers` initialise themselves; the rest keeps PyTorch's defaults."""
