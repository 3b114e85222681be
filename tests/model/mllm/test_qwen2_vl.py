import pytest
import torch
from families import CATEGORIES, clip, tiny_family
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from lavida.model.grid import fit_grid
from lavida.model.mllm import family_of
from lavida.model.mllm.patches import patchify, static_cells
from lavida.model.semantics import Semantics

CONVERSATION = (
    "<|im_start|>user\n<|vision_start|>{video}<|vision_end|>Find the anomaly in this video. Anomaly types may contain "
    "a person riding a bicycle, car accident, fire.<|im_end|>\n<|im_start|>assistant\nSure, it is <SEG>.<|im_end|>"
)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@torch.no_grad()
def test_without_compression_it_is_the_plain_mllm():
    mllm, tokenizer = tiny_family("qwen2_vl")
    frames = clip(4, 84, 112)  # 2 groups of 3 x 4 tokens
    pixels = (frames[None] / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    ids = tokenizer(CONVERSATION.format(video="<|video_pad|>" * 24), return_tensors="pt")["input_ids"]
    plain = mllm.model(
        input_ids=ids,
        pixel_values_videos=patchify(pixels, patch=14, merge=2, temporal=2)[0],
        video_grid_thw=torch.tensor([[2, 6, 8]]),
        mm_token_type_ids=2 * (ids == mllm.config.video_token_id).long(),
    ).last_hidden_state[0, ids[0] == tokenizer.convert_tokens_to_ids("<SEG>")]
    ours = Semantics(mllm, tokenizer, ratio=1, k=4, tokens_per_pair=12)([frames], [CATEGORIES])
    torch.testing.assert_close(ours.f_sem, plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_one_frame_gives_the_patches_of_transformers_image_processor():
    mllm, _ = tiny_family("qwen2_vl")
    image = clip(1, 56, 84)
    reference = Qwen2VLImageProcessorPil()(images=[image[0].permute(1, 2, 0).numpy()], return_tensors="pt")
    family = family_of(mllm, tokens_per_pair=12)
    grid = family.grid(image)
    calls = []
    hook = mllm.model.visual.register_forward_pre_hook(lambda _, args, kw: calls.append((args, kw)), with_kwargs=True)
    family.visual_tokens(mllm, image[None], grid)
    hook.remove()
    ((patches,), call) = calls[0]
    assert call["grid_thw"].tolist() == reference["image_grid_thw"].tolist() and grid == (1, 2, 3)
    torch.testing.assert_close(patches, reference["pixel_values"], atol=1e-5, rtol=0)


def test_patches_lie_in_qwens_order():
    frames = torch.randn(1, 4, 3, 56, 84)
    expected = []
    for group in range(2):
        for row in range(2):
            for col in range(3):
                for y in (2 * row * 14, (2 * row + 1) * 14):
                    for x in (2 * col * 14, (2 * col + 1) * 14):
                        cube = frames[0, 2 * group : 2 * group + 2, :, y : y + 14, x : x + 14]
                        expected.append(cube.transpose(0, 1).flatten())  # channel, time, patch, patch
    assert torch.equal(patchify(frames, patch=14, merge=2, temporal=2)[0], torch.stack(expected))


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((240, 360), (5, 8)),  # reduced to the budget, the aspect kept
        ((720, 1280), (5, 9)),
        ((56, 84), (2, 3)),  # never enlarged
        ((4, 4), (1, 1)),
        ((8, 4000), (1, 48)),
        ((4000, 8), (48, 1)),
        ((195, 195), (6, 6)),
    ],
)
def test_frames_keep_their_aspect_within_the_budget(size, grid):
    rows, cols = fit_grid(*size, cell=28, max_cells=48)
    assert (rows, cols) == grid and rows * cols <= 48


def test_static_cells_are_those_that_look_as_at_first():
    pixels = torch.randn(1, 1, 3, 8, 12).repeat(1, 5, 1, 1, 1)  # 5 frames of 2 x 3 cells, the last group filled up
    pixels[0, 3, :, 4:, :4] += 1  # the first cell of the second row moves in the second group
    pixels[0, 4, :, :4, 8:] *= 1.5  # brighter, not different: its direction is the same
    static = static_cells(pixels, cell=4, temporal=2, threshold=0.01)
    assert static[0].tolist() == [False] * 6 + [True] * 3 + [False] + [True] * 2 + [True] * 6
