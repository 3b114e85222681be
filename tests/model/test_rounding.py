"""Weights in bf16 whose errors cancel each other."""

import numpy as np
import torch
from torch import nn

from lavida.model.rounding import bf16_keeping_sums, whole_keeping_sums


def rounded_to_nearest(kernels: np.ndarray) -> np.ndarray:
    return torch.from_numpy(kernels).bfloat16().float().numpy()


def test_each_weight_is_one_of_its_neighbours_and_sums_stay():
    kernels = np.random.default_rng(0).normal(size=(500, 9)).astype(np.float32)
    found = bf16_keeping_sums(kernels)
    assert np.array_equal(rounded_to_nearest(found), found)  # bf16 holds them
    assert (np.abs(found - kernels) < np.abs(kernels) / 128 + 1e-30).all()  # a step of bf16 is at most so large
    off, off_nearest = (np.abs(some.sum(1) - kernels.sum(1)).mean() for some in (found, rounded_to_nearest(kernels)))
    assert off < off_nearest / 5


def test_what_bf16_holds_and_single_weights_stay():
    held = np.array([[1.0, -0.5, 0.0], [3.0, 0.25, -2.0]], np.float32)
    assert np.array_equal(bf16_keeping_sums(held), held)
    one = np.array([[0.1], [-1.7]], np.float32)
    assert np.array_equal(bf16_keeping_sums(one), rounded_to_nearest(one))


def test_an_even_surface_comes_out_as_in_float32():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 5, groups=64, bias=False)
    surface = torch.rand(1, 64, 1, 1).expand(1, 64, 9, 9)
    exact, kernels = conv(surface).detach(), conv.weight.detach().flatten(1).numpy()

    def error(weights: np.ndarray) -> float:
        conv.weight.data = torch.from_numpy(weights).view_as(conv.weight)
        return float((conv(surface).detach() - exact).abs().mean())

    assert error(bf16_keeping_sums(kernels)) < error(rounded_to_nearest(kernels)) / 5


def test_whole_numbers_keep_the_sum_of_their_row():
    rows = np.random.default_rng(0).normal(0, 300, (20, 501))
    rows[0] = 0.4  # each to the nearest would be 0
    whole = whole_keeping_sums(rows)
    assert (np.abs(whole - rows) < 1).all()
    assert (np.abs(whole.sum(1) - rows.sum(1)) <= 0.5 + 1e-6).all()
    assert np.abs(whole - rows)[1:].mean() < 0.3  # hardly more than to the nearest
