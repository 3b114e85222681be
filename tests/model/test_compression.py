import literal
import numpy as np
import pytest
import torch

from lavida.model import compression
from lavida.model.compression import (
    assign,
    background_references,
    compress,
    local_density,
    reference_count,
    reverse_attention,
    reverse_attention_weights,
)

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


@pytest.fixture(params=[2**22, 50], ids=["one-block", "many-blocks"])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_BLOCK_ELEMENTS", request.param)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("make", KINDS)
def test_compress_follows_the_paper(blocks: None, make, ratio: float) -> None:
    for seed in range(3):
        tokens = make(seed=seed)
        merged, keep = compress(tokens, ratio, k=4)
        expected, expected_keep = literal.compress(tokens.numpy(), ratio, 4)
        assert keep.tolist() == expected_keep
        np.testing.assert_allclose(merged.numpy(), expected, rtol=1e-4, atol=1e-5)


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
