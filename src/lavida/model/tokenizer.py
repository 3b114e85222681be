"""The vocabulary: a small byte-level BPE for nano, and the `<SEG>` token for pretrained checkpoints."""

from collections.abc import Iterable

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SEG_TOKEN = "<SEG>"
QWEN_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def train_nano_tokenizer(corpus: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with Qwen2-VL's special tokens and `<SEG>`.

    Every byte is in the alphabet, so any unicode text encodes without an unknown token.

    Args:
        corpus: Texts to learn merges from.
        vocab_size: Upper bound on the vocabulary, special tokens included; at least 265.

    Raises:
        ValueError: If `vocab_size` cannot hold the bytes and the special tokens.
    """
    special = [*QWEN_TOKENS, SEG_TOKEN]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocab_size < len(alphabet) + len(special):
        raise ValueError(f"vocab_size must be at least {len(alphabet) + len(special)}, got {vocab_size}")
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    backend.train_from_iterator(corpus, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        extra_special_tokens=special[1:],
        clean_up_tokenization_spaces=False,
    )


@torch.no_grad()
def add_seg_token(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> int:
    """Extend a pretrained vocabulary with `<SEG>` (paper, 3.5); a second call changes nothing.

    The embedding matrix grows only if it has no spare row. The new row starts at the mean of the known ones,
    so that the untrained token looks like an ordinary word to the language model.

    Returns:
        The id of `<SEG>`.
    """
    known = len(tokenizer)
    added = tokenizer.add_tokens([AddedToken(SEG_TOKEN, special=True)], special_tokens=True)
    seg_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    rows = model.get_input_embeddings().num_embeddings
    if added == 0 and seg_id < rows:
        return seg_id
    if seg_id >= rows:
        model.resize_token_embeddings(seg_id + 1, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        layer.weight[seg_id] = layer.weight[: min(known, seg_id)].mean(dim=0, dtype=torch.float32)
    return seg_id
