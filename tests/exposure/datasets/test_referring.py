import pytest
from videos import meta_expressions, write_json

from lavida.errors import InputError
from lavida.exposure.datasets.annotated_video import Expressions, read_meta_expressions


def test_texts_of_the_same_objects_stand_under_the_first():
    texts = Expressions.of([("a dog", [1]), ("two  dogs ", [2, 1]), ("The brown dog", [1]), ("both", [1, 2])])
    assert texts.targets == {"a dog": {1}, "two dogs": {1, 2}}
    assert texts.more == {"a dog": ("The brown dog",), "two dogs": ("both",)}


def test_a_text_of_several_objects_means_their_union():
    texts = Expressions.of([("a dog", [1]), ("a dog", [2]), ("the left dog", [1]), ("a dog", [1])])
    assert texts.targets == {"a dog": {1, 2}, "the left dog": {1}} and not texts.more


def test_texts_without_objects_are_absent_unless_they_are_true_elsewhere():
    texts = Expressions.of([("a cat", []), ("a dog", []), ("a dog", [3]), ("  ", [4])])
    assert texts.absent == {"a cat"} and texts.targets == {"a dog": {3}}


def test_a_category_that_is_also_an_expression_keeps_its_mask():
    video = Expressions.of([("dog", [1])]).annotate("v", ["00000"], categories=["dog", "person"])
    assert video.targets == {"dog": {1}, "person": frozenset()}


def test_frames_are_put_in_order(tmp_path):
    path = tmp_path / "meta_expressions.json"
    write_json(path, meta_expressions({"v": (["00010", "00005"], [{"exp": "a dog", "obj_id": "2"}])}))
    ((frames, texts),) = read_meta_expressions(path, dataset="toys", layout="").values()
    assert frames == ("00005", "00010") and texts.targets == {"a dog": {2}}


@pytest.mark.parametrize("content", [{}, [], {"videos": {"v": {"frames": []}}}, {"videos": {"v": 3}}])
def test_another_format_is_an_input_error(tmp_path, content):
    path = tmp_path / "meta_expressions.json"
    write_json(path, content)
    with pytest.raises(InputError, match="meta_expressions.json"):
        read_meta_expressions(path, dataset="toys", layout="")
