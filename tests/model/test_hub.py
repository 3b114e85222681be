import errno
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from checkpoints import save_clip, save_mllm
from hub_cache import NOBODY, put_into_cache, use_cache
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import filter_repo_objects

from lavida.checkpoints import hub
from lavida.checkpoints.hub import find
from lavida.errors import InputError
from lavida.loading import load

ID = "somebody/some-model"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


def refusal(source: str | Path, **how) -> str:
    with pytest.raises(InputError) as caught:
        find(source, **how)
    assert "\n" not in str(caught.value) and NOBODY.partition("//")[2] not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HfApi", None)  # nobody is asked
    assert find(tmp_path) == tmp_path
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find("a/b") == Path("a/b")


@pytest.mark.parametrize(
    "source", ["nowhere", "no/such/folder", "/no/folder", "./model", "../x/y", "a b/c", "", "-x/y"]
)
def test_what_is_no_hub_id_is_looked_for_in_folders_alone(source, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "HfApi", None)
    monkeypatch.chdir(tmp_path)
    if source:  # "" is the folder itself
        assert refusal(source, what="text encoder", give="another") == f"no such text encoder: {source}; give another"


def test_no_hub_and_no_copy(tmp_path, monkeypatch):
    use_cache(tmp_path, monkeypatch)
    assert (told := refusal(ID)).startswith(f"{ID} is no folder, the hub cannot be reached, and no copy of it")
    assert "try again with a connection" in told


def test_no_hub_but_a_copy(tmp_path, monkeypatch, caplog, clip):
    use_cache(tmp_path, monkeypatch)
    snapshot = put_into_cache(tmp_path, ID, clip)
    assert find(ID) == snapshot
    assert caplog.messages == [f"the hub cannot be reached: using the copy of {ID} in its cache"]


def test_switched_off(tmp_path, monkeypatch, caplog, clip):
    use_cache(tmp_path, monkeypatch, offline=True)
    assert "HF_HUB_OFFLINE" in refusal(ID)
    put_into_cache(tmp_path, ID, clip)
    assert find(ID).is_dir() and "HF_HUB_OFFLINE" in caplog.text


def test_half_a_copy_is_not_used(tmp_path, monkeypatch):
    use_cache(tmp_path / "cache", monkeypatch)
    snapshot = put_into_cache(tmp_path / "cache", ID, save_mllm(tmp_path / "mllm"))
    (snapshot / "model-00002-of-00003.safetensors").unlink()
    assert "incomplete (model-00002-of-00003.safetensors is missing)" in refusal(ID)
    for path in snapshot.glob("model*"):
        path.unlink()
    assert "incomplete (model.safetensors is missing)" in refusal(ID)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RepositoryNotFoundError, "the hub has no such model"),
        (GatedRepoError, "accepted its terms"),
        (RevisionNotFoundError, "the hub has no revision None of it"),
    ],
)
def test_the_hub_refuses(error, words, tmp_path, monkeypatch, caplog, clip):
    class Refusing:
        def __init__(self, token):
            pass

        def model_info(self, hub_id, revision, timeout):
            raise error("no", response=SimpleNamespace(headers={}, request=None, status_code=404))

    use_cache(tmp_path, monkeypatch)
    monkeypatch.setattr(hub, "HfApi", Refusing)
    assert words in refusal(ID)
    put_into_cache(tmp_path, ID, clip)
    assert find(ID).is_dir() and words in caplog.text


class Answering:
    """A hub that has `files` and writes down who asks for what."""

    files = ["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "model.pt"]
    asked: ClassVar[list] = []

    def __init__(self, token):
        self.token = token

    def model_info(self, hub_id, revision, timeout):
        assert timeout < 10
        self.asked.append((self.token, revision))

    def list_repo_files(self, hub_id, revision):
        self.asked.append((self.token, revision))
        return self.files


@pytest.mark.parametrize(("files", "left_out"), [(Answering.files, "*.bin"), (["pytorch_model.bin"], "*.safetensors")])
def test_what_is_on_the_hub_is_fetched_without_second_copies(files, left_out, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(Answering, "files", files)
    monkeypatch.setattr(hub, "HfApi", Answering)
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **how: asked.update(how) or str(tmp_path))
    assert find(ID) == tmp_path
    assert "*.json" in asked["allow_patterns"] and not {left_out, "*.pt", "*.h5"} & set(asked["allow_patterns"])
    assert asked["etag_timeout"] < 10


def test_of_an_export_beside_a_model_every_file_is_fetched(tmp_path, monkeypatch):
    export = ["manifest.json", "vision.onnx", "known_words.npy", "shared_weights.bin", "tokenizer/tokenizer.json"]
    files = ["model.safetensors", "pytorch_model.bin", "old/vision.onnx", *(f"exported/{name}" for name in export)]
    fetched = []

    def download(name, *, allow_patterns, **how):
        fetched.extend(filter_repo_objects(files, allow_patterns=allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr(Answering, "files", files)
    monkeypatch.setattr(hub, "HfApi", Answering)
    monkeypatch.setattr(hub, "snapshot_download", download)
    find(ID)
    assert fetched == ["model.safetensors", *files[3:]]


def test_revision_token_and_cache_go_all_the_way_to_the_hub(tmp_path, monkeypatch):
    given, asked = {"revision": "trial", "token": "secret", "cache_dir": tmp_path}, {}
    monkeypatch.setattr(Answering, "asked", [])
    monkeypatch.setattr(hub, "HfApi", Answering)
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **how: asked.update(how) or str(tmp_path))
    find(ID, **given)
    assert Answering.asked == [("secret", "trial")] * 2
    assert {name: asked[name] for name in given} == given


def test_a_copy_of_another_revision_is_not_taken(tmp_path, monkeypatch, caplog, clip):
    use_cache(tmp_path / "usual", monkeypatch)
    place = {"revision": "trial", "cache_dir": tmp_path / "other"}
    put_into_cache(tmp_path / "usual", ID, clip)
    put_into_cache(tmp_path / "other", ID, clip)
    assert "no copy of it is in the hub's cache here" in refusal(ID, **place)
    trial = put_into_cache(tmp_path / "other", ID, clip, revision="trial")
    assert find(ID, **place) == trial != find(ID, cache_dir=tmp_path / "other")
    assert caplog.text.count("using the copy") == 2


def test_a_download_that_breaks_off(monkeypatch):
    def broken(*_, **__):
        raise ConnectionError(f"{NOBODY} has gone")

    monkeypatch.setattr(hub, "HfApi", Answering)
    monkeypatch.setattr(hub, "snapshot_download", broken)
    assert "run the same command to go on" in refusal(ID)


def test_a_disk_that_is_full_is_not_the_hubs_fault(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub, "HfApi", Answering)
    monkeypatch.setattr(hub, "snapshot_download", full)
    with pytest.raises(OSError, match="No space"):
        find(ID)


@pytest.mark.slow
def test_a_saved_model_is_loaded_by_its_hub_id(tmp_path, monkeypatch, tiny_model_dir, caplog):
    use_cache(tmp_path, monkeypatch)
    put_into_cache(tmp_path, ID, tiny_model_dir)
    assert load(ID, device="cpu").name == ID
    assert len(caplog.messages) == 1
