"""The folder in which OpenVINO keeps what it compiled."""

import os
from pathlib import Path

from lavida.runtime import compiled
from lavida.runtime.compiled import compiled_folder


def manifest(folder: Path, content: str = "{}") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "manifest.json"
    path.write_text(content)
    return path


def kept(caches: Path) -> list[Path]:
    return sorted((caches / "openvino").iterdir())


def test_each_export_has_a_folder_of_its_own(tmp_path):
    caches = tmp_path / "caches"
    first = compiled_folder(manifest(tmp_path / "one", "{1}"), caches=caches, size=10)
    assert first is not None and first.is_dir()
    assert compiled_folder(tmp_path / "one" / "manifest.json", caches=caches, size=10) == first
    again = compiled_folder(manifest(tmp_path / "one", "{2}"), caches=caches, size=10)  # exported anew
    elsewhere = compiled_folder(manifest(tmp_path / "two", "{2}"), caches=caches, size=10)
    assert len({first, again, elsewhere}) == 3


def test_what_was_asked_least_lately_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_BYTES", 100)
    caches, folders = tmp_path / "caches", []
    for i in range(3):
        folder = compiled_folder(manifest(tmp_path / str(i)), caches=caches, size=20)
        (folder / "graph.blob").write_bytes(bytes(40))
        os.utime(folder, (i, i))
        folders.append(folder)
    assert kept(caches) == sorted(folders[1:])  # at the third, 40 bytes for it and 40 of the second had room
    os.utime(folders[1], (5, 5))
    latest = compiled_folder(manifest(tmp_path / "3"), caches=caches, size=20)
    assert kept(caches) == sorted([folders[1], latest])
    assert compiled_folder(manifest(tmp_path / "large"), caches=caches, size=60) is None


def test_of_one_export_the_newest_graphs_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_OF_ONE", 100)
    folder = compiled_folder(manifest(tmp_path / "one"), caches=tmp_path / "caches", size=20)
    for i, name in enumerate(["old", "joined/graph.xml", "new"]):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(45))
        os.utime(folder / Path(name).parts[0], (i, i))
    assert compiled_folder(tmp_path / "one" / "manifest.json", caches=tmp_path / "caches", size=20) == folder
    assert sorted(each.name for each in folder.iterdir()) == ["joined", "new"]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    path = manifest(tmp_path / "one")
    (tmp_path / "file").write_text("")
    assert compiled_folder(path, caches=tmp_path / "file", size=1) is None
    monkeypatch.setattr(Path, "mkdir", refuse)  # root may write anywhere
    assert compiled_folder(path, caches=tmp_path, size=1) is None


def test_openvino_takes_no_path_that_is_no_text(tmp_path):
    assert compiled_folder(manifest(tmp_path / "one"), caches=Path(f"{tmp_path}/\udcff"), size=1) is None


def refuse(*args, **kwargs) -> None:
    raise PermissionError(13, "Permission denied")
