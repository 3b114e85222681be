"""Anomaly semantics at `<SEG>` from one prefill of the MLLM over compressed visual tokens (Eq. 5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lavida.model.clip_tokens import ClipTokens, TokenMap, compressed, see, token_map
from lavida.model.conversation import Conversation, Conversations, ReadSequence, read_sequence
from lavida.model.kernels import attention_kernel
from lavida.model.mllm import family_of
from lavida.model.mllm.cache import FLASH, PrefixCache, prefer_flash
from lavida.model.prompt import IGNORED

__all__ = ["Semantics", "SemanticsOutput", "TokenMap"]

# A prefix is reused only if it is at least this share of what the language model reads behind it. Attention then needs
# an explicit mask, which costs more than a short prefix. Prefill with against without, on one core, behind a prefix of
# 5 (as nano's), 16 and 48 tokens: for 128 tokens 1.10, 1.04, 0.88 at width 128 (nano's) and 0.96, 0.90, 0.76 at width
# 512; for 600 tokens 1.20, 1.16, 1.15 and 1.05, 1.04, 0.99. A clip of nano takes 24 ms, and 0.5 ms more with reuse.
REUSED_SHARE = 1 / 6


@dataclass(frozen=True)
class SemanticsOutput:
    """What the MLLM says about a batch of clips.

    Attributes:
        f_sem: `[B, D_llm]`, the last hidden state at `<SEG>`.
        text_loss: Scalar L_txt of Eq. 10, None unless asked for.
        kept: Per clip the int64 indices of the visual tokens that survived compression, ascending.
        lengths: Per clip the length of the sequence that the language model read, a reused prefix included.
    """

    f_sem: Tensor
    text_loss: Tensor | None
    kept: list[Tensor]
    lengths: list[int]


class Semantics(nn.Module):
    """Phi_MLLM of Eq. 5: clips and categories to the anomaly semantic feature f_sem.

    Args:
        mllm: A model of one of `mllm.FAMILIES` whose vocabulary holds `<SEG>`.
        tokenizer: Its fast tokenizer.
        ratio: Share of the visual tokens that compression keeps, in (0, 1]; 1 keeps every token unchanged.
        k: Neighbours in the density estimate (Eq. 3).
        tokens_per_pair: Most visual tokens for one pair of frames, before compression.
        compression: Mode of `compress`.
        keep_positions: Kept tokens keep their rotary positions in the full sequence; else they are numbered anew.
        static_patch_drop: In evaluation mode, before compression, leave out the visual tokens whose pixels have a
            cosine distance below this to those of the first frames. The paper is silent about it; its published
            code does it at test time with 0.01. None: as in the paper.

    Attributes that may be changed at any time: `ratio`, `static_patch_drop` and
        reuse_prefix: In inference compute the chat before the video once, where it is long enough to pay.
        reused_share: Of what is read behind it: from where it pays.
        compiled: Run the language model through `torch.compile`, which needs a C++ compiler on a CPU.
    """

    def __init__(
        self,
        mllm: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        ratio: float,
        k: int,
        tokens_per_pair: int,
        compression: str = "exact",
        keep_positions: bool = True,
        static_patch_drop: float | None = None,
    ) -> None:
        super().__init__()
        self.mllm = mllm
        self.tokenizer = tokenizer
        self.family = family_of(mllm, tokens_per_pair=tokens_per_pair)
        self.family.prepare(mllm)
        self.ratio = ratio
        self.k = k
        self.compression = compression
        self.keep_positions = keep_positions
        self.static_patch_drop = static_patch_drop
        self.reuse_prefix = True
        self.reused_share = REUSED_SHARE
        self.compiled = False
        self._conversations = Conversations()
        self._prefixes = PrefixCache()
        self.register_load_state_dict_post_hook(_forget)

    @property
    def hidden_size(self) -> int:
        """D_llm."""
        return self.mllm.config.get_text_config().hidden_size

    def forget(self) -> None:
        """Drop what depends on the weights; needed when they change by other means than training and loading."""
        self._prefixes.forget()

    def train(self, mode: bool = True) -> "Semantics":
        self.forget()
        return super().train(mode)

    def forward(
        self,
        frames: Tensor | Sequence[Tensor],
        categories: Sequence[Sequence[str]],
        *,
        template: Sequence[int] | None = None,
        with_text_loss: bool = False,
    ) -> SemanticsOutput:
        """Read B clips, each with its own categories, or one clip for each of B prompts, in one prefill.

        Args:
            frames: `[B, T, 3, H, W]`, or for clips of different sizes a list of `[T, 3, H, W]`; RGB in 0..255,
                uint8 or float; uint8 on the CPU is resized fastest.
            categories: For each clip its anomaly descriptions.
            template: For each clip an index into `prompt.TEMPLATES`; the paper's prompt (0) by default.
            with_text_loss: Also compute L_txt over the assistant's answer.

        Raises:
            InputError: If a clip has no category or an empty one.
        """
        template = [0] * len(categories) if template is None else template
        if len(frames) not in (1, len(categories)) or not 0 < len(categories) == len(template):
            raise ValueError(f"{len(frames)} clips, {len(categories)} categories, {len(template)} templates")
        prefer_flash(self.mllm)
        seen = self._see(frames)  # L_z tokens each
        clips = compressed(seen, ratio=self.ratio, k=self.k, mode=self.compression)  # L_r tokens each
        clips = clips * len(categories) if len(clips) == 1 else clips
        conversations = [
            self._conversations.conversation(
                self.tokenizer, self.family, self.mllm, categories=tuple(names), template=number, clip=clip
            )
            for clip, names, number in zip(clips, categories, template, strict=True)
        ]
        sequences = [
            read_sequence(self.family, self.mllm, conversation, clip, keep_positions=self.keep_positions)
            for conversation, clip in zip(conversations, clips, strict=True)
        ]
        prefix = self._reusable_prefix(conversations, sequences)
        hidden = self._prefill(sequences, prefix)  # [B, L - prefix, D]
        rows = zip(hidden, sequences, strict=True)
        return SemanticsOutput(
            f_sem=torch.stack([row[sequence.seg - len(prefix)] for row, sequence in rows]),
            text_loss=self._text_loss(hidden, sequences, skipped=len(prefix)) if with_text_loss else None,
            kept=[clip.places for clip in clips],
            lengths=[len(sequence) for sequence in sequences],
        )

    @torch.no_grad()
    def token_map(self, frames: Tensor | Sequence[Tensor]) -> list[TokenMap]:
        """The numbers behind compression, for pictures of it (Figure 6); one for each of B clips.

        Args:
            frames: As in `forward`.
        """
        return [token_map(clip, ratio=self.ratio, k=self.k) for clip in self._see(frames)]

    def _see(self, frames: Tensor | Sequence[Tensor]) -> list[ClipTokens]:
        static_drop = None if self.training else self.static_patch_drop
        return see(self.family, self.mllm, frames, static_drop=static_drop)

    def _reusable_prefix(self, conversations: list[Conversation], sequences: list[ReadSequence]) -> tuple[int, ...]:
        """The token ids before the first visual token, if it pays to remember them; else none."""
        if torch.is_grad_enabled() or not self.reuse_prefix:
            self.forget()  # weights may change before the next time
            return ()
        prefix = conversations[0].prefix
        rest = max(len(sequence) for sequence in sequences) - len(prefix)
        # without its start, flash-attention takes a sequence of 1-D positions with gaps for several ones
        if not prefix or len(prefix) < self.reused_share * rest or attention_kernel(self.mllm) == FLASH:
            return ()
        return prefix if all(prefix == other.prefix for other in conversations[1:]) else ()

    def _prefill(self, sequences: list[ReadSequence], prefix: tuple[int, ...]) -> Tensor:
        """Run the language model once behind the prefix: `[B, L - prefix, D]`.

        Sequences are padded on the right, where a causal model cannot see it.
        """
        device, skip = sequences[0].embeds.device, len(prefix)
        lengths = torch.tensor([len(sequence) for sequence in sequences], device=device)
        extras: dict = {}
        if sequences[0].deepstack:
            extras["visual"] = pad_sequence([sequence.visual[skip:] for sequence in sequences], batch_first=True)
            extras["deepstack"] = [torch.cat(layers) for layers in zip(*(s.deepstack for s in sequences), strict=True)]
        if prefix:
            extras["cache"] = self._prefixes.prefix(self.family, self.mllm, prefix).cache(len(sequences))
        language = self._compiled_language if self.compiled else self.family.language
        return language(
            self.mllm,
            pad_sequence([sequence.embeds[skip:] for sequence in sequences], batch_first=True),  # [B, L, D]
            pad_sequence([s.positions[skip:] for s in sequences], batch_first=True).permute(2, 0, 1),  # [axes, B, L]
            (torch.arange(lengths.max(), device=device) < lengths[:, None]).long(),  # [B, prefix + L]
            **extras,
        )

    @cached_property
    def _compiled_language(self) -> Callable[..., Tensor]:
        return torch.compile(self.family.language, dynamic=True)

    def _text_loss(self, hidden: Tensor, sequences: list[ReadSequence], *, skipped: int) -> Tensor:
        """L_txt of Eq. 10: next-token cross-entropy, with logits only where an answer token is predicted."""
        states, targets = [], []
        for row, sequence in zip(hidden, sequences, strict=True):
            answer = (sequence.labels != IGNORED).nonzero().squeeze(1)
            states.append(row[answer - 1 - skipped])
            targets.append(sequence.labels[answer])
        logits = self.mllm.get_output_embeddings()(torch.cat(states))  # [answer tokens, vocabulary]
        return F.cross_entropy(logits.float(), torch.cat(targets))


def _forget(semantics: Semantics, _: object) -> None:
    semantics.forget()
