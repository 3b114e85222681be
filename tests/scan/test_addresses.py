"""Addresses: names below a root, and folder names that every reader decodes."""

import os
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from lavida.errors import InputError
from lavida.scan.addresses import absolute, address_of, file_system, parent, partition, printable, relative


@pytest.mark.parametrize(
    ("text", "base", "address"),
    [
        ("a.mp4", "/v", "/v/a.mp4"),
        ("./x/../a.mp4", "/v", "/v/a.mp4"),
        ("../a.mp4", "/v/list", "/v/a.mp4"),
        ("/b/a.mp4", "/v", "/b/a.mp4"),
        ("file:///b/a.mp4", "/v", "/b/a.mp4"),
        ("s3://b/a.mp4", "/v", "s3://b/a.mp4"),
        ("s3://b/folder/", "/v", "s3://b/folder"),
        ("memory://", "/v", "memory://"),
        ("cam/a.mp4", "s3://b/list", "s3://b/list/cam/a.mp4"),
        ("./a.mp4", "s3://b", "s3://b/a.mp4"),
        ("/b/a.mp4", "s3://b", "/b/a.mp4"),
    ],
)
def test_what_a_text_stands_for(text, base, address):
    assert absolute(text, base=base) == address


@pytest.mark.parametrize(
    ("address", "root", "name"),
    [
        ("/v/cam/a.mp4", "/v", "cam/a.mp4"),
        ("/v/cam/a.mp4", "/", "v/cam/a.mp4"),
        ("/video/a.mp4", "/v", "/video/a.mp4"),
        ("/v/a.mp4", "", "/v/a.mp4"),
        ("s3://b/cam/a.mp4", "s3://b", "cam/a.mp4"),
        ("memory:///cam/a.mp4", "memory:///", "cam/a.mp4"),
        ("s3://b/a.mp4", "/v", "s3://b/a.mp4"),
    ],
)
def test_a_name_is_relative_to_the_root_or_the_whole_address(address, root, name):
    assert relative(address, root=root) == name


def test_the_folder_of_an_address():
    assert parent("/v/a.mp4") == "/v"
    assert parent("s3://b/cam/a.mp4") == "s3://b/cam"
    assert parent("s3://b/a.mp4") == "s3://b"


@pytest.mark.parametrize("like", ["memory://cams", "memory:///cams"])
def test_listed_paths_keep_the_form_of_the_address(like):
    assert address_of("/cams/x/a.mp4", like=like) == f"{like}/x/a.mp4"


def test_a_chain_of_file_systems_is_kept(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("cams/a.mp4", b"")
    like = f"zip://cams::{tmp_path}/all.zip"
    assert address_of("cams/a.mp4", like=like) == f"zip://cams/a.mp4::{tmp_path}/all.zip"


def test_an_unknown_file_system_is_one_line():
    with pytest.raises(InputError, match="cannot open nosuch://x/a.mp4: .*nosuch"):
        file_system("nosuch://x/a.mp4")


def test_local_names_that_look_like_chains_are_only_names(tmp_path):
    (tmp_path / "a::b.mp4").write_bytes(b"x")
    system, path = file_system(str(tmp_path / "a::b.mp4"))
    assert system.cat_file(path) == b"x"


AWKWARD = [
    "a.mp4",
    "cam 1/ü/x=1%.mp4",
    "/data/ö?.mkv",
    "s3://b/a.mp4",
    "日本/" + "長" * 20 + ".mp4",
    "a~b.mp4",
    "x\ny.mp4",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_a_partition_is_the_url_encoded_name(name):
    assert partition(name) == quote(name, safe="")


def test_long_names_and_names_that_are_no_text_are_still_apart():
    long = [f"{'日' * 200}/{'x' * 300}{i}.mp4" for i in range(3)]
    odd = [os.fsdecode(b"caf\xe9%d.mp4" % i) for i in range(3)]
    keys = [partition(name) for name in long + odd]
    assert len(set(keys)) == 6
    for key, name in zip(keys, long + odd, strict=True):
        assert len(os.fsencode(f"video={key}")) <= 255
        kept = unquote(key, errors="strict").rpartition("~")[0]
        assert len(kept) > 5 and os.fsencode(name).decode(errors="replace").endswith(kept)


def test_readers_see_every_name(tmp_path):
    names = [*AWKWARD, os.fsdecode(b"caf\xe9.mp4"), "日" * 300]
    for name in names:
        folder = tmp_path / f"video={partition(name)}"
        folder.mkdir()
        pq.write_table(pa.table({"frame": [0]}), folder / "part-0.parquet")
    read = pa.dataset.dataset(tmp_path, partitioning="hive").to_table()["video"].to_pylist()
    assert len(set(read)) == len(names) and set(AWKWARD) < set(read)


def test_printed_names_are_text():
    assert printable(os.fsdecode(b"caf\xe9.mp4")) == "caf\\udce9.mp4"
    assert printable("café.mp4") == "café.mp4"
