import pytest

from lavida.model.phrase import Phrase, named_in, split_phrase


@pytest.mark.parametrize(
    ("text", "noun", "qualifiers"),
    [
        ("person", "person", ()),
        ("traffic light", "traffic light", ()),
        ("dining table", "dining table", ()),
        ("dancing", "dancing", ()),
        ("riding a bicycle", "riding a bicycle", ()),
        ("on fire", "on fire", ()),
        ("pair of skis", "pair of skis", ()),
        ("human being", "human being", ()),
        ("car being towed", "car", ("being towed",)),
        ("moped on the sidewalk", "moped", ("on the sidewalk",)),
        ("人が倒れている", "人が倒れている", ()),
        ("red car", "car", ("red",)),
        ("a red car", "car", ("red",)),
        ("black and white dog", "dog", ("black and white",)),
        ("parked vehicle", "vehicle", ("parked",)),
        ("fast-moving person", "person", ("fast-moving",)),
        ("person lying on the ground", "person", ("lying on the ground",)),
        ("people fighting", "people", ("fighting",)),
        ("fighting people", "people", ("fighting",)),
        ("bag left behind", "bag", ("left behind",)),
        ("car on the left", "car", ("on the left",)),
        ("two people", "people", ("two",)),
        ("3 dogs", "dogs", ("3",)),
        ("crowd of people", "people", ("crowd of",)),
        ("group of three people", "people", ("group of", "three")),
        ("a red car parked on the road", "car", ("red", "parked on the road")),
        ("man asleep", "man", ("asleep",)),
        ("Person, running", "Person,", ("running",)),
    ],
)
def test_a_text_is_split_into_its_noun_and_what_qualifies_it(text, noun, qualifiers):
    assert split_phrase(text) == Phrase(noun, qualifiers)


@pytest.mark.parametrize("text", ["a", "the", "red", "running", "of", "crowd of", "in in in", "and", "a a a", "two"])
def test_a_text_of_words_that_only_qualify_is_its_own_noun(text):
    phrase = split_phrase(text)
    assert phrase.noun
    assert " ".join((phrase.noun, *phrase.qualifiers)).split() != []


@pytest.mark.parametrize(
    ("qualifier", "named"),
    [
        ("with a backpack", "backpack"),
        ("riding a bicycle", "bicycle"),
        ("on the left", "left"),
        ("on the left side of the picture", "left side of the picture"),
        ("lying on the ground", "ground"),
        ("far away", "far away"),
        ("falling asleep", "falling asleep"),
        ("red", "red"),
        ("on", "on"),
    ],
)
def test_what_a_qualifier_names_stands_behind_the_words_that_lead_to_it(qualifier, named):
    assert named_in(qualifier) == named
