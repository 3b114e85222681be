import torch

from lavida.model.vision import MotionEncoder, VisionFeatures, motion_features


def pyramid(batch: int = 2, dim: int = 8) -> VisionFeatures:
    return VisionFeatures(tuple(torch.zeros(batch, dim, 32 // s, 48 // s) for s in (1, 2, 4)), None)


def field(batch: int = 2) -> torch.Tensor:
    """Known motion, at rest but for a square at one height a second to the right."""
    motion = torch.zeros(batch, 4, 32, 48)
    motion[:, 3] = 1
    motion[:, 0, 8:16, 20:28] = 1.0
    return motion


def test_motion_is_added_to_every_level_at_its_own_size():
    torch.manual_seed(0)
    f_v = pyramid()
    seen = MotionEncoder(vision_dim=8)(f_v, field())
    still = MotionEncoder(vision_dim=8)(f_v, torch.zeros(2, 4, 32, 48))
    for before, after, nothing in zip(f_v.levels, seen.levels, still.levels, strict=True):
        assert after.shape == before.shape and not torch.equal(after, before)
        assert torch.equal(nothing, before)  # unknown motion adds nothing


def test_each_frame_is_known_or_unknown_by_itself():
    torch.manual_seed(0)
    motion = field()
    motion[0] = 0
    seen = MotionEncoder(vision_dim=8)(pyramid(), motion)
    assert not seen.coarsest[0].any() and seen.coarsest[1].any()


def test_a_moving_camera_is_taken_out():
    panned = field()
    panned[:, 0] += 0.7
    torch.testing.assert_close(motion_features(panned), motion_features(field()), rtol=1e-4, atol=1e-4)


def test_speed_is_told_by_itself_and_relative_to_the_scene():
    features = motion_features(field())
    own, relative = features[0, 0], features[0, 1]
    assert own[10, 24] > 2 and relative[10, 24] > 0.9 and own[0, 0] == 0
    slow = motion_features(0.2 * field() + 0.8 * torch.tensor([0, 0, 0, 1.0]).view(1, 4, 1, 1))
    assert slow[0, 0, 10, 24] < own[10, 24] - 1  # slower by itself
    assert slow[0, 1, 10, 24] > 0.9  # and still the fastest of its scene


def test_the_gradient_reaches_every_weight():
    torch.manual_seed(0)
    encoder = MotionEncoder(vision_dim=8)
    sum(level.square().sum() for level in encoder(pyramid(), field()).levels).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in encoder.parameters())
