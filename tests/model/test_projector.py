import pytest
import torch

from lavida.model.projector import SemanticProjector, build_projector

KINDS = ("two_way", "q_former", "mlp")
SIZES = {"dim": 16, "out_dim": 24, "layers": 2, "heads": 4, "mlp_dim": 32, "queries": 5, "prompts": 3}


def build(kind: str) -> SemanticProjector:
    torch.manual_seed(0)
    projector = build_projector(kind, **SIZES)
    if kind != "mlp":
        with torch.no_grad():  # queries start near zero, where attention is uniform
            projector.queries.mul_(50)
    return SemanticProjector(projector, llm_dim=20, dim=16).eval()


@pytest.fixture(params=KINDS)
def projector(request) -> SemanticProjector:
    return build(request.param)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """f_sem [B, D_llm], f_a [B, T, K, D_a] and no padding."""
    generator = torch.Generator().manual_seed(1)
    f_sem, f_a = torch.randn(2, 20, generator=generator), torch.randn(2, 4, 3, 16, generator=generator)
    return f_sem, f_a, torch.ones(2, 3, dtype=torch.bool)


@torch.no_grad()
def test_each_frame_gets_its_prompts(projector, inputs):
    assert projector(*inputs).shape == (2, 4, 3, 24)  # [B, T, P, D_m]


@torch.no_grad()
def test_padding_categories_change_nothing(projector, inputs):
    f_sem, f_a, mask = inputs
    anything = torch.full((2, 4, 2, 16), 7.0)
    padded = torch.cat([f_a, anything], 2)
    padded_mask = torch.cat([mask, torch.zeros(2, 2, dtype=torch.bool)], 1)
    torch.testing.assert_close(projector(f_sem, padded, padded_mask), projector(f_sem, f_a, mask), atol=1e-5, rtol=0)
    named = projector(f_sem, padded, torch.ones(2, 5, dtype=torch.bool))  # the same as real categories do change it
    assert (named - projector(f_sem, f_a, mask)).abs().max() > 1e-3


@torch.no_grad()
def test_the_mllm_and_every_category_are_heard(projector, inputs):
    f_sem, f_a, mask = inputs
    before = projector(f_sem, f_a, mask)
    assert (projector(f_sem + 1, f_a, mask) - before).abs().amax((0, 2, 3)).min() > 1e-3  # in every frame
    for k in range(3):
        changed = f_a.clone()
        changed[:, :, k] += torch.linspace(-1, 1, 16)
        assert (projector(f_sem, changed, mask) - before).abs().max() > 1e-3


@torch.no_grad()
def test_frames_are_projected_one_by_one(projector, inputs):
    f_sem, f_a, mask = inputs
    changed = f_a.clone()
    changed[:, 2] += torch.linspace(-1, 1, 16)
    moved = (projector(f_sem, changed, mask) - projector(f_sem, f_a, mask)).abs().amax((0, 2, 3))
    assert moved[2] > 1e-3 and moved[[0, 1, 3]].max() < 1e-6


@torch.no_grad()
def test_the_order_of_the_categories_does_not_matter(projector, inputs):
    f_sem, f_a, mask = inputs
    torch.testing.assert_close(projector(f_sem, f_a.flip(2), mask), projector(f_sem, f_a, mask), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(("kind", "updated"), [("two_way", True), ("q_former", False)])
def test_only_the_two_way_projector_updates_its_tokens(kind, updated):
    block = build(kind).projector.blocks[0]
    queries, tokens = torch.randn(2, 5, 16), torch.randn(2, 4, 16)
    mask = torch.ones(2, 4, dtype=torch.bool)
    new_queries, new_tokens = block(queries, tokens, mask)
    assert (new_queries - queries).abs().max() > 1e-3
    assert torch.equal(new_tokens, tokens) != updated
    other = block(queries + torch.randn(5, 16), tokens, mask)[1]
    assert torch.equal(other, new_tokens) != updated  # the update comes from the queries


def test_every_part_of_the_two_way_projector_learns():
    """What the last block tells the tokens is only read by the last look (Eq. 8's two-way transformer, as in SAM)."""
    part = build("two_way").projector
    tokens, mask = torch.randn(2, 4, 16), torch.ones(2, 4, dtype=torch.bool)
    part(tokens, mask).square().sum().backward()
    assert [name for name, weight in part.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="three_way.*two_way, q_former or mlp"):
        build_projector("three_way", **SIZES)
