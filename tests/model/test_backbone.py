import pytest
import torch

from lavida.model.backbone import EfficientNetLiteBackbone, EfficientNetLiteConfig


@pytest.fixture(scope="module")
def library_network():
    """The library's own network with batch norms that are not the identity."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(0)
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.1, 0.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return network


@pytest.fixture(scope="module")
def backbone(library_network, tmp_path_factory):
    """Ours, filled from a file such as the weight package carries."""
    path = tmp_path_factory.mktemp("package") / "weights.pth"
    torch.save(library_network.state_dict(), path)
    backbone = EfficientNetLiteBackbone(EfficientNetLiteConfig(variant="efficientnet-lite0")).eval()
    backbone.load_unfolded(torch.load(path, weights_only=True))
    return backbone


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
@torch.no_grad()
def test_folding_the_batch_norms_changes_nothing(library_network, backbone, pictures):
    expected = library_network(pictures)  # [2, 1000]: the library pools before it classifies
    assert expected.std() > 0.05
    torch.testing.assert_close(backbone(pictures).class_logits.mean((2, 3)), expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_maps_are_the_last_of_each_stride(library_network, backbone, pictures):
    seen = {}
    for block in library_network._blocks:
        block.register_forward_hook(lambda _, __, x: seen.__setitem__(96 // x.shape[-1], x))
    library_network(pictures)
    levels = backbone(pictures).intermediate_hidden_states
    assert [tuple(level.shape[1:]) for level in levels] == [(16, 24, 24), (8, 12, 40), (4, 6, 112), (2, 3, 320)]
    for level, stride in zip(levels, (4, 8, 16, 32), strict=True):
        torch.testing.assert_close(level.permute(0, 3, 1, 2), seen[stride], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_training_mode_changes_nothing(backbone, pictures):
    before = backbone(pictures).class_logits
    after = backbone.train()(pictures).class_logits
    backbone.eval()
    assert torch.equal(before, after)


def test_gradients_are_those_of_the_library(library_network, backbone, pictures):
    block = library_network._blocks[3]
    expected = torch.autograd.grad(library_network(pictures).square().sum(), block._project_conv.weight)
    scale = block._bn2
    scale = (scale.weight / (scale.running_var + scale.eps).sqrt()).view(-1, 1, 1, 1)  # what folding multiplied it by
    means = backbone(pictures).class_logits.mean((2, 3))
    given = torch.autograd.grad(means.square().sum(), backbone.network._blocks[3]._project_conv.weight)
    torch.testing.assert_close(given[0] * scale, expected[0], atol=1e-3 * expected[0].abs().max().item(), rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("size", [(32, 32), (32, 160), (96, 64)])
def test_borders_are_those_of_the_library_at_any_size(library_network, backbone, size):
    pictures = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        backbone(pictures).class_logits.mean((2, 3)), library_network(pictures), atol=1e-4, rtol=1e-4
    )
