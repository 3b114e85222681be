"""What the graphs are given: frames as patches, texts as token ids and positions. NumPy, Pillow and tokenizers."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from lavida.errors import InputError, first_line
from lavida.model.wording import ANSWER, SEG_TOKEN, TEMPLATES, encode_categories
from lavida.runtime.manifest import TOKENIZER_FILE, Manifest

Array = NDArray[Any]


def read_tokenizer(manifest: Manifest, name: str) -> Tokenizer:
    """The one in this folder of an export. Raises InputError if it is missing or damaged."""
    path = manifest.folder / name / TOKENIZER_FILE
    manifest.check_file(f"{name}/{TOKENIZER_FILE}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise InputError(
            f"damaged export: no tokenizer in {path.parent} ({first_line(error)}); export it again"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def text_batch(tokenizer: Tokenizer, texts: Sequence[str], *, most: int) -> dict[str, Array]:
    """Token ids of texts and what of them is no padding, int64 `[K, L]`; special tokens in them are plain text."""
    tokenizer.encode_special_tokens = True
    tokenizer.enable_truncation(most)
    rows = [encoded.ids for encoded in tokenizer.encode_batch(list(texts))]
    ids, mask = (np.zeros((len(rows), max(map(len, rows))), np.int64) for _ in range(2))
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    return {"input_ids": ids, "attention_mask": mask}


def patches(frames: Array, grid: tuple[int, int], family: dict[str, Any]) -> Array:
    """Frames uint8 `[T, 3, H, W]` as normalised patches of groups of frames, float32 `[G, N, D_patch]`."""
    patch, merge, temporal = family["patch"], family["merge"], family["temporal"]
    rows, cols = grid
    size = cols * patch * merge, rows * patch * merge
    # Pillow's resampling of bytes is the one that PyTorch's antialiased resize of bytes is written after
    pictures = (Image.fromarray(cv2.merge(list(frame))) for frame in frames)
    small = np.stack([np.asarray(picture.resize(size, Image.Resampling.BILINEAR)) for picture in pictures])
    if short := -len(small) % temporal:
        small = np.concatenate([small, np.repeat(small[-1:], short, 0)])
    groups = len(small) // temporal
    x = small.reshape(groups, temporal, rows, merge, patch, cols, merge, patch, 3)
    x = x.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)  # [group, row, col, merge, merge, C, time, patch, patch]
    x = np.ascontiguousarray(x).reshape(groups, rows * cols * merge**2, 3, -1)
    mean, std = (np.array(family[name], np.float32)[:, None] for name in ("mean", "std"))
    return ((x.astype(np.float32) / 255 - mean) / std).reshape(*x.shape[:2], -1)


def cells(grid: tuple[int, int], merge: int) -> Array:
    """Row and column of each patch of a frame, int64 `[N, 2]`: patches that merge are neighbours."""
    at = np.stack(np.meshgrid(*(np.arange(side * merge) for side in grid), indexing="ij"), -1)
    rows, cols = grid
    return at.reshape(rows, merge, cols, merge, 2).transpose(0, 2, 1, 3, 4).reshape(-1, 2).astype(np.int64)


def prompt(
    tokenizer: Tokenizer, categories: Sequence[str], family: dict[str, Any], *, template: int
) -> tuple[Array, Array]:
    """Token ids in front of and behind the clip, int64; `<SEG>` is the last: what follows it, it cannot see."""

    def markup(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    chat, (start, end) = family["chat"], family["markup"]
    opening, closing = TEMPLATES[template].split(" {c}")
    before = markup(chat["before_video"] + start)
    after = markup(end + chat["after_video"] + opening) + encode_categories(tokenizer, categories)
    after += markup(closing + chat["before_answer"])
    answer, seg = markup(chat["answer_start"] + ANSWER), tokenizer.token_to_id(SEG_TOKEN)
    if seg is None or seg not in answer:
        raise InputError(f"damaged export: its tokenizer does not know {SEG_TOKEN}; export it again")
    after += answer[: answer.index(seg) + 1]
    return np.array(before, np.int64), np.array(after, np.int64)


def positions(before: int, grid: tuple[int, int, int], after: int) -> Array:
    """Qwen2-VL's rotary positions (time, height, width) of text, clip and text, int64 `[3, L]`."""
    clip = np.stack(np.meshgrid(*(np.arange(side) for side in grid), indexing="ij")).reshape(3, -1) + before
    first, last = np.arange(before), np.arange(after) + before + max(grid)
    return np.concatenate([np.tile(first, (3, 1)), clip, np.tile(last, (3, 1))], 1).astype(np.int64)
