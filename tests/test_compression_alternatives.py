"""The other ways to have fewer tokens that `benchmarks/token_compression.py` compares to."""

import sys
from pathlib import Path

import pytest
import torch
from video import make

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def alternatives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import alternatives

    yield alternatives
    sys.modules.pop("alternatives")


def tokens(length: int = 48, width: int = 16) -> torch.Tensor:
    return torch.randn(length, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("ratio", [0.5, 0.25])
def test_each_method_keeps_its_share(alternatives, ratio: float) -> None:
    for name, method in alternatives.METHODS.items():
        merged, keep = method(tokens(), (4, 3, 4), ratio)
        assert merged.shape == (48 * ratio, 16), name
        assert keep is None or ((keep.diff() > 0).all() and len(keep) == len(merged)), name


def test_the_published_density_is_by_reach(alternatives) -> None:
    points = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.05], [9.0]])
    assert alternatives.published(points, (1, 1, 6), 0.34, k=1)[1].tolist() == [3, 4]


def test_published_merging_is_eq_4(alternatives) -> None:
    from lavida.model.compression import assign, reverse_attention

    merged, keep = alternatives.published(tokens(), (4, 3, 4), 0.25)
    torch.testing.assert_close(merged, reverse_attention(tokens(), keep, assign(tokens(), keep)))


def test_similar_tokens_merge_first(alternatives) -> None:
    points = torch.eye(4).repeat_interleave(2, 0)
    merged, _ = alternatives.tome(points, (1, 2, 4), 0.5)
    torch.testing.assert_close(merged, torch.eye(4))


def test_means_stand_for_all_they_were_made_of(alternatives) -> None:
    merged, _ = alternatives.tome(tokens(8), (1, 2, 4), 0.13)
    torch.testing.assert_close(merged[0], tokens(8).mean(0))
    merged, keep = alternatives.dpc_knn(torch.eye(4).repeat(3, 1), (3, 2, 2), 1 / 3)
    assert len(keep) == 4


def test_pooling_averages_neighbouring_frames(alternatives) -> None:
    points = tokens(12)
    merged, _ = alternatives.temporal_pooling(points, (4, 1, 3), 0.5)
    torch.testing.assert_close(merged[:3], (points[:3] + points[3:6]) / 2)


def test_downsampling_leaves_the_share_of_pixels(alternatives) -> None:
    frames = torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
    assert alternatives.downsampled(frames, 0.25).shape == (2, 3, 32, 48)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["patches", "backbone"])
def test_tokens_of_real_frames(alternatives, tmp_path, kind: str) -> None:
    from frame_tokens import WIDTH, frame_tokens

    video = make.video(tmp_path / "clip.mp4", frames=8, width=128, height=96, texture=90)
    clip = frame_tokens(video, 64, kind=kind)
    pairs, rows, columns = clip.grid
    assert clip.tokens.shape == (64, WIDTH) and pairs * rows * columns >= 64 and clip.frames.shape[:2] == (2 * pairs, 3)
    assert clip.tokens.isfinite().all() and clip.tokens.std() > 0
