import literal
import numpy as np
import pytest
import torch
from torch import Tensor

from lavida.model.losses import (
    LossWeights,
    alignment_loss,
    dice_loss,
    focal_loss,
    mask_iou,
    objective,
    segmentation_loss,
)

WEIGHTS = LossWeights()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def binary(*shape: int, seed: int = 1) -> Tensor:
    return (noise(*shape, seed=seed) > 0.3).float()


def example(n: int = 3, m: int = 3, size: int = 6) -> dict[str, Tensor]:
    return {
        "masks": noise(n, m, size, size),
        "iou_scores": noise(n, m, seed=2),
        "object_logits": noise(n, seed=3),
        "target_masks": binary(n, size, size),
        "target_present": torch.ones(n, dtype=torch.bool),
    }


def best_mask(logits: np.ndarray, target: np.ndarray) -> int:
    return int(np.argmin([20 * literal.focal(mask, target) + 2 * literal.dice(mask, target) for mask in logits]))


def test_focal_dice_and_iou_follow_their_formulas() -> None:
    logits, targets = 2 * noise(2, 3, 5, 7), binary(2, 1, 5, 7)
    valid = torch.ones_like(targets)
    focal, dice, iou = (f(logits, targets, valid) for f in (focal_loss, dice_loss, mask_iou))
    for n in range(2):
        for m in range(3):
            one, target = logits[n, m].numpy(), targets[n, 0].numpy()
            assert float(focal[n, m]) == pytest.approx(literal.focal(one, target), rel=1e-5)
            assert float(dice[n, m]) == pytest.approx(literal.dice(one, target), rel=1e-5)
            assert float(iou[n, m]) == pytest.approx(literal.iou(one, target), rel=1e-6)


def test_hand_made_values() -> None:
    losses = segmentation_loss(
        torch.zeros(1, 1, 2, 2),
        torch.tensor([[0.75]]),
        torch.zeros(1),
        target_masks=torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]),
        target_present=torch.tensor([True]),
        weights=WEIGHTS,
    )
    assert float(losses["mask"]) == pytest.approx(0.25 * np.log(2) * (0.25 + 3 * 0.75) / 4)
    assert float(losses["dice"]) == pytest.approx(1 - 2 / 4)  # p.t = .5, areas 2 + 1
    assert float(losses["iou"]) == pytest.approx(0.75)  # nothing is above 0
    assert float(losses["object"]) == pytest.approx(np.log(2))


def test_segmentation_loss_supervises_the_best_mask_and_every_iou() -> None:
    given = example()
    given["target_present"] = torch.tensor([True, False, True])
    losses = segmentation_loss(**given, weights=WEIGHTS)
    mask, dice, iou = [], [], []
    for n in (0, 2):
        logits, target = given["masks"][n].numpy(), given["target_masks"][n].numpy()
        chosen = logits[best_mask(logits, target)]
        mask.append(literal.focal(chosen, target))
        dice.append(literal.dice(chosen, target))
        actual = np.array([literal.iou(one, target) for one in logits])
        iou.append(np.abs(given["iou_scores"][n].numpy() - actual).mean())
    assert float(losses["mask"]) == pytest.approx(sum(mask) / 2, rel=1e-5)
    assert float(losses["dice"]) == pytest.approx(sum(dice) / 2, rel=1e-5)
    assert float(losses["iou"]) == pytest.approx(sum(iou) / 2, rel=1e-5)
    z, y = given["object_logits"].numpy(), np.array([1, 0, 1])
    assert float(losses["object"]) == pytest.approx(np.mean(np.log1p(np.exp(-z * (2 * y - 1)))), rel=1e-5)


def test_only_the_best_mask_gets_a_gradient() -> None:
    given = example()
    given["masks"].requires_grad_()
    losses = segmentation_loss(**given, weights=WEIGHTS)
    (losses["mask"] + losses["dice"]).backward()
    touched = given["masks"].grad.abs().sum((2, 3)) > 0
    for n in range(3):
        chosen = best_mask(given["masks"][n].detach().numpy(), given["target_masks"][n].numpy())
        assert touched[n].tolist() == [m == chosen for m in range(3)]


def test_weights_decide_which_mask_is_best() -> None:
    target = torch.zeros(1, 8, 8)
    target[0, 0, 0] = 1
    faint, bold = torch.full((8, 8), -2.0), torch.full((8, 8), -9.0)
    bold[0, :4] = 4.0  # finds the pixel, with three false ones: better dice, worse focal
    given = {"target_masks": target, "target_present": torch.ones(1)}
    masks, scores = torch.stack([faint, bold])[None], torch.zeros(1, 2)
    by_dice = segmentation_loss(masks, scores, torch.zeros(1), **given, weights=LossWeights(mask=0.0))
    by_focal = segmentation_loss(masks, scores, torch.zeros(1), **given, weights=LossWeights(dice=0.0))
    assert by_dice["dice"] < by_focal["dice"]
    assert by_focal["mask"] < by_dice["mask"]


def test_a_perfect_prediction_costs_nothing() -> None:
    target = binary(2, 6, 6)
    losses = segmentation_loss(
        (40 * target - 20)[:, None],
        torch.ones(2, 1),
        torch.full((2,), 20.0),
        target_masks=target,
        target_present=torch.ones(2),
        weights=WEIGHTS,
    )
    assert float(objective(torch.tensor(0.0), losses, WEIGHTS)) == pytest.approx(0, abs=1e-5)


def test_dice_lets_a_soft_target_be_matched() -> None:
    target = torch.full((1, 1, 4, 4), 0.3)
    assert float(dice_loss(target.logit(), target, torch.ones_like(target))) == pytest.approx(0, abs=1e-6)


def test_an_absent_object_teaches_the_object_score_alone() -> None:
    given = example()
    given["target_present"] = torch.tensor([True, False, True])
    for name in ("masks", "iou_scores", "object_logits"):
        given[name].requires_grad_()
    objective(torch.tensor(0.0), segmentation_loss(**given, weights=WEIGHTS), WEIGHTS).backward()
    assert not given["masks"].grad[1].any() and not given["iou_scores"].grad[1].any()
    assert given["masks"].grad[[0, 2]].any() and given["iou_scores"].grad[[0, 2]].all()
    assert given["object_logits"].grad.all()


def test_absent_objects_do_not_dilute_the_present_one() -> None:
    given = example(n=1)
    alone = segmentation_loss(**given, weights=WEIGHTS)
    crowd = {name: value.repeat(4, *[1] * (value.ndim - 1)) for name, value in given.items()}
    crowd["target_present"] = torch.tensor([True, False, False, False])
    among = segmentation_loss(**crowd, weights=WEIGHTS)
    for name in ("mask", "dice", "iou"):
        torch.testing.assert_close(among[name], alone[name])


def test_as_sam2_trains_they_do() -> None:
    """Its losses are summed over the frames that show the object and divided by the number of all frames."""
    given = example(n=1)
    alone = segmentation_loss(**given, weights=LossWeights(over_shown=False))
    torch.testing.assert_close(alone, segmentation_loss(**given, weights=WEIGHTS))
    crowd = {name: value.repeat(4, *[1] * (value.ndim - 1)) for name, value in given.items()}
    crowd["target_present"] = torch.tensor([True, False, False, False])
    among = segmentation_loss(**crowd, weights=LossWeights(over_shown=False))
    for name in ("mask", "dice", "iou"):
        torch.testing.assert_close(4 * among[name], alone[name])
    torch.testing.assert_close(among["object"], segmentation_loss(**crowd, weights=WEIGHTS)["object"])


def test_nothing_present_is_no_division_by_zero() -> None:
    given = example()
    given["target_present"] = torch.zeros(3, dtype=torch.bool)
    given["masks"].requires_grad_()
    losses = segmentation_loss(**given, weights=WEIGHTS)
    assert [losses[name].item() for name in ("mask", "dice", "iou")] == [0, 0, 0]
    assert losses["object"] > 0
    losses["mask"].backward()
    assert not given["masks"].grad.any()


def test_ignored_pixels_change_nothing_and_get_no_gradient() -> None:
    given = example()
    valid = torch.ones(3, 6, 6, dtype=torch.bool)
    valid[:, 4:] = False
    cropped = dict(given, masks=given["masks"][:, :, :4], target_masks=given["target_masks"][:, :4])
    given["masks"].requires_grad_()
    losses = segmentation_loss(**given, valid=valid, weights=WEIGHTS)
    torch.testing.assert_close(losses, segmentation_loss(**cropped, weights=WEIGHTS))
    objective(torch.tensor(0.0), losses, WEIGHTS).backward()
    assert not given["masks"].grad[:, :, 4:].any()
    assert given["masks"].grad[:, :, :4].any()


def test_an_object_without_a_valid_pixel_is_not_supervised() -> None:
    given = example(n=2)
    valid = torch.ones(2, 6, 6)
    valid[1] = 0
    alone = {name: value[:1] for name, value in given.items()}
    losses = segmentation_loss(**given, valid=valid, weights=WEIGHTS)
    expected = segmentation_loss(**alone, weights=WEIGHTS)
    for name in ("mask", "dice", "iou"):
        torch.testing.assert_close(losses[name], expected[name])


def test_a_frame_without_the_object_teaches_the_object_score_alone() -> None:
    """Eq. 2 to the letter: the clip is anomalous, so each of its frames is, though one does not show the object."""
    given = example()
    given["target_masks"][1] = 0
    observed = dict(given, target_present=torch.tensor([True, False, True]))
    expected = segmentation_loss(**observed, weights=WEIGHTS)
    for name in ("masks", "iou_scores", "object_logits"):
        given[name].requires_grad_()
    losses = segmentation_loss(**given, weights=WEIGHTS)
    for name in ("mask", "dice", "iou"):
        assert losses[name].item() == expected[name].item()
    assert losses["object"] != expected["object"]
    objective(torch.tensor(0.0), losses, WEIGHTS).backward()
    assert not given["masks"].grad[1].any() and not given["iou_scores"].grad[1].any()
    assert given["masks"].grad[[0, 2]].any() and given["iou_scores"].grad[[0, 2]].all()
    assert (given["object_logits"].grad < 0).all()  # up, in the frame without the object too


def test_an_object_whose_own_pixels_are_all_ignored_teaches_where_it_is_not() -> None:
    given = example(n=1)
    given["target_masks"][:, 3:] = 0
    valid = torch.ones(1, 6, 6)
    valid[:, :3] = 0
    given["masks"].requires_grad_()
    segmentation_loss(**given, valid=valid, weights=WEIGHTS)["mask"].backward()
    assert (given["masks"].grad >= 0).all() and given["masks"].grad[:, :, 3:].any()  # only ever down


def test_half_precision_is_widened_first() -> None:
    given = {name: value.bfloat16() for name, value in example().items()}
    wide = {name: value.float() for name, value in given.items()}
    losses = segmentation_loss(**given, weights=WEIGHTS)
    assert all(loss.dtype == torch.float32 for loss in losses.values())
    torch.testing.assert_close(losses, segmentation_loss(**wide, weights=WEIGHTS))


def test_objective_is_equation_10() -> None:
    parts = {"mask": 1.0, "dice": 10.0, "iou": 100.0, "object": 1000.0}
    losses = {name: torch.tensor(value) for name, value in parts.items()}
    assert float(objective(torch.tensor(7.0), losses, WEIGHTS)) == 7 + 20 + 20 + 100 + 2000
    weights = LossWeights(mask=1, dice=2, iou=3, object=4, text=0.5, seg=0.1)
    expected = 0.5 * 7 + 0.1 * (1 + 2 * 10 + 3 * 100 + 4 * 1000)
    assert float(objective(torch.tensor(7.0), losses, weights)) == pytest.approx(expected)


def square(side: int, size: int = 10) -> Tensor:
    mask = torch.zeros(1, 1, 1, size, size)
    mask[..., :side, :side] = 1
    return mask


ONE = torch.ones(1, 1, dtype=torch.bool)


def test_alignment_follows_its_formula() -> None:
    evidence, masks = noise(2, 3, 2, 5, 5), binary(2, 3, 2, 5, 5)
    expected = []
    for b in range(2):
        for k in range(2):
            logits, target = evidence[b, :, k].numpy(), masks[b, :, k].numpy()
            inside, outside = logits[target == 1], logits[target == 0]
            expected.append(
                literal.focal(inside, np.ones_like(inside), alpha=0.5)
                + literal.focal(outside, np.zeros_like(outside), alpha=0.5)
            )
    loss = alignment_loss(evidence, masks, category_valid=torch.ones(2, 2))
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


def test_alignment_is_zero_when_perfect() -> None:
    masks = binary(2, 3, 4, 5, 5)
    loss = alignment_loss(40 * masks - 20, masks, category_valid=torch.ones(2, 4))
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_alignment_weighs_small_and_large_objects_alike() -> None:
    """A missed object costs as much, and pulls as hard, on 1 % of the pixels as on half of them."""
    results = []
    for mask in (square(1), (torch.arange(100) < 50).float().reshape(1, 1, 1, 10, 10)):
        evidence = torch.full((1, 1, 1, 10, 10), -1.0, requires_grad=True)
        loss = alignment_loss(evidence, mask, category_valid=ONE)
        loss.backward()
        results.append((float(loss.detach()), float((evidence.grad * mask).sum())))
    assert results[0] == pytest.approx(results[1], rel=1e-5)


def test_alignment_pushes_an_absent_category_down() -> None:
    evidence = torch.zeros(1, 1, 1, 10, 10, requires_grad=True)
    alignment_loss(evidence, square(0), category_valid=ONE).backward()
    assert (evidence.grad > 0).all()


def test_alignment_leaves_out_categories_that_do_not_count() -> None:
    evidence, masks = noise(1, 2, 3, 4, 4).requires_grad_(), binary(1, 2, 3, 4, 4)
    loss = alignment_loss(evidence, masks, category_valid=torch.tensor([[True, False, True]]))
    both = alignment_loss(evidence[:, :, [0, 2]], masks[:, :, [0, 2]], category_valid=torch.ones(1, 2))
    torch.testing.assert_close(loss, both)
    loss.backward()
    assert not evidence.grad[:, :, 1].any()
    nothing = alignment_loss(evidence, masks, category_valid=torch.zeros(1, 3, dtype=torch.bool))
    assert float(nothing.detach()) == 0


def test_alignment_ignores_invalid_pixels() -> None:
    evidence, masks = noise(2, 2, 3, 4, 6).requires_grad_(), binary(2, 2, 3, 4, 6)
    valid = torch.ones(2, 2, 4, 6, dtype=torch.bool)
    valid[..., 4:] = False
    loss = alignment_loss(evidence, masks, category_valid=torch.ones(2, 3), valid=valid)
    cropped = alignment_loss(evidence[..., :4], masks[..., :4], category_valid=torch.ones(2, 3))
    torch.testing.assert_close(loss, cropped)
    loss.backward()
    assert not evidence.grad[..., 4:].any()


def test_alignment_of_a_clip_without_valid_pixels_does_not_count() -> None:
    evidence, masks = noise(2, 1, 2, 4, 4), binary(2, 1, 2, 4, 4)
    valid = torch.ones(2, 1, 4, 4)
    valid[1] = 0
    loss = alignment_loss(evidence, masks, category_valid=torch.ones(2, 2), valid=valid)
    torch.testing.assert_close(loss, alignment_loss(evidence[:1], masks[:1], category_valid=torch.ones(1, 2)))


def test_alignment_stays_finite_for_a_sliver_of_a_soft_mask() -> None:
    mask = square(0)
    mask[..., 0, 0] = 1e-5
    evidence = (10 * noise(1, 1, 1, 10, 10)).bfloat16().requires_grad_()
    loss = alignment_loss(evidence, mask, category_valid=ONE)
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and evidence.grad.isfinite().all()
