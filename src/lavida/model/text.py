"""Category features f_c (Eq. 6): K category texts -> [K, D_t]."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F
from transformers import (
    AutoModel,
    CLIPTextModelWithProjection,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lavida.model.wording import unfamiliar

MAX_TOKENS = 64
CACHE_SIZE = 20_000


def random_encoder(config: PreTrainedConfig, *, pooling: str) -> PreTrainedModel:
    """The text encoder that `pooling` reads, without trained weights. Raises ValueError for an unknown pooling."""
    if pooling not in ("mean", "projection"):
        raise ValueError(f"unknown text pooling {pooling!r}: choose mean or projection")
    # AutoModel would give CLIP's text model without the projection
    return CLIPTextModelWithProjection(config) if pooling == "projection" else AutoModel.from_config(config)


class CategoryEncoder(nn.Module):
    """A frozen sentence or CLIP text encoder; each text is encoded once and remembered.

    `pooling`: `mean` over tokens, L2-normalised (MiniLM), or `projection` (CLIP's pooled output, D_t = 512).
    `encoder`: of the shape in `config`; a random one without it.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        tokenizer: PreTrainedTokenizerBase,
        *,
        pooling: str,
        encoder: PreTrainedModel | None = None,
    ):
        super().__init__()
        self.encoder = random_encoder(config, pooling=pooling) if encoder is None else encoder
        self.encoder.requires_grad_(False)
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.dim = config.projection_dim if pooling == "projection" else config.hidden_size
        self._known: dict[str, torch.Tensor] = {}

    def forward(self, categories: list[str]) -> torch.Tensor:
        """`[K, D_t]` in the order of `categories`, float32."""
        new = [text for text in dict.fromkeys(categories) if text not in self._known]
        if new:
            if len(self._known) + len(new) > CACHE_SIZE:
                self._known.clear()
                new = list(dict.fromkeys(categories))
            for text, feature in zip(new, self._encode(new), strict=True):
                self._known[text] = feature
        device = next(self.encoder.parameters()).device
        return torch.stack([self._known[text] for text in categories]).to(device)

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> torch.Tensor:
        self.encoder.eval()
        # categories are data: what looks like a special token is split as ordinary text
        batch = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=MAX_TOKENS,
            split_special_tokens=True,
            return_tensors="pt",
        ).to(self.encoder.device)
        with torch.autocast(self.encoder.device.type, enabled=False):  # few texts: exactness is free
            output = self.encoder(**batch)
        if self.pooling == "projection":
            return output.text_embeds.float()
        mask = batch["attention_mask"][..., None].float()
        mean = (output.last_hidden_state.float() * mask).sum(1) / mask.sum(1)  # [K, D_t]
        return F.normalize(mean, dim=-1)

    def unfamiliar(self, texts: Sequence[str], known: torch.Tensor | None) -> list[str]:
        """See `wording.unfamiliar`; `known`: features of words that the model knows, `[N, D_t]` of unit length."""
        if known is None:
            return unfamiliar(texts, [False] * len(texts), None)
        nearest = (self(list(texts)).float() @ known.float().T).amax(-1).tolist()
        split = [any(len(self.tokenizer.tokenize(word)) > 1 for word in text.split()) for text in texts]
        return unfamiliar(texts, split, nearest)

    def forget(self) -> None:
        """Drop remembered features; needed after the encoder's weights change."""
        self._known.clear()
