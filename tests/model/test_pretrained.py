"""A saved model for others: the card, and what goes up to the hub."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hub_cache import put_into_cache, use_cache
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import load_file
from tiny import tiny_lavida
from transformers import AutoModel

from lavida.checkpoints import pretrained
from lavida.checkpoints.pretrained import LavidaModel, adapter_card, model_card
from lavida.errors import InputError
from lavida.files import fingerprint

SOURCES = {"mllm": "Qwen/Qwen2-VL-7B-Instruct", "vision": "facebook/sam2.1-hiera-small", "text": "my-clip"}


class Hub:
    """Keeps what it is sent."""

    def __init__(self, root: Path, *, has_card: bool = False):
        self.root, self.has_card, self.calls = root, has_card, []

    def __call__(self, token=None) -> "Hub":
        return self

    def create_repo(self, repo_id, *, private, exist_ok):
        self.calls.append((repo_id, private, exist_ok))
        return SimpleNamespace(repo_id=f"me/{repo_id}")

    def create_branch(self, repo_id, *, branch, exist_ok):
        self.calls.append((repo_id, branch, exist_ok))

    def file_exists(self, repo_id, name, *, revision):
        return self.has_card and name == "README.md"

    def upload_folder(self, *, repo_id, folder_path, allow_patterns, delete_patterns, **_):
        there = [path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file()]
        for name in filter_repo_objects(there, allow_patterns=delete_patterns):
            (self.root / name).unlink()
        own = [path.relative_to(folder_path).as_posix() for path in Path(folder_path).rglob("*") if path.is_file()]
        for name in filter_repo_objects(own, allow_patterns=allow_patterns):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder_path) / name, self.root / name)
        return f"commit to {repo_id}"


@pytest.mark.slow
def test_all_of_a_model_goes_to_the_hub_and_comes_back(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "there")
    monkeypatch.setattr(pretrained, "HfApi", hub)
    model = tiny_lavida(sources=SOURCES)
    model.processors = {"mllm/preprocessor_config.json": "{}"}
    assert model.push_to_hub("model", private=True) == "commit to me/model"
    assert hub.calls == [("model", True, True)]
    for name in ("config.json", "model.safetensors", "README.md", "processors/mllm/preprocessor_config.json"):
        assert (hub.root / name).is_file(), name
    for folder in ("tokenizer", "text_tokenizer"):
        assert (hub.root / folder / "tokenizer.json").is_file()
    back = LavidaModel.from_pretrained(hub.root)
    assert back.config.sources == SOURCES and back.processors == model.processors


@pytest.mark.slow
def test_a_model_that_is_saved_and_pushed_at_once_goes_as_a_whole(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "there")
    monkeypatch.setattr(pretrained, "HfApi", hub)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").touch()
    tiny_lavida(sources=SOURCES).save_pretrained(tmp_path / "here", push_to_hub=True, private=True)
    assert hub.calls == [("here", True, True)]
    assert LavidaModel.from_pretrained(hub.root).config.sources == SOURCES
    assert not (hub.root / "notes.txt").exists()


def save(model: LavidaModel, folder: Path, monkeypatch, **shards) -> None:
    model.save_pretrained(folder, **shards)


def push(model: LavidaModel, folder: Path, monkeypatch, **shards) -> None:
    monkeypatch.setattr(pretrained, "HfApi", Hub(folder))
    model.push_to_hub("model", **shards)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [save, push])
def test_the_last_weights_are_loaded_whatever_the_shards_of_earlier_ones(keep, tmp_path, monkeypatch):
    model = tiny_lavida()
    for value, shards in enumerate([{}, {"max_shard_size": "4MB"}, {"max_shard_size": "8MB"}, {}], start=1):
        with torch.no_grad():
            model.projector.w_llm.bias.fill_(value)
        keep(model, tmp_path, monkeypatch, **shards)
        assert bool(list(tmp_path.glob("model-*"))) == bool(shards)
        assert LavidaModel.from_pretrained(tmp_path).projector.w_llm.bias[0] == value
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.slow
def test_a_save_that_fails_leaves_the_earlier_model(tmp_path, monkeypatch):
    model = tiny_lavida()
    model.save_pretrained(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(self, folder, **_):
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", full)
    with pytest.raises(OSError, match="No space"):
        model.save_pretrained(tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "made"), [("trial", [("me/model", "trial", True)]), ("refs/pr/1", []), (None, [])]
)
def test_a_branch_that_is_not_there_is_made(tmp_path, monkeypatch, revision, made):
    hub = Hub(tmp_path / "there")
    monkeypatch.setattr(pretrained, "HfApi", hub)
    tiny_lavida().push_to_hub("model", revision=revision)
    assert hub.calls[1:] == made


@pytest.mark.slow
def test_what_went_to_a_branch_comes_back_from_it(tmp_path, monkeypatch, tiny_model_dir):
    hub, cache = Hub(tmp_path / "there"), tmp_path / "cache"
    monkeypatch.setattr(pretrained, "HfApi", hub)
    tiny_lavida(seed=1).push_to_hub("model", revision="trial")
    use_cache(tmp_path / "usual", monkeypatch)
    put_into_cache(cache, "me/model", tiny_model_dir)
    put_into_cache(cache, "me/model", hub.root, revision="trial")
    main = LavidaModel.from_pretrained("me/model", cache_dir=cache)
    trial = LavidaModel.from_pretrained("me/model", cache_dir=cache, revision="trial")
    pushed = tiny_lavida(seed=1).projector.w_llm.weight
    assert torch.equal(trial.projector.w_llm.weight, pushed) and not torch.equal(main.projector.w_llm.weight, pushed)


@pytest.mark.slow
def test_transformers_auto_model_loads_it(tiny_model_dir):
    assert isinstance(AutoModel.from_pretrained(tiny_model_dir), LavidaModel)


@pytest.mark.slow
def test_tied_weights_are_written_once_in_any_precision(tmp_path):
    model = tiny_lavida()
    mllm = model.semantics.mllm
    assert mllm.config.tie_word_embeddings and mllm.lm_head.weight is mllm.get_input_embeddings().weight
    model.save_pretrained(tmp_path / "float32")
    model.save_pretrained(tmp_path / "float16", weights=torch.float16)
    names = [set(load_file(tmp_path / name / "model.safetensors")) for name in ("float32", "float16")]
    assert names[0] == names[1] and "semantics.mllm.lm_head.weight" not in names[1]
    assert LavidaModel.from_pretrained(tmp_path / "float16")


@pytest.mark.slow
def test_a_card_that_somebody_wrote_on_the_hub_stays(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "there", has_card=True)
    monkeypatch.setattr(pretrained, "HfApi", hub)
    tiny_lavida().push_to_hub("model")
    assert (hub.root / "config.json").is_file() and not (hub.root / "README.md").exists()


@pytest.mark.parametrize("write", [model_card, adapter_card])
def test_the_card_has_the_hubs_metadata(write):
    config = tiny_lavida(sources=SOURCES).config
    _, metadata, text = write(config).split("---\n", 2)
    metadata = yaml.safe_load(metadata)
    assert metadata["library_name"] == "lavida" and "zero-shot" in metadata["tags"]
    assert metadata["base_model"] == sorted([SOURCES["mllm"], SOURCES["vision"]])  # a folder is no id
    assert all(source in text for source in SOURCES.values())


def test_untrained_models_say_so():
    config = tiny_lavida(untrained=True).config
    assert "**Untrained**" in model_card(config)
    config.untrained = False
    assert "**Untrained**" not in model_card(config)


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_a_precision_that_no_model_runs_in_is_refused(tiny_model_dir, name):
    for asked in (torch.bfloat16, "float16"):
        with pytest.raises(InputError, match=f"^{name}={asked}: .*leave {name} out"):
            LavidaModel.from_pretrained(tiny_model_dir, **{name: asked})
    model = LavidaModel.from_pretrained(tiny_model_dir, **{name: torch.float32})
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.slow
def test_nano_is_the_embedded_model_here_too():
    assert LavidaModel.from_pretrained("nano").config.motion


def test_an_adapter_is_not_taken_for_a_model(tmp_path):
    (tmp_path / "adapter_config.json").touch()
    with pytest.raises(InputError, match="lavida models merge"):
        LavidaModel.from_pretrained(tmp_path)


@pytest.mark.slow
def test_a_model_that_was_not_copied_whole(tmp_path):
    tiny_lavida().save_pretrained(tmp_path, max_shard_size="10MB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    content = shards[1].read_bytes()
    shards[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"{shards[1].name} is damaged or cut short; copy or download it again"):
        LavidaModel.from_pretrained(tmp_path)
    shards[1].unlink()
    with pytest.raises(InputError, match=f"{shards[1].name} is missing"):
        LavidaModel.from_pretrained(tmp_path)


def test_the_fingerprint_of_a_folder_is_that_of_its_weights_wherever_it_lies(tmp_path, tiny_model_dir):
    copy = Path(shutil.copytree(tiny_model_dir, tmp_path / "copy"))
    (copy / "README.md").write_text("another card")
    assert fingerprint(copy) == fingerprint(tiny_model_dir)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert fingerprint(copy) != fingerprint(tiny_model_dir)
