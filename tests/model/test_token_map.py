import pytest
import torch
from tiny import clips, tiny_lavida

from lavida.model.compression import compress


@pytest.fixture(scope="module")
def model():
    return tiny_lavida(tokens_per_pair=24, clip_length=4)


@torch.inference_mode()
def test_the_map_is_what_compression_did(model):
    frames = clips(2, 4, size=(96, 128))
    maps, read = model.semantics.token_map(frames), model.semantics(frames, [["dog"], ["dog"]])
    assert [m.kept.flatten().nonzero()[:, 0].tolist() for m in maps] == [kept.tolist() for kept in read.kept]
    for one in maps:
        groups, rows, columns = one.density.shape
        assert one.weight.shape == one.merged.shape == one.kept.shape == one.density.shape
        assert groups == 2 and rows < columns and 0 < one.kept.sum() < one.kept.numel()
        assert one.density[one.kept].min() >= one.density[~one.kept].max()  # the densest are kept (Eq. 3)
        assert one.weight.sum().item() == pytest.approx(one.kept.sum().item(), rel=1e-4)  # 1 a reference (Eq. 4)
        assert (1 / one.merged).sum().item() == pytest.approx(one.kept.sum().item(), rel=1e-4)


@torch.inference_mode()
def test_the_weights_make_the_merged_tokens(model):
    frames = clips(1, 4, size=(96, 128))
    semantics = model.semantics
    (tokens,) = semantics.family.visual_tokens(semantics.mllm, frames, semantics.family.grid(frames)).tokens
    merged, keep = compress(tokens, semantics.ratio, k=semantics.k)
    (one,) = semantics.token_map(frames)
    alone = keep[one.merged.flatten()[keep] == 1]
    assert torch.equal(one.weight.flatten()[alone], torch.ones(len(alone)))
    total = (one.weight.flatten()[:, None] * tokens).sum(0)
    assert torch.allclose(total, merged.sum(0), atol=1e-4)


@torch.inference_mode()
def test_without_compression_every_token_stays_alone(model, monkeypatch):
    monkeypatch.setattr(model.semantics, "ratio", 1.0)
    (one,) = model.semantics.token_map(clips(1, 2))
    assert one.kept.all() and (one.weight == 1).all() and (one.merged == 1).all()
