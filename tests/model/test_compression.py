from collections.abc import Callable
from functools import cache

import literal
import numpy as np
import pytest
import torch

from lavida.model.compression import (
    assign,
    background_references,
    compress,
    compress_clips,
    distances,
    local_density,
    neighbours,
    reference_count,
    reverse_attention,
    reverse_attention_weights,
)
from lavida.model.compression.subspace import Subspace

RATIOS = [0.01, 0.1, 0.2, 0.29, 0.5, 0.8, 0.99, 1.0]


def random_tokens(length: int = 60, width: int = 12, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(length, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def duplicated_tokens(seed: int = 0) -> torch.Tensor:
    """Few distinct patches, most of them many times over, as in a static scene."""
    generator = torch.Generator().manual_seed(seed)
    palette = 3 * torch.randn(7, 16, generator=generator) + 5
    return palette[torch.randint(0, 7, (70,), generator=generator)]


def lattice_tokens(seed: int = 0) -> torch.Tensor:
    """Whole-number tokens: many pairs at exactly the same distance, many equal densities."""
    return torch.randint(-1, 2, (60, 3), generator=torch.Generator().manual_seed(seed)).float()


def partly_duplicated_tokens(seed: int = 0) -> torch.Tensor:
    tokens = random_tokens(seed=seed)
    tokens[5:40:3] = tokens[5]
    tokens[41:50] = tokens[2]
    return tokens


KINDS = [random_tokens, duplicated_tokens, lattice_tokens, partly_duplicated_tokens]


@cache
def as_the_paper_says(make: Callable, ratio: float, k: int, *, seed: int = 0) -> tuple[np.ndarray, list[int]]:
    """What the literal form makes of tokens; it is slow, and asked for once for every size of blocks."""
    return literal.compress(make(seed=seed).numpy(), ratio, k)


@pytest.fixture(params=[2**22, 50], ids=["one-block", "many-blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BLOCK_ELEMENTS", "PAIR_ELEMENTS"):
        monkeypatch.setitem(getattr(distances, name), "cpu", request.param)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("make", KINDS)
def test_compress_follows_the_paper(blocks: None, make, ratio: float) -> None:
    for seed in range(3):
        merged, keep = compress(make(seed=seed), ratio, k=4)
        expected, expected_keep = as_the_paper_says(make, ratio, 4, seed=seed)
        assert keep.tolist() == expected_keep
        np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ratio", [0.01, 0.2, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("make", KINDS)
def test_the_reference_mode_says_what_the_loops_and_the_exact_mode_say(make, ratio: float) -> None:
    clips = torch.stack([make(seed=seed) for seed in range(2)])
    plain, exact = (compress_clips(clips, ratio, k=4, mode=mode) for mode in ("reference", "exact"))
    assert torch.equal(plain.keep, exact.keep) and torch.equal(plain.assignment, exact.assignment)
    torch.testing.assert_close(plain.merged, exact.merged, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain.weights, exact.weights, rtol=1e-4, atol=1e-5)
    expected, expected_keep = literal.compress(clips[0].numpy(), ratio, 4)
    assert compress(clips[0], ratio, k=4, mode="reference")[1].tolist() == expected_keep
    np.testing.assert_allclose(plain.merged[0].numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_each_step_follows_the_paper(blocks: None, make, k: int) -> None:
    tokens = make()
    density = local_density(tokens, k)
    np.testing.assert_allclose(density.numpy(), literal.density(tokens.numpy(), k), rtol=1e-5)
    keep = background_references(density, 12)
    assert keep.tolist() == literal.references(literal.density(tokens.numpy(), k), 12)
    assigned = assign(tokens, keep)
    assert assigned.tolist() == literal.assignment(tokens.numpy(), keep.tolist())
    merged, weights = literal.reverse_attention(tokens.numpy(), keep.tolist(), assigned.tolist())
    np.testing.assert_allclose(reverse_attention_weights(tokens, keep, assigned), weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(reverse_attention(tokens, keep, assigned), merged, rtol=1e-4, atol=1e-5)


def test_a_token_is_not_its_own_neighbour() -> None:
    tokens = torch.tensor([[0.0], [1.0], [3.0]])
    assert local_density(tokens, k=1).tolist() == pytest.approx([1.0, 1.0, 0.25])
    assert local_density(tokens, k=2).tolist() == pytest.approx([2 / 10, 2 / 5, 2 / 13])


def test_what_differs_from_the_background_weighs_most() -> None:
    background = torch.tensor([1.0, 0.0]).repeat(9, 1)
    tokens = torch.cat([background, torch.tensor([[-1.0, 2.0]])])
    keep = background_references(local_density(tokens, 3), 1)
    weights = reverse_attention_weights(tokens, keep, assign(tokens, keep))
    assert keep.tolist() == [0]
    assert weights.argmax() == 9
    assert weights.sum() == pytest.approx(1)
    assert weights[9] / weights[0] == pytest.approx(float(np.exp(2 / np.sqrt(2))), rel=1e-5)


def test_identical_tokens_keep_the_first_ones() -> None:
    tokens = torch.full((50, 8), 0.1)
    merged, keep = compress(tokens, 0.2)
    assert keep.tolist() == list(range(10))
    assert assign(tokens, keep).tolist() == [*range(10), *[0] * 40]
    torch.testing.assert_close(merged, tokens[:10])


def test_twins_are_equally_dense() -> None:
    """Bit for bit, so that the lower one is taken and not the one that rounding favours."""
    tokens = 10 * torch.eye(48) + 1e-6 * random_tokens(48, 48)  # all but equally far from one another
    density = local_density(torch.cat([tokens, tokens.flip(0)]), k=95)
    assert torch.equal(density[:48], density[48:].flip(0))


def test_a_reference_that_repeats_another_keeps_itself() -> None:
    tokens = torch.tensor([[0.0], [0.0], [0.0], [9.0]])
    assert assign(tokens, torch.tensor([0, 1])).tolist() == [0, 1, 0, 0]


def test_the_lowest_of_many_identical_references_is_chosen_far_from_the_origin() -> None:
    patch = random_tokens(1, 96, seed=1) + 300
    tokens = torch.cat([patch - 200, patch.repeat(300, 1), random_tokens(40, 96, seed=2) + 300])
    keep = torch.arange(1, 200)
    assert assign(tokens, keep)[200:301].tolist() == [0] * 101


def test_small_differences_survive_a_large_offset() -> None:
    tokens = 0.01 * random_tokens(80, 24) + 50
    merged, keep = compress(tokens, 0.25, k=4)
    expected, expected_keep = literal.compress(tokens.numpy(), 0.25, 4)
    assert keep.tolist() == expected_keep
    np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("k", [9, 10, 1000])
def test_k_beyond_the_other_tokens_uses_them_all(k: int) -> None:
    tokens = random_tokens(10)
    torch.testing.assert_close(local_density(tokens, k), local_density(tokens, 9))
    assert compress(tokens, 0.5, k=k)[1].tolist() == literal.compress(tokens.numpy(), 0.5, 9)[1]


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 3.0])
def test_a_single_token_passes(ratio: float) -> None:
    tokens = random_tokens(1)
    merged, keep = compress(tokens, ratio)
    assert keep.tolist() == [0] and keep.dtype == torch.int64
    torch.testing.assert_close(merged, tokens)


def test_ratio_one_is_the_identity() -> None:
    tokens = random_tokens(7)
    merged, keep = compress(tokens, 1)
    assert merged is tokens
    assert keep.tolist() == list(range(7)) and keep.dtype == torch.int64


@pytest.mark.parametrize("ratio", RATIOS)
def test_reference_count_foretells_the_length(ratio: float) -> None:
    merged, keep = compress(random_tokens(33), ratio)
    assert reference_count(33, ratio) == len(merged) == len(keep)
    assert (keep.diff() > 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_is_accumulated_in_at_least_float32(dtype: torch.dtype) -> None:
    tokens = random_tokens(dtype=dtype)
    merged, keep = compress(tokens, 0.2, k=4)
    expected, expected_keep = literal.compress(tokens.double().numpy(), 0.2, 4)
    assert merged.dtype == dtype
    assert keep.tolist() == expected_keep
    rounding = torch.finfo(dtype).eps
    np.testing.assert_allclose(merged.double().numpy(), expected, rtol=rounding, atol=max(rounding / 100, 1e-9))


def test_autocast_changes_nothing() -> None:
    tokens = random_tokens()
    expected, expected_keep = compress(tokens, 0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        merged, keep = compress(tokens, 0.3)
    assert torch.equal(merged, expected) and torch.equal(keep, expected_keep)


def test_memory_layout_changes_nothing() -> None:
    tokens = random_tokens()
    strided = torch.stack([tokens, -tokens], dim=2)[..., 0]
    for view in (strided, tokens.T.contiguous().T):
        assert not view.is_contiguous()
        merged, keep = compress(view, 0.3)
        torch.testing.assert_close(merged, compress(tokens, 0.3)[0])
        assert torch.equal(keep, compress(tokens, 0.3)[1])


@pytest.mark.slow
def test_gradient_flows_through_reverse_attention() -> None:
    tokens = random_tokens(14, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: compress(z, 0.3, k=3)[0], (tokens,))
    compress(tokens, 0.3, k=3)[0].square().sum().backward()
    assert (tokens.grad.abs().sum(1) > 0).all()


def test_large_tokens_do_not_overflow() -> None:
    merged, _ = compress(100 * random_tokens(40, 32), 0.1)
    assert merged.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"ratio": 0}, "ratio"),
        ({"ratio": -0.5}, "ratio"),
        ({"ratio": float("nan")}, "ratio"),
        ({"ratio": 0.5, "k": 0}, "k must"),
        ({"ratio": 1, "k": 0}, "k must"),
        ({"ratio": 0.5, "mode": "fast"}, "fast"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        compress(random_tokens(5), **arguments)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_only_a_sequence_of_tokens_is_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[L, D\]"):
        compress(torch.zeros(shape), 0.5)


# Long sequences: candidates from lower bounds


def scene_tokens(length: int = 600, width: int = 64, *, noise: float = 0.05, seed: int = 0) -> torch.Tensor:
    """Views of few things, as neighbouring frames have them: a few directions hold nearly all of the variance."""
    generator = torch.Generator().manual_seed(seed)
    things = 4 * torch.randn(8, width, generator=generator)
    mixture = torch.randn(length, 8, generator=generator)
    return mixture @ things + noise * torch.randn(length, width, generator=generator) + 3


def repeated_scene_tokens(seed: int = 0) -> torch.Tensor:
    """A still camera: patches come back bit for bit, more often than there are candidates."""
    tokens = scene_tokens(seed=seed)
    tokens[200:300] = tokens[7]
    tokens[300:420] = tokens[:120]
    return tokens


def noise_tokens(seed: int = 0) -> torch.Tensor:
    return random_tokens(600, 64, seed=seed)


LONG = [scene_tokens, repeated_scene_tokens, noise_tokens]


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treats short, narrow tokens as long, wide ones."""
    monkeypatch.setattr(neighbours, "SUBSPACE_LENGTH", 500)
    for name in ("_EXACT_DIMENSIONS", "_APPROXIMATE_DIMENSIONS"):
        monkeypatch.setattr(neighbours, name, 12)


@pytest.mark.slow
@pytest.mark.parametrize("make", LONG)
def test_long_sequences_follow_the_paper(long: None, blocks: None, make) -> None:
    merged, keep = compress(make(), 0.2)
    expected, expected_keep = as_the_paper_says(make, 0.2, 8)
    assert keep.tolist() == expected_keep
    np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_only_what_bounds_cannot_prove_is_compared_to_all(long: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    others = neighbours.Pairwise.others
    monkeypatch.setattr(
        neighbours.Pairwise, "others", lambda self, rows, k: (compared.append(len(rows)), others(self, rows, k))[1]
    )
    for make, fewest, most in ((scene_tokens, 0, 60), (noise_tokens, 600, 600)):
        compared.clear()
        compress(make(), 0.2)
        assert fewest <= sum(compared) <= most


@pytest.mark.parametrize("make", LONG)
def test_bounds_are_lower_bounds(make) -> None:
    tokens = make()
    subspace = Subspace(tokens, dimensions=12)
    found = subspace.candidates(torch.arange(600), 16)
    distances = torch.cdist(tokens.double(), tokens.double()).square()
    distances.fill_diagonal_(torch.inf)
    assert (found.columns != torch.arange(600)[:, None]).all()
    others = distances.scatter(1, found.columns, torch.inf).amin(1)
    assert (found.beyond <= others).all()


@pytest.mark.parametrize("make", [scene_tokens, repeated_scene_tokens])
def test_approximate_mode_agrees_on_scenes(long: None, make) -> None:
    tokens = make()
    density = local_density(tokens)
    keep = background_references(density, 120)
    found = compress(tokens, 0.2, mode="approximate")[1]
    assert (density[found] >= density[keep].min()).float().mean() >= 0.95


def test_approximate_mode_says_the_same_every_time(long: None) -> None:
    tokens = noise_tokens()
    first, second = (compress(tokens, 0.2, mode="approximate") for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_short_sequences_are_exact_in_either_mode() -> None:
    tokens = random_tokens()
    assert torch.equal(compress(tokens, 0.3, mode="approximate")[0], compress(tokens, 0.3)[0])


def test_neighbours_of_the_density_give_the_same_assignment_as_a_search(blocks: None) -> None:
    for make in KINDS:
        tokens = make()
        merged, keep = compress(tokens, 0.5, k=4)
        torch.testing.assert_close(merged, reverse_attention(tokens, keep, assign(tokens, keep)))


# Clips side by side


@pytest.mark.parametrize("ratio", [0.3, 1.0])
@pytest.mark.parametrize("make", KINDS)
def test_clips_side_by_side_are_as_one_by_one(blocks: None, make, ratio: float) -> None:
    clips = torch.stack([make(seed=seed) for seed in range(3)])
    together = compress_clips(clips, ratio, k=4)
    for i, tokens in enumerate(clips):
        merged, keep = compress(tokens, ratio, k=4)
        torch.testing.assert_close(together.merged[i], merged)
        assert torch.equal(together.keep[i], keep)
        assert torch.equal(together.assignment[i], assign(tokens, keep))
        weights = reverse_attention_weights(tokens, keep, together.assignment[i])
        torch.testing.assert_close(together.weights[i], weights)


def test_clips_of_one_token_pass() -> None:
    clips = random_tokens(3)[:, None]
    together = compress_clips(clips, 0.5)
    assert torch.equal(together.merged, clips)
    assert together.keep.tolist() == [[0], [0], [0]]


@pytest.mark.slow
def test_gradient_flows_to_every_clip() -> None:
    clips = random_tokens(28, 4, dtype=torch.float64).view(2, 14, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: compress_clips(z, 0.3, k=3).merged, (clips,))


def test_a_clip_of_two_dimensions_is_no_batch() -> None:
    with pytest.raises(ValueError, match=r"\[B, L, D\]"):
        compress_clips(random_tokens(), 0.5)


def test_smallest_are_those_of_topk() -> None:
    values = random_tokens(20, 1037)
    values[3, 500:900] = values[3].min() - 1
    found, columns = distances.smallest(values, 7)
    assert torch.equal(found, values.topk(7, largest=False).values)
    assert torch.equal(values.gather(1, columns), found)
    assert all(len(set(row)) == 7 for row in columns.tolist())


def test_half_precision_matmul_settings_change_nothing() -> None:
    tokens = random_tokens(200, 64) + 5
    expected = compress(tokens, 0.3)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        merged, keep = compress(tokens, 0.3)
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(keep, expected[1])
    torch.testing.assert_close(merged, expected[0])
