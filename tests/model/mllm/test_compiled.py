import shutil

import pytest
import torch
from families import CATEGORIES, clip, tiny_family
from torch._inductor import config as inductor

from lavida.model.semantics import Semantics


@pytest.mark.slow
@torch.no_grad()
def test_compiled_it_says_the_same(monkeypatch):
    if not any(shutil.which(compiler) for compiler in ("g++", "clang++", "c++")):
        pytest.skip("torch.compile needs a C++ compiler on a CPU, and none is here")
    semantics = Semantics(*tiny_family("qwen2_vl", layers=1), ratio=0.5, k=3, tokens_per_pair=18).eval()
    batches = [(clip(4, 84, 112)[None], [CATEGORIES]), (clip(2, 60, 200)[None], [["fire"]])]  # of two lengths
    plain = [semantics(*batch).f_sem for batch in batches]
    semantics.compiled = True
    monkeypatch.setattr(inductor, "compile_threads", 1)  # the processes of more take longer to start than this takes
    for batch, expected in zip(batches, plain, strict=True):
        torch.testing.assert_close(semantics(*batch).f_sem, expected, atol=1e-4, rtol=1e-4)
