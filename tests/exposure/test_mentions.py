import pytest

from lavida.exposure.mentions import content, says_where, tokens
from lavida.exposure.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.builtin()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("person", {"person"}),
        ("Left Zebra.", {"zebra"}),
        ("two zebras", {"zebra"}),
        ("man in a red shirt next to the white cars", {"person", "clothes", "shirt", "car"}),
        ("the dog's bowl", {"dog", "bowl"}),
        ("kids' bikes", {"person", "bicycle", "motorcycle"}),  # a bike may be either
        ("hot dog on the left", {"hot dog"}),  # the longest way counts
        ("pick-up truck", {"truck"}),
        ("cat-like", {"cat"}),
        ("concatenate", set()),  # but only whole words
        ("scarf", {"scarf", "clothes"}),
        ("knives", {"knife"}),
        ("buses", {"bus"}),
        ("person riding a horse", {"horse rider", "person", "horse"}),  # what is said and implied
        ("cyclist", {"bicyclist", "person", "bicycle"}),
        ("skateboarder", {"fast-moving person", "person", "skateboard"}),
        ("batter", {"person", "baseball bat"}),
        ("girl closest to the camera", {"person"}),
        ("laptop screen", {"laptop"}),
        ("blarg on the right", set()),
        ("", set()),
    ],
)
def test_words_are_found_in_texts(vocabulary, text, words):
    assert vocabulary.mentions(text) == words


def test_every_class_and_every_phrase_mentions_its_class(vocabulary):
    for name in vocabulary.classes:
        for text in (name, *vocabulary.phrases(name)):
            assert name in vocabulary.mentions(text), (name, text)


def test_what_a_text_is_about():
    assert content("the big red one on the left") == frozenset()
    assert content("Blargs with stripes") == content("stripe of a blarg")
    assert tokens("Horses, buses & knives!") == tokens("horse bus knife")
    assert says_where("left man") and says_where("second to last") and not says_where("man in black")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("signal lights for cars", True),
        ("automobile", True),
        ("parked-car", True),
        ("hot dog", True),  # even inside another class
        ("zeppelin over a town", True),  # no class: as it stands
        ("scary", False),
        ("traffic lights", False),
    ],
)
def test_removed_words_are_found_wherever_they_are_said(vocabulary, text, said):
    assert vocabulary.says(text, {"car", "dog", "zeppelin"}) == said
