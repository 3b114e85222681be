"""The exposure test from answers to numbers, on toy pictures and clips in the layouts of two data sets of the kit."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from tiny import tiny_lavida
from torch import nn

from lavida import cli
from lavida.detector import Detector
from lavida.errors import InputError
from lavida.evaluation.held_out import evaluate_exposure, exposure_answers, questions
from lavida.evaluation.held_out.answers import ask, untrained_scores
from lavida.evaluation.held_out.questions import HeldOut
from lavida.exposure.heldout import Query
from lavida.exposure.sample import SegmentationSample

HEIGHT, WIDTH = 64, 96
PEOPLE, SEQUENCES = 20, {"train": ("bear", "elephant"), "val": ("camel", "dog")}
FRAMES, CLIP = 4, 3
TWO_SETS = (HeldOut("humans", "humans", "humans"), HeldOut("davis", "davis", "davis2016"))


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.of(tiny_lavida(), name="tiny", device=torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Photos of people, every fifth held out, and DAVIS with two sequences a split whose object leaves at the end."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[16:48, 32:64] = 255

    def write(picture: Path, label: Path, shown: np.ndarray) -> None:
        pixels = rng.integers(0, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        pixels[shown > 0] = 250
        for path, image in ((picture, pixels), (label, shown)):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)

    for i in range(PEOPLE):
        people = root / "humans"
        write(people / f"Training_Images/{i:02d}.jpg", people / f"Ground_Truth/{i:02d}.png", mask)
    davis = root / "davis2016"
    (davis / "ImageSets/480p").mkdir(parents=True)
    texts = {}
    for split, names in SEQUENCES.items():
        lines = [f"JPEGImages/480p/{name}/{i:05d}.jpg" for name in names for i in range(FRAMES)]
        (davis / f"ImageSets/480p/{split}.txt").write_text("\n".join(lines))
        texts |= {name: [name, f"a {name}"] for name in names}
        for line in lines:
            path = davis / line
            label = davis / "Annotations" / path.relative_to(davis / "JPEGImages").with_suffix(".png")
            write(path, label, mask * (int(path.stem) < FRAMES - 1))
    (davis / "expressions.json").write_text(json.dumps(texts))
    return root


@pytest.fixture
def without_dogs(detector):
    detector.model.config.removed_categories = ["camel", "dog"]
    yield
    detector.model.config.removed_categories = []


def sample(*, visible: tuple[bool, ...] = (True,)) -> SegmentationSample:
    mask = np.zeros((len(visible), HEIGHT, WIDTH), bool)
    mask[list(visible), :, : WIDTH // 2] = True
    frames = np.random.default_rng(0).integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
    return SegmentationSample(frames=frames, masks={"dog": mask}, ignore=None, dataset="toys", key="a")


# --- asking


@pytest.mark.slow
def test_all_prompts_of_a_sample_share_one_look_and_get_the_answers_of_a_look_each(detector):
    detector = Detector.of(detector.model, name="tiny", device=torch.device("cpu"))
    detector.torch.autocast = nullcontext  # bf16 rounds otherwise in a batch
    prompts = [Query(0, ("dog", "cat", "bus"), "dog"), Query(0, ("sky", "fork"), None)]
    clip = sample(visible=(True, False))
    looks = []
    handle = detector.model.sam2.vision_encoder.backbone.register_forward_hook(lambda *_: looks.append(1))
    answers = ask(detector, clip, prompts, calibrates=False)
    handle.remove()
    assert len(looks) == 1
    for prompt, said in zip(prompts, (answers[:2], answers[2:]), strict=True):
        with torch.no_grad():
            frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)[None]
            alone = detector.model(frames, [list(prompt.categories)])
        close = {"atol": 1e-4, "rtol": 1e-4}
        torch.testing.assert_close(torch.tensor([a.logit for a in said]), alone.frame_logits[0], **close)
        torch.testing.assert_close(torch.tensor([a.category_logits for a in said]), alone.category_logits[0], **close)
        assert {a.categories for a in said} == {prompt.categories}
    assert abs(answers[0].logit - answers[2].logit) > 1e-3


def test_a_prompt_that_cannot_be_asked_is_refused(detector):
    with pytest.raises(InputError, match="empty anomaly category"):
        ask(detector, sample(), [Query(0, (" ",), None)], calibrates=False)


def test_frames_that_do_not_show_the_class_are_negatives_of_a_positive_prompt(detector):
    clip = sample(visible=(True, False, True))
    with_dog, without = Query(0, ("dog", "cat"), "dog"), Query(0, ("cat", "bus"), None)
    answers = ask(detector, clip, [with_dog, without], calibrates=True)
    assert [a.positive for a in answers] == [True, False, True, False, False, False]
    assert [a.frame for a in answers] == [0, 1, 2] * 2 and all(a.calibrates for a in answers)
    assert [a.iou is None for a in answers] == [not a.positive for a in answers]
    assert all(a.named == (a.category_logits[0] > a.category_logits[1]) for a in answers if a.positive)


class HalfModel(nn.Module):
    """Marks the left three quarters of every frame."""

    def __init__(self, real: nn.Module, logit: float) -> None:
        super().__init__()
        self.config, self.text, self.alignment = real.config, real.text, real.alignment
        self.encode, self.clip_semantics = real.encode, real.clip_semantics
        self.real, self.logit = [real], logit

    def decode(self, features, f_sem, categories):
        output = self.real[0].decode(features, f_sem, categories)
        marked = torch.full_like(output.pixel_logits, -5)
        marked[..., : marked.shape[-1] * 3 // 4] = 5
        object.__setattr__(output, "pixel_logits", marked)
        object.__setattr__(output, "frame_logits", torch.full_like(output.frame_logits, self.logit))
        return output


def test_mask_iou_by_hand(detector):
    half = Detector.of(HalfModel(detector.model, 2.5), name="half", device=torch.device("cpu"))
    (said,) = ask(half, sample(), [Query(0, ("dog",), "dog")], calibrates=False)
    assert said.logit == 2.5 and said.iou == pytest.approx(2 / 3, abs=0.02)  # half of three quarters is true


def test_scores_that_are_not_numbers_are_refused(detector):
    broken = Detector.of(HalfModel(detector.model, float("nan")), name="broken", device=torch.device("cpu"))
    with pytest.raises(InputError, match="broken are not numbers"):
        ask(broken, sample(), [Query(0, ("dog",), "dog")], calibrates=False)


# --- baselines


def test_the_untrained_score_is_what_the_classifier_sees_of_the_nearest_class(detector):
    model = detector.model
    classes = model.alignment.classifier.class_features
    kept = classes.clone()
    try:
        with torch.no_grad():
            classes.zero_()
            classes[7], classes[9] = model.text(["dog"])[0], -model.text(["dog"])[0]
        logits = torch.zeros(2, 1000, 3, 4)
        logits[0, 7, 1, 2] = 20  # the first frame shows class 7 somewhere
        with torch.no_grad():
            scores = untrained_scores(model, logits, ["dog"])
        assert scores[0] == pytest.approx(1, abs=1e-3) and scores[1] == pytest.approx(1 / 1000, rel=0.01)
    finally:
        with torch.no_grad():
            classes.copy_(kept)


def test_there_is_no_untrained_score_without_a_classifier(detector):
    assert untrained_scores(detector.model, None, ["dog"]) is None
    plain = tiny_lavida(classifier_evidence=False)
    assert untrained_scores(plain, torch.zeros(1, 1000, 2, 2), ["dog"]) is None


# --- the whole test


@pytest.mark.slow
def test_the_result_holds_every_row_and_the_scores_behind_it(detector, data, tmp_path, without_dogs):
    result = evaluate_exposure(detector, root=data, out=tmp_path, pictures=TWO_SETS, clip_length=CLIP)
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    prompts = {name: (row["prompts"], row["frames"]) for name, row in result["sets"].items()}
    # davis: the last frame of a sequence shows nothing; removed: no prompts where none of them is shown
    assert prompts == {"humans": (8, 8), "davis": (14, 14), "davis clips": (8, 24), "removed": (12, 12)}
    assert {path.stem for path in (tmp_path / "scores").iterdir()} == {"humans", "davis", "davis-clips", "removed"}
    with np.load(tmp_path / "scores" / "davis-clips.npz") as scores:
        assert scores["label"].reshape(8, CLIP).sum(1).tolist() == [3, 0, 2, 0] * 2
        assert result["sets"]["davis clips"]["auc"] == pytest.approx(roc_auc_score(scores["label"], scores["score"]))
    assert result["sets"]["humans"]["auc_words"] == 1.0  # "person" is only ever said where one is
    assert result["sets"]["davis"]["auc_untrained"] is not None
    assert {name: row["present"] for name, row in result["removed"].items()} == {"camel": 3, "dog": 3}
    assert result["categories"]["person"]["present"] == 4
    # the pictures that calibration did not use: 2 people and 4 frames, two of which show nothing
    assert sum(result["reliability"]["prompts"]) == 2 * 2 + 2 * 2 + 2
    assert (tmp_path / "reliability.png").stat().st_size > 0


def test_clips_are_of_every_video_set_that_is_there(tmp_path, monkeypatch):
    class Films:
        def __init__(self, root, split, *, clip_length=1): ...

    for name in ("films", "shows"):
        monkeypatch.setitem(questions.DATASETS, name, Films)
    for folder in ("davis2016", "films", "camvid"):
        (tmp_path / folder).mkdir()
    assert {(each.row, each.folder, each.clip_length) for each in questions.clip_sets(tmp_path)} == {
        ("davis clips", "davis2016", 8),
        ("films clips", "films", 8),
    }


@pytest.mark.slow
def test_without_the_training_pictures_the_words_are_not_measured(detector, data, tmp_path):
    root = tmp_path / "test only"
    shutil.copytree(data, root)
    (root / "davis2016/ImageSets/480p/train.txt").unlink()
    result = evaluate_exposure(detector, root=root, out=tmp_path / "out", pictures=TWO_SETS, clip_length=CLIP)
    assert result["sets"]["davis"]["auc_words"] is None and result["sets"]["davis"]["auc"] is not None
    assert "removed" not in result["sets"] and result["removed"] == {}


def test_a_missing_set_is_said_before_anything_is_asked(detector, data, tmp_path):
    (tmp_path / "humans").symlink_to(data / "humans")
    asked = []
    with pytest.raises(InputError, match="davis2016"):
        list(exposure_answers(detector, tmp_path, pictures=TWO_SETS, progress=lambda *told: asked.append(told)))
    assert not asked


@pytest.mark.slow
def test_calibration_sees_half_of_the_pictures_and_no_removed_word(detector, data, without_dogs):
    everything = dict(exposure_answers(detector, data, pictures=TWO_SETS))
    halves = {name: [a for a in answers if a.calibrates] for name, answers in everything.items()}
    assert {name: len(half) for name, half in halves.items()} == {"humans": 4, "davis": 8}
    learnt = dict(exposure_answers(detector, data, pictures=TWO_SETS, calibrating=True))
    assert learnt == {"humans": [a for a in halves["humans"] if not {"camel", "dog"} & set(a.categories)]}
    assert 2 <= len(learnt["humans"]) < 4 and set(learnt) == {"humans"}  # davis shows nothing but camels and dogs
    detector.model.config.removed_categories = []
    assert dict(exposure_answers(detector, data, pictures=TWO_SETS, calibrating=True)) == halves


@pytest.mark.parametrize("option", ["--baseline", "--videos"])
def test_options_of_the_benchmarks_are_refused(option, tmp_path, capsys):
    command = ["eval", "exposure", "--root", str(tmp_path), "--out", str(tmp_path / "out"), option, "motion"]
    assert cli.run(command) == 2
    assert f"{option}: the exposure test" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_what_draws_the_curve_is_looked_for_before_anything_is_asked(detector, tmp_path, monkeypatch):
    monkeypatch.setattr("lavida.errors.find_spec", lambda package: None)
    with pytest.raises(InputError, match=r"reliability curve .* matplotlib is not installed: .*lavida\[eval\]"):
        evaluate_exposure(detector, root=tmp_path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
