import pytest
import torch
from torch.nn import functional as F

from lavida.checkpoints.presets import imagenet_classes
from lavida.model.alignment import Alignment, ClassifierEvidence, presence

CLASSES, TEXT = 20, 24


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.fixture
def classifier() -> ClassifierEvidence:
    """With a monotone map to logits, set by hand: 10 times the expected similarity."""
    classifier = ClassifierEvidence(classes=CLASSES, text_dim=TEXT, hidden=1)
    with torch.no_grad():
        classifier.class_features.copy_(unit(CLASSES, TEXT))
        first, _, last = classifier.to_logit
        first.weight.copy_(torch.tensor([[1.25, 0.0, 0.0]]))
        first.bias.fill_(100.0)  # far to the right GELU is the identity
        last.weight.fill_(1.0)
        last.bias.fill_(-100.0)
    return classifier


def build(classifier: ClassifierEvidence | None = None, **settings) -> Alignment:
    torch.manual_seed(0)
    return Alignment(vision_dim=6, text_dim=TEXT, dim=8, classifier=classifier, **settings).eval()


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """level [B, T, D_v, h, w], f_c [B, K, D_t], class logits [B, T, C, h/4, w/4]."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.randn(2, 3, 6, 8, 12, generator=generator)
    return level, unit(2, 4, TEXT, seed=seed), torch.randn(2, 3, CLASSES, 2, 3, generator=generator) * 3


def test_a_class_that_is_seen_speaks_for_its_own_word(classifier):
    words = torch.stack([classifier.class_features[c] for c in (3, 7, 11)])[None]  # [1, K, D_t]
    seen = torch.zeros(1, 1, CLASSES, 1, 3)
    for column, c in enumerate((3, 7, 11)):
        seen[0, 0, c, 0, column] = 20.0  # almost all of the posterior
    evidence = classifier(seen, words)[0, 0, :, 0]  # [K, columns]
    assert evidence.argmax(0).tolist() == [0, 1, 2] and evidence.argmax(1).tolist() == [0, 1, 2]


def test_a_word_that_is_no_class_is_seen_in_the_nearest_class(classifier):
    near = F.normalize(classifier.class_features[5] + 0.3 * unit(TEXT, seed=9), dim=-1)
    seen = torch.zeros(1, 1, CLASSES, 1, CLASSES)
    seen[0, 0, :, 0] = 20 * torch.eye(CLASSES)  # column c shows class c
    assert classifier(seen, near.view(1, 1, TEXT))[0, 0, 0, 0].argmax() == 5


def test_a_word_near_to_everything_gets_no_credit_for_it(classifier):
    with torch.no_grad():
        classifier.class_features[:, 0] = 1.0  # all classes share a direction
        classifier.class_features.copy_(F.normalize(classifier.class_features, dim=-1))
    bland, exact = F.one_hot(torch.tensor(0), TEXT).float(), classifier.class_features[2]
    logits = torch.zeros(1, 1, CLASSES, 1, 1)
    logits[:, :, 2] = 20.0
    evidence = classifier(logits, torch.stack([bland, exact])[None]).flatten()
    assert bland @ classifier.class_features[2] > 0.1
    assert abs(evidence[0]) < 0.5 and evidence[1] > 2


@torch.no_grad()
def test_every_category_has_a_map_at_stride_8(classifier):
    level, f_c, class_logits = inputs()
    assert build(classifier)(level, f_c, class_logits).shape == (2, 3, 4, 8, 12)  # [B, T, K, h, w]


@torch.no_grad()
def test_without_a_classifier_pixels_and_words_decide_alone(classifier):
    level, f_c, class_logits = inputs()
    plain = build(None)
    assert plain(level, f_c, None).shape == (2, 3, 4, 8, 12)
    assert torch.equal(plain(level, f_c, class_logits), plain(level, f_c, None))
    assert torch.equal(build(classifier)(level, f_c, None), plain(level, f_c, None))  # a backbone without classes
    assert not torch.equal(build(classifier)(level, f_c, class_logits), plain(level, f_c, None))


@torch.no_grad()
def test_evidence_depends_on_its_own_word_its_own_pixel_and_its_own_frame(classifier):
    alignment = build(classifier)
    level, f_c, class_logits = inputs()
    before = alignment(level, f_c, class_logits)
    other_word = f_c.clone()
    other_word[:, 1] = unit(2, TEXT, seed=5)
    moved = (alignment(level, other_word, class_logits) - before).abs().amax((0, 1, 3, 4))
    assert moved[1] > 0.01 and moved[[0, 2, 3]].max() < 1e-5
    other_pixel = level.clone()
    other_pixel[:, 2, :, 0, 0] += 5
    moved = (alignment(other_pixel, f_c, class_logits) - before).abs().amax((0, 2))  # [T, h, w]
    assert moved[2, 0, 0] > 0.01 and moved[:2].max() < 1e-5
    assert moved[2, 4:].max() < 1e-5 and moved[2, :, 6:].max() < 1e-5  # two 3x3 convolutions reach 2 pixels


@torch.no_grad()
def test_in_training_some_words_are_left_to_the_classifier(classifier):
    level, f_c, class_logits = inputs()
    alone = build(classifier, drop=1.0)
    assert not torch.equal(alone(level, f_c, class_logits), alone(level + 1, f_c, class_logits))
    alone.train()
    evidence = alone(level, f_c, class_logits)
    assert torch.equal(evidence, alone(level + 1, f_c, class_logits))
    assert evidence.std() > 0.01
    without = build(None, drop=1.0)  # nothing to be left to
    evaluated = without(level, f_c, None)
    assert torch.equal(without.train()(level, f_c, None), evaluated)


def test_presence_is_the_mean_of_the_top_half_percent():
    evidence = torch.randn(2, 3, 4, 20, 30, generator=torch.Generator().manual_seed(0))
    expected = torch.empty(2, 3, 4)
    for b in range(2):
        for t in range(3):
            for k in range(4):
                expected[b, t, k] = sum(sorted(evidence[b, t, k].flatten().tolist())[-3:]) / 3  # 0.5 % of 600
    torch.testing.assert_close(presence(evidence), expected)


def test_a_single_bright_pixel_is_not_presence_but_a_small_object_is():
    evidence = torch.full((1, 1, 3, 40, 60), -5.0)  # 2400 positions: the top share is 12
    evidence[0, 0, 1, 7, 9] = 8.0
    evidence[0, 0, 2, 10:13, 20:24] = 8.0
    empty, speck, small = presence(evidence)[0, 0].tolist()
    assert empty == pytest.approx(-5) and small == pytest.approx(8)
    assert speck < -3  # one of twelve


def test_a_map_of_few_positions_still_has_a_presence():
    evidence = torch.tensor([[-1.0, 2.0], [0.0, 1.0]]).view(1, 1, 1, 2, 2)
    assert presence(evidence).item() == 2.0


def test_the_class_names_are_a_thousand_and_have_no_blanks():
    names = imagenet_classes()
    assert len(names) == 1000 and all(name.strip() == name != "" for name in names)
    assert names[0] == "tench" and names[207] == "golden retriever" and names[999].startswith("toilet")
