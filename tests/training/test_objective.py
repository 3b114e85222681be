import math

import pytest
import torch
from tiny import CATEGORIES, tiny_lavida
from toys import exposure

from lavida.model.losses import LossWeights
from lavida.training.data import Batch, collate
from lavida.training.objective import presence_loss, shown_and_not, training_loss
from lavida.training.recipe import AlignmentWeights

PLAIN = {"alignment": False, "classifier_evidence": False, "residual_evidence": False}
WEIGHTS, ALIGNMENT = LossWeights(text=0.2, seg=0.7), AlignmentWeights(evidence=3.0, presence=1.5)


def shown(batch: Batch):
    return shown_and_not(batch.category_masks, batch.category_valid)


def run(model, batch: Batch):
    output = model(batch.frames, batch.categories, template=batch.templates, with_text_loss=True)
    return output, *training_loss(output, batch, weights=WEIGHTS, alignment=ALIGNMENT)


@pytest.fixture
def batch() -> Batch:
    """Two anomalous pictures and a normal one, with 2 to 4 categories."""
    samples = [
        exposure(seed=1, categories=CATEGORIES[:2], true=1),
        exposure(seed=2, categories=CATEGORIES[:4]),
        exposure(seed=3, categories=CATEGORIES[:3], true=0),
    ]
    return collate(samples, [0, 1, 2])


@pytest.mark.parametrize("switches", [{}, PLAIN], ids=["nano", "the paper"])
def test_the_loss_is_eq_10_and_the_dense_signal(batch, switches):
    with torch.no_grad():
        output, loss, terms = run(tiny_lavida(**switches), batch)
    segmentation = 20 * terms["mask"] + 2 * terms["dice"] + terms["iou"] + 2 * terms["object"]
    expected = 0.2 * terms["text"] + 0.7 * segmentation
    if switches:
        assert set(terms) == {"mask", "dice", "iou", "object", "text"}
    else:
        expected = expected + 3.0 * terms["evidence"] + 1.5 * terms["presence"]
    torch.testing.assert_close(loss, expected)
    assert torch.equal(terms["text"], output.text_loss)
    labels = batch.frame_labels.flatten()
    by_hand = torch.nn.functional.binary_cross_entropy(output.frame_logits.flatten().sigmoid(), labels)
    torch.testing.assert_close(terms["object"], by_hand)  # y^f is the frame score, evidence included


PARTS = (
    "projector.w_llm",
    "projector.projector.queries",
    "projector.projector.blocks.0.to_tokens",
    "projector.projector.blocks.0.to_queries",  # the tokens are updated, too
    "projector.projector.out",
    "frame_semantics.w_c",
    "frame_semantics.w_v",
    "frame_semantics.w_o",
    "semantics.mllm.model.language_model.embed_tokens",
    "semantics.mllm.model.language_model.layers.0",
    "semantics.mllm.model.visual.patch_embed",
    "semantics.mllm.model.visual.merger",
    "sam2.vision_encoder.neck.convs",
    "sam2.mask_decoder.transformer",
    "sam2.mask_decoder.conv_s0",
    "sam2.mask_decoder.iou_token",
    "sam2.mask_decoder.iou_prediction_head",
    "sam2.mask_decoder.obj_score_token",
    "sam2.mask_decoder.pred_obj_score_head",
    "sam2.no_memory_embedding",
)
DENSE = (
    "alignment.pixel",
    "alignment.text",
    "alignment.scale",
    "alignment.bias",
    "alignment.classifier.to_logit",
    "presence_to_semantics",
    "sam2.prompt_encoder.mask_embed",
)


@pytest.mark.parametrize("switches", [{}, PLAIN], ids=["nano", "the paper"])
def test_every_part_learns(batch, switches):
    model = tiny_lavida(**switches).train()
    run(model, batch)[1].backward()
    strength = {
        name: 0.0 if parameter.grad is None else float(parameter.grad.abs().max())
        for name, parameter in model.named_parameters()
    }
    for part in PARTS + (() if switches else DENSE):
        assert max(value for name, value in strength.items() if name.startswith(part)) > 1e-7, part
    used_tokens = model.sam2.mask_decoder.mask_tokens.weight.grad[1:]  # [3, D_m]
    assert (used_tokens.abs().amax(1) > 1e-7).all()
    assert all(value == 0 for name, value in strength.items() if name.startswith("text."))


def test_the_mllm_learns_from_the_masks_too(batch):
    model = tiny_lavida(**PLAIN).train()
    output = model(batch.frames, batch.categories)
    output.frame_logits.sum().backward()
    for part in (model.semantics.mllm.model.language_model.layers[0], model.semantics.mllm.model.visual.patch_embed):
        assert max(float(parameter.grad.abs().max()) for parameter in part.parameters()) > 1e-7


@torch.no_grad()
def test_padding_categories_do_not_count():
    model = tiny_lavida()
    sample = exposure(seed=1, categories=CATEGORIES[:2], true=1)
    alone = collate([sample], [0])
    padded = collate([sample, exposure(categories=CATEGORIES)], [0, 0])
    first = Batch(*(value if value is None else value[:1] for value in vars(padded).values()))
    assert first.category_masks.shape[2] == 5 and alone.category_masks.shape[2] == 2
    output = model(first.frames, [first.categories[0]])
    wide = torch.full((1, 1, 5), 9.0)
    wide[..., :2] = output.category_logits
    torch.testing.assert_close(presence_loss(wide, *shown(first)), presence_loss(output.category_logits, *shown(alone)))


def test_presence_weighs_true_and_irrelevant_categories_alike():
    batch = collate(
        [
            exposure(2, categories=CATEGORIES[:2], true=1),
            exposure(2, categories=CATEGORIES[:3]),
        ],
        [0, 0],
    )
    logits = torch.linspace(-2, 3, 12).view(2, 2, 3)
    true, irrelevant = [], []
    for b, named in ((0, 2), (1, 3)):
        for t in range(2):
            for k in range(named):
                p = 1 / (1 + math.exp(-float(logits[b, t, k])))
                (true if (b, k) == (0, 1) else irrelevant).append(-math.log(p if (b, k) == (0, 1) else 1 - p))
    expected = 0.5 * sum(true) / len(true) + 0.5 * sum(irrelevant) / len(irrelevant)
    assert presence_loss(logits, *shown(batch)).item() == pytest.approx(expected, rel=1e-5)


def test_presence_is_asked_of_each_frame():
    sample = exposure(2, categories=CATEGORIES[:1], true=0)
    sample.pixel_labels[1] = False  # the same array as its category mask: gone in the second frame
    batch = collate([sample], [0])
    right = presence_loss(torch.tensor([[[5.0], [-5.0]]]), *shown(batch))
    wrong = presence_loss(torch.tensor([[[5.0], [5.0]]]), *shown(batch))
    assert right < 0.01 and wrong > 2
