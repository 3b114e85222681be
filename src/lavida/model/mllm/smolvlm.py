"""SmolVLM2 (Marafioti et al. 2025): each frame is a square picture of its own with a time stamp; 1-D positions."""

from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedModel

from lavida.model.grid import fit_square
from lavida.model.mllm.family import Family, Grid, VisualTokens
from lavida.model.mllm.patches import HALF, pixel_values
from lavida.model.prompt import ChatFormat

NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
FRAMES_PER_SECOND = 1  # at which its processor samples videos
FRAME_START, FRAME_END = "<fake_token_around_image><global-img>", "<fake_token_around_image>"


class SmolVLM(Family):
    """SmolVLM and SmolVLM2. Frames lose their aspect, as in its processor; a clip counts as 1 frame a second."""

    model_type = "smolvlm"
    chat = ChatFormat(
        before_video="<|im_start|>User: ",
        video_token="<image>",
        before_answer="<end_of_utterance>\nAssistant:",
        answer_start=" ",
        after_answer="<end_of_utterance>",
    )
    mean, std = HALF, HALF
    axes = 1

    def __init__(self, mllm: PreTrainedModel, *, tokens_per_pair: int) -> None:
        super().__init__(mllm, tokens_per_pair=tokens_per_pair)
        vision = mllm.config.vision_config
        self.cell = vision.patch_size * mllm.config.scale_factor  # the connector folds a square of patches
        self.side = vision.image_size // self.cell

    def grid(self, frames: Tensor) -> Grid:
        side = fit_square(self.side, max_cells=self.tokens_per_pair // 2)
        return Grid(frames.shape[-4], side, side)

    def clip_markup(self, grid: Grid) -> Sequence[str | int]:
        count, seconds = grid.groups, grid.groups // FRAMES_PER_SECOND
        words = NUMBERS[count] if count < len(NUMBERS) else str(count)
        length = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        markup: list[str | int] = []
        text = f"You are provided the following series of {words} frames from a {length} [H:MM:SS] video.\n"
        for frame in range(count):
            at = frame // FRAMES_PER_SECOND
            markup += [f"{text}\nFrame from {at // 60:02d}:{at % 60:02d}:{FRAME_START}", grid.rows * grid.cols]
            text = FRAME_END
        return [*markup, f"{text}\n\n"]

    def visual_tokens(self, mllm: PreTrainedModel, frames: Tensor, grid: Grid) -> VisualTokens:
        size = grid.rows * self.cell, grid.cols * self.cell
        pixels = pixel_values(frames, size, mean=self.mean, std=self.std).flatten(0, 1)  # [B * T, 3, h, w]
        vision = mllm.model.vision_model
        # not get_image_features: it takes an evenly grey frame for padding and leaves it out
        features = vision(pixels.to(device=vision.device, dtype=vision.dtype)).last_hidden_state
        tokens = mllm.model.connector(features)  # [B * T, rows * cols, D_z]
        return VisualTokens(tokens.unflatten(0, frames.shape[:2]).flatten(1, 2))

    def text_model(self, mllm: PreTrainedModel) -> nn.Module:
        return mllm.model.text_model
