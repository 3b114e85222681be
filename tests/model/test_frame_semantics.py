import math

import pytest
import torch

from lavida.model.frame_semantics import FrameSemantics


@pytest.fixture(params=[1, 4], ids=["1 head", "4 heads"])
def module(request) -> FrameSemantics:
    torch.manual_seed(0)
    return FrameSemantics(text_dim=12, vision_dim=10, dim=16, heads=request.param).double().eval()


@torch.no_grad()
def test_it_is_eq_7_written_out(module):
    f_c, f_v = torch.randn(2, 3, 12).double() * 3, torch.randn(2, 4, 10, 2, 5).double() * 3  # B K D_t, B T D_v h w
    f_a = module(f_c, f_v)
    assert f_a.shape == (2, 4, 3, 16)
    width = 16 // module.heads
    for b in range(2):
        for t in range(4):
            patches = [module.w_v(f_v[b, t, :, y, x]) for y in range(2) for x in range(5)]
            for k in range(3):
                word = module.w_c(f_c[b, k])
                attended = []
                for head in range(module.heads):
                    part = slice(head * width, (head + 1) * width)
                    q = module.to_q(word)[part]
                    scores = [float(q @ module.to_k(p)[part]) / math.sqrt(width) for p in patches]
                    total = math.fsum(math.exp(s) for s in scores)
                    values = [
                        module.to_v(p)[part] * (math.exp(s) / total) for s, p in zip(scores, patches, strict=True)
                    ]
                    attended.append(torch.stack(values).sum(0))
                expected = module.w_o(module.norm(word + torch.cat(attended)))
                torch.testing.assert_close(f_a[b, t, k], expected, atol=1e-9, rtol=0)


@torch.no_grad()
def test_a_frame_is_read_by_itself(module):
    f_c, f_v = torch.randn(1, 3, 12).double(), torch.randn(1, 4, 10, 2, 5).double()
    changed = f_v.clone()
    changed[:, 2] += 1
    moved = (module(f_c, f_v) - module(f_c, changed)).abs().amax((0, 2, 3))
    assert moved[2] > 1e-3 and moved[[0, 1, 3]].max() < 1e-12
