"""The benchmarks of the MLLM's prefill and of generated answers, end to end at toy size."""

import copy
import json
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lavida.errors import InputError
from lavida.evaluation.benchmarks.ucsd import CATEGORIES as PED2
from lavida.video.clips import analysis_size

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import answers
import prefill
import random_models
from results import NEEDS_GPU

TINY = "32x2x2"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny():
    return random_models.random_lavida(random_models.random_config(TINY), device=CPU, dtype=torch.float32)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a benchmark's main with these arguments; what it keeps."""

    def main(script, *arguments: str) -> dict:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(sys, "argv", [script.__name__, *arguments, "--out", str(tmp_path)])
        script.main()
        kept = json.loads((tmp_path / f"{script.__name__}.json").read_text())
        page = (tmp_path / f"{script.__name__}.md").read_text()
        assert sum(line.startswith("|") for line in page.splitlines()) == 2 + len(kept["rows"])
        return kept

    return main


class OneByOne:
    """Instead of fresh processes, whose imports take most of the time: gives them only what goes there and back."""

    def __init__(self, workers, *, mp_context, max_tasks_per_child):
        assert (workers, mp_context.get_start_method(), max_tasks_per_child) == (1, "spawn", 1)  # fresh, and in turn

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def map(self, work, cases):
        return [
            pickle.loads(pickle.dumps(each(case)))
            for each, case in pickle.loads(pickle.dumps([(work, c) for c in cases]))
        ]


@pytest.mark.slow
def test_prefill_compares_every_ratio_with_ratio_1(run, monkeypatch):
    monkeypatch.setattr(prefill, "ProcessPoolExecutor", OneByOne)
    kept = run(prefill, "--model", TINY, "paper", "--tokens", "1024", "--ratios", "0.25")
    full, quarter, *paper = kept["rows"]
    prompt = kept["conditions"]["prompt's tokens"]
    assert (full["kept"], quarter["kept"]) == (1024, 256)
    assert (full["sequence"], quarter["sequence"]) == (1024 + prompt, 256 + prompt)
    assert full["time, share of ratio 1"] == 1 and quarter["prefill ms"] < full["prefill ms"]
    assert quarter["attention FLOPs, share"] == pytest.approx(((256 + prompt) / (1024 + prompt)) ** 2, abs=1e-4)
    assert [row["prefill ms"] for row in paper] == [NEEDS_GPU, NEEDS_GPU]


@pytest.mark.slow
def test_answers_take_all_steps_and_frames_take_as_many_answers(run, monkeypatch):
    monkeypatch.setattr(answers, "MOST_PASSES", 2)
    monkeypatch.setattr(answers, "analysed_clip", lambda config, clip: clip[..., :64, :96])  # the rest takes its time
    kept = run(answers, "--model", TINY, "paper", "--answer", "5")
    *rows, paper = kept["rows"]
    ways = {row["way"]: row for row in rows}
    lavida, answer = ways["LAVIDA: one prefill, compressed to 0.5"], ways["an answer"]
    assert lavida["times"] == 1 and lavida["decoding ms"] is None
    assert answer["decoding ms"] > 0 and answer["vision tower ms"] > 0
    assert ways["an answer a frame, one by one"]["decoding ms"] > 3 * answer["decoding ms"]
    assert all(row["total ms"] > 0 for row in rows)
    assert paper["total ms"] == NEEDS_GPU


@pytest.mark.parametrize(
    ("script", "arguments", "told"),
    [
        (prefill, ["--tokens", "10"], "multiple of 4"),
        (prefill, ["--tokens", "0"], "multiple of 4"),
        (prefill, ["--ratios", "0"], "ratio 0.0"),
        (prefill, ["--model", "huge"], "no such model: huge"),
        (prefill, ["--model", "30x2x3"], "no model of shape 30x2x3"),
        (prefill, ["--model", "nano", "--layers", "99"], "--layers 99"),
        (answers, ["--ratio", "2"], "ratio 2.0"),
        (answers, ["--answer", "0"], "--answer 0"),
        (answers, ["--clip", "none.mp4"], "none.mp4"),
    ],
)
def test_bad_settings_are_told(run, script, arguments, told):
    with pytest.raises(InputError, match=told):
        run(script, *arguments)


def loud(mllm):
    """A copy whose answers depend on what was read and where: small weights and a tied head repeat one token."""
    copied, draw = copy.deepcopy(mllm), torch.Generator().manual_seed(0)
    head = copied.get_output_embeddings()
    head.weight = nn.Parameter(torch.empty_like(head.weight))
    for weight in copied.model.language_model.layers.parameters():
        if weight.ndim == 2:
            weight.data.normal_(std=0.5, generator=draw)
    head.weight.data.normal_(generator=draw)
    return copied


@pytest.mark.slow
@torch.inference_mode()
def test_an_answer_is_what_greedy_decoding_without_a_cache_gives(tiny):
    mllm, watch = loud(tiny.semantics.mllm), random_models.Stopwatch(CPU)
    embed, head, language = mllm.get_input_embeddings(), mllm.get_output_embeddings(), mllm.model.language_model
    embeds = 5 * torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(1))
    positions = torch.arange(9).expand(3, 2, 9) * 2
    answer = answers.write_answer(mllm, embeds, positions, 6, watch)

    read, places, expected = embeds, positions, []
    for _ in range(6):
        token = head(language(inputs_embeds=read, position_ids=places, use_cache=False).last_hidden_state)[:, -1]
        expected.append(token.argmax(-1))
        read = torch.cat([read, embed(expected[-1])[:, None]], dim=1)
        places = torch.cat([places, places[..., -1:] + 1], dim=2)
    watch.end()
    assert answer.tolist() == torch.stack(expected, dim=1).tolist()
    assert len(answer.unique()) > 6
    assert set(watch.ms) == {"prefill", "decoding"}


@pytest.mark.parametrize("ratio", [0.5, 1.0])
@torch.inference_mode()
def test_the_question_is_what_the_prefill_reads_without_its_answer(tiny, ratio):
    semantics, clip = tiny.semantics, answers.random_frames()[None]
    watch = random_models.Stopwatch(CPU)
    embeds, positions = answers.question(semantics, clip, ratio=ratio, watch=watch)
    read = []
    language = semantics.mllm.model.language_model
    hook = language.register_forward_pre_hook(lambda module, args, kwargs: read.append(kwargs), with_kwargs=True)
    output = semantics(clip, [random_models.CATEGORIES])
    hook.remove()
    asked = embeds.shape[1]
    assert torch.equal(read[0]["inputs_embeds"][:, :asked], embeds)
    assert torch.equal(read[0]["position_ids"][..., :asked], positions)
    answer = semantics.tokenizer("Sure, it is <SEG>.<|im_end|>")["input_ids"]
    assert output.lengths[0] - asked == len(answer) and output.lengths[0] > len(output.kept[0]) + len(answer)
    assert list(watch.ms) == ["vision tower", "compression"]


@torch.inference_mode()
def test_watching_changes_no_result_and_ends(tiny):
    semantics, clip = tiny.semantics, answers.random_frames()[None]
    watch = random_models.Stopwatch(CPU)
    before = vars(semantics.family).copy()
    with random_models.watched(semantics, watch):
        watched = semantics(clip, [random_models.CATEGORIES]).f_sem
    assert list(watch.ms) == ["vision tower", "compression", "prefill"]
    steps = dict(watch.ms)
    assert torch.equal(semantics(clip, [random_models.CATEGORIES]).f_sem, watched)
    assert watch.ms == steps and vars(semantics.family) == before


@pytest.mark.slow
def test_only_what_is_measured_gets_memory():
    config = random_models.random_config("paper", layers=1)
    config.mllm_config.text_config.vocab_size = 1000
    model = random_models.random_lavida(
        config, device=CPU, dtype=torch.bfloat16, parts=["semantics.mllm.model.language_model.norm"]
    )
    language = model.semantics.mllm.model.language_model
    assert language.norm.weight.device == CPU and language.norm.weight.isfinite().all()
    assert language.norm.weight.dtype == torch.bfloat16 and language.norm.weight.shape == (3584,)
    assert language.layers[0].mlp.up_proj.weight.is_meta and len(language.layers) == 1


def test_random_weights_are_finite_and_differ():
    with torch.device("meta"):
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(2000, 1000))
    random_models.materialise(module, CPU)
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
    assert (module[1].running_var > 0).all() and module[1].weight.mean() > 0.9
    assert module[2].weight[0].std() > 0.01 and not torch.equal(module[2].weight[0], module[2].weight[1])


def test_the_watch_sees_the_peak_of_a_step_and_not_of_the_one_before():
    watch = random_models.Stopwatch(CPU)
    watch.restart()
    watch.begin("large")
    torch.ones(32 * 2**20)  # 128 MB, freed at once
    watch.begin("small")
    torch.ones(2**20)
    watch.end()
    if watch.total_peak_mb is None:
        pytest.skip("this system does not tell the peak of a process")
    assert 120 < watch.peak_mb["large"] < 160 and watch.peak_mb["small"] < 40


@pytest.mark.parametrize("size", [(360, 640), (240, 360), (1080, 1920), (64, 2000)])
def test_the_whole_clip_is_analysed_at_the_size_of_detect(size):
    config = random_models.random_config("nano")
    clip = torch.zeros(1, 2, 3, *size, dtype=torch.uint8)
    expected = analysis_size(size[1], size[0], long_side=config.frame_side, multiple=config.frame_multiple)
    assert answers.analysed_clip(config, clip).shape == (1, 2, 3, *expected)


def test_the_prompt_is_that_of_ped2():
    assert random_models.CATEGORIES == PED2
