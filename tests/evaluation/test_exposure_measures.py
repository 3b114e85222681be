"""The numbers of the exposure test, by hand."""

import pytest
from rich.console import Console

from lavida.evaluation.held_out import exposure_tables
from lavida.evaluation.held_out.answers import QueryAnswer, category_measures, removed_measures, row_measures
from lavida.evaluation.held_out.questions import WordsAlone
from lavida.exposure.heldout import Query


def answer(logit: float, *, present: str | None = None, positive: bool | None = None, **fields) -> QueryAnswer:
    positive = present is not None if positive is None else positive
    return QueryAnswer(
        positive=positive, logit=logit, present=present, **({"iou": None, "named": None, "calibrates": False} | fields)
    )


def test_words_alone_learn_which_names_are_said_when_they_are_true():
    names = ("traffic light", "traffic sign", "zebra", "bear", "fork")
    prompts = [Query(i, (names[0], names[2 + i % 3]), names[0]) for i in range(30)]
    prompts += [Query(i, (names[1], names[2 + i % 3]), None) for i in range(30)]
    words = WordsAlone.learn(prompts)
    light, sign, unknown, nothing = words.scores([(names[0], "bear"), (names[1], "bear"), ("bear", "new"), ("bear",)])
    assert light > 1 and sign < -1  # a name is one word: the shared "traffic" would blur them
    assert unknown == nothing


def test_words_have_nothing_to_learn_from_prompts_of_one_kind():
    assert WordsAlone.learn([]) is None
    assert WordsAlone.learn([Query(0, ("dog",), "dog"), Query(1, ("cat",), "cat")]) is None


def test_a_row_by_hand():
    answers = [
        answer(2.0, present="dog", iou=0.5, named=True, untrained=0.1),
        answer(0.0, present="dog", iou=0.7, named=False, untrained=0.9, frame=1),
        answer(3.0, present="dog", positive=False, untrained=0.2, frame=2),
        answer(-1.0, untrained=0.3),
        answer(1.0, untrained=0.4),
    ]
    row = row_measures(answers, None)
    assert (row["prompts"], row["frames"]) == (3, 5)
    assert row["auc"] == pytest.approx(3 / 6)  # 2 beats two of three, 0 beats one
    assert row["auc_untrained"] == pytest.approx(3 / 6) and row["auc_words"] is None
    assert row["mask_iou"] == pytest.approx(0.6) and row["category_accuracy"] == pytest.approx(0.5)


def test_a_row_without_negatives_has_no_auc():
    row = row_measures([answer(1.0, present="dog")], None)
    assert row["auc"] is None and row["mask_iou"] is None and row["category_accuracy"] is None
    empty = row_measures([], WordsAlone.learn([Query(0, ("dog",), "dog"), Query(1, ("cat",), None)]))
    assert empty["prompts"] == 0 and empty["auc"] is None and empty["auc_words"] is None


def test_the_auc_of_a_category_compares_its_own_logits():
    both = ("dog", "cat")
    answers = [
        answer(0, present="dog", categories=both, category_logits=(3.0, 5.0)),
        answer(0, present="dog", positive=False, categories=both, category_logits=(9.0, 1.0)),  # out of sight
        answer(0, categories=both, category_logits=(1.0, 0.0)),
        answer(0, categories=both, category_logits=(4.0, 0.0)),
        answer(0, categories=both),  # a model that cannot tell categories apart
    ]
    measures = category_measures(answers)
    assert measures["dog"] == {"auc": 0.5, "present": 1, "absent": 2}
    assert measures["cat"] == {"auc": None, "present": 0, "absent": 4}


def test_a_removed_category_is_compared_between_prompts_that_name_it():
    answers = [
        answer(1.0, present="dog", categories=("dog", "sky")),
        answer(0.0, categories=("dog", "sky")),
        answer(5.0, categories=("sky", "fork")),  # names no removed category
        answer(2.0, categories=("camel", "sky")),
    ]
    assert removed_measures(answers, ["dog", "camel", "zebra"]) == {
        "camel": {"auc": None, "present": 0, "absent": 1},
        "dog": {"auc": 1.0, "present": 1, "absent": 1},
        "zebra": {"auc": None, "present": 0, "absent": 0},
    }


def test_the_tables_show_the_baselines_and_the_removed_categories(capsys):
    row = {"prompts": 8, "auc": 0.91, "auc_words": 0.52, "auc_untrained": None, "mask_iou": 0.4}
    result = {
        "sets": {"davis clips": row | {"category_accuracy": 0.75}},
        "removed": {"zebra": {"auc": 0.66, "present": 3, "absent": 4}},
        "reliability": {"expected_calibration_error": 0.031},
    }
    rows, removed = exposure_tables(result)
    Console(width=110).print(rows, removed)
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if "davis clips" in line)
    assert line.split() == ["davis", "clips", "8", "0.910", "0.520", "-", "0.400", "-", "-", "0.750"]
    assert "0.031" in shown and ["zebra", "3", "4", "0.660"] in [line.split() for line in shown.splitlines()]
    assert len(exposure_tables(result | {"removed": {}})) == 1
