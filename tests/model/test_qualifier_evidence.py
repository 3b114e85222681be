import torch

from lavida.model.qualifiers import QualifierEvidence, pooled, qualified, relations


def test_thing_and_qualifier_are_the_product_of_their_probabilities():
    noun, qualifiers = torch.randn(2, 3, 4, 5, 6) * 3, torch.randn(2, 3, 4, 2, 5, 6) * 3
    both = qualified(noun, qualifiers, torch.ones(2, 4, 2, dtype=torch.bool))
    assert torch.allclose(both.sigmoid(), noun.sigmoid() * qualifiers.sigmoid().prod(3), atol=1e-6)


def test_without_a_qualifier_the_noun_stays_as_it_is():
    noun, qualifiers = torch.randn(1, 1, 2, 3, 3), torch.randn(1, 1, 2, 1, 3, 3)
    both = qualified(noun, qualifiers, torch.tensor([[[False], [True]]]))
    assert torch.equal(both[:, :, 0], noun[:, :, 0])
    assert (both[:, :, 1] < noun[:, :, 1]).all()


def test_padding_says_nothing():
    noun, qualifiers = torch.randn(1, 1, 1, 3, 3), torch.randn(1, 1, 1, 2, 3, 3)
    padded = qualified(noun, qualifiers, torch.tensor([[[True, False]]]))
    assert torch.allclose(padded, qualified(noun, qualifiers[:, :, :, :1], torch.tensor([[[True]]])))


def test_sure_logits_stay_finite_and_give_gradients():
    noun = torch.tensor([60.0, -60.0, 0.0]).view(1, 1, 1, 1, 3).requires_grad_()
    qualifiers = torch.tensor([60.0, -60.0, 60.0]).view(1, 1, 1, 1, 1, 3).requires_grad_()
    both = qualified(noun, qualifiers, torch.ones(1, 1, 1, dtype=torch.bool))
    both.sum().backward()
    for values in (both, noun.grad, qualifiers.grad):
        assert torch.isfinite(values).all()
    assert both[0, 0, 0, 0, 0] > 10
    assert both[0, 0, 0, 0, 1] < -100


def test_what_is_pooled_knows_where_how_large_and_how_many():
    noun = torch.full((1, 1, 2, 16, 20), -20.0)
    noun[0, 0, 0, 2:5, 1:4] = 20.0
    noun[0, 0, 1, 10:13, 12:16] = 20.0
    noun[0, 0, 1, 2:4, 14:16] = 20.0
    mean, statistics = (part[0, 0] for part in pooled(torch.arange(320.0).view(1, 1, 1, 16, 20), noun))
    assert torch.isclose(mean[0, 0], torch.tensor(3 * 20 + 2.0), atol=0.1)  # mean of the pixels under the map
    area, x, y = statistics.T[:3]
    assert area[1] > area[0]
    assert x[0] < -0.5 < 0.2 < x[1]
    assert y[0] < -0.4 < y[1]


def test_relations_tell_what_is_carried_from_what_is_far_away():
    noun = torch.full((1, 1, 1, 16, 20), -20.0)
    noun[..., 4:12, 2:6] = 20.0
    named = torch.full((1, 1, 1, 4, 16, 20), -20.0)
    named[0, 0, 0, 0, 6:9, 6:8] = 20.0  # beside it
    named[0, 0, 0, 1, 6:9, 15:17] = 20.0  # far away
    named[0, 0, 0, 2, 12:16] = 20.0  # the ground below it; the last is nowhere
    anywhere, near, _, below, _, _ = relations(noun, named)[0, 0, 0].T
    assert anywhere.gt(0).tolist() == [True, True, True, False]
    assert near.gt(0).tolist() == [True, False, True, False]
    assert below.gt(0).tolist() == [False, False, True, False]


def test_the_evidence_has_a_map_for_each_qualifier_and_leaves_the_noun_alone():
    torch.manual_seed(0)
    layer = QualifierEvidence(vision_dim=8, cues=3, text_dim=6, dim=4)
    noun = torch.randn(2, 3, 5, 8, 10, requires_grad=True)
    logits = layer(
        torch.randn(2, 3, 8, 8, 10),
        torch.randn(2, 3, 3, 8, 10),
        noun,
        torch.randn(2, 3, 5, 2, 8, 10),
        f_noun=torch.randn(2, 5, 6),
        f_qualifier=torch.randn(2, 5, 2, 6),
        f_named=torch.randn(2, 5, 2, 6),
    )
    assert logits.shape == (2, 3, 5, 2, 8, 10)
    logits.sum().backward()
    assert noun.grad is None
