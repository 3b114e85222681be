"""EfficientNet-Lite as a backbone for SAM 2's vision encoder (the light stand-in for Hiera at `nano` scale)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ModelOutput

from lavida.model.kernels import exporting

STRIDES = (4, 8, 16, 32)


class EfficientNetLiteConfig(PreTrainedConfig):
    """`variant`: `efficientnet-lite0` to `efficientnet-lite4`."""

    model_type = "efficientnet_lite"

    variant: str = "efficientnet-lite2"


@dataclass
class EfficientNetLiteOutput(ModelOutput):
    """`intermediate_hidden_states`: `[N,h,w,C]` at strides 4, 8, 16, 32, as `Sam2VisionModel` expects them."""

    last_hidden_state: torch.Tensor | None = None
    intermediate_hidden_states: tuple[torch.Tensor, ...] | None = None
    class_logits: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class EfficientNetLiteBackbone(PreTrainedModel):
    """The network of `efficientnet_lite_pytorch` with its batch norms folded into the convolutions.

    Folding makes the statistics constant, which is what frozen and fine-tuned use both want. `class_logits`
    `[N,1000,H/32,W/32]` is the ImageNet classifier applied at every position of the last map.
    """

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig):
        super().__init__(config)
        self.network = _folded(_library_network(config.variant))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """The library initialises its own layers."""

    def delicate(self) -> list[nn.Conv2d]:
        """The layers whose rounding makes half of all that bf16 changes: the stem and the first depthwise ones."""
        return [self.network._conv_stem, *(block._depthwise_conv for block in self.network._blocks[:3])]

    def load_unfolded(self, state: dict[str, torch.Tensor]) -> None:
        """Take the library's own state dict, in which batch norms stand apart."""
        network = _library_network(self.config.variant)
        network.load_state_dict(state)
        self.network.load_state_dict(_folded(network).state_dict())

    def forward(self, pixel_values: torch.Tensor, **kwargs) -> EfficientNetLiteOutput:
        """`pixel_values` `[N,3,H,W]`, both sides multiples of 32."""
        net = self.network
        x = _active(net._conv_stem, pixel_values.contiguous(memory_format=torch.channels_last))
        maps, stride = {}, net._conv_stem.stride[0]
        for block in net._blocks:
            x = _inverted_bottleneck(block, x)
            stride *= block._depthwise_conv.stride[0]
            maps[stride] = x  # the last map of each stride stays
        x = _active(net._conv_head, x)
        logits = F.conv2d(x, net._fc.weight[:, :, None, None], net._fc.bias)  # [N,1000,H/32,W/32]
        levels = tuple(maps[stride].permute(0, 2, 3, 1) for stride in STRIDES)
        return EfficientNetLiteOutput(
            last_hidden_state=levels[-1], intermediate_hidden_states=levels, class_logits=logits
        )


def _inverted_bottleneck(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A block of the library, without its copies of the widest maps: they cost more time than the convolutions."""
    wide = _active(block._expand_conv, x) if hasattr(block, "_expand_conv") else x
    narrow = _same_padded(block._project_conv, _active(block._depthwise_conv, wide))
    same = block._depthwise_conv.stride[0] == 1 and narrow.shape == x.shape
    return narrow + x if block.id_skip and same else narrow


def _active(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return F.relu6(_same_padded(conv, x), inplace=True)


def _same_padded(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """TensorFlow's padding, left to the convolution, which needs no padded copy of a map for it.

    It pads by one more after than before where the sum is odd. A row of zeros in front of the kernel makes both even.
    """
    if getattr(conv, "exact", False):  # a `Predictor` says so
        with torch.autocast(x.device.type, enabled=False):
            return _convolved(conv, x.float())
    return _convolved(conv, x)


def _convolved(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    if exporting():  # sides are multiples of every stride; a graph has no kernels that grow
        before, after = max(kernel - stride, 0) // 2, (max(kernel - stride, 0) + 1) // 2
        if before != after:  # alone, since a padding apart costs as much time as a convolution
            x, before = F.pad(x, (before, after) * 2), 0
        return F.conv2d(x, conv.weight, conv.bias, conv.stride, before, groups=conv.groups)
    height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
    weight = F.pad(conv.weight, (width % 2, 0, height % 2, 0)) if height % 2 or width % 2 else conv.weight
    padding = (height + 1) // 2, (width + 1) // 2
    return F.conv2d(x, weight, conv.bias, conv.stride, padding, groups=conv.groups)


def _library_network(variant: str) -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    # image_size=None selects padding by the actual input, which is what frames of any size need
    return EfficientNet.from_name(variant, image_size=None).eval()


def _folded(network: nn.Module) -> nn.Module:
    def fold(owner: nn.Module, conv: str, norm: str) -> None:
        layer, batch_norm = getattr(owner, conv), getattr(owner, norm)
        if layer.weight.is_meta:  # weights are loaded next, and sums without numbers take a while
            layer.bias = nn.Parameter(torch.empty_like(batch_norm.running_mean))
        else:
            setattr(owner, conv, fuse_conv_bn_eval(layer, batch_norm))
        setattr(owner, norm, nn.Identity())

    fold(network, "_conv_stem", "_bn0")
    fold(network, "_conv_head", "_bn1")
    for block in network._blocks:
        if hasattr(block, "_expand_conv"):
            fold(block, "_expand_conv", "_bn0")
        fold(block, "_depthwise_conv", "_bn1")
        fold(block, "_project_conv", "_bn2")
    network.requires_grad_(True)  # folding leaves the new biases out
    return network.to(memory_format=torch.channels_last)


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteBackbone)
