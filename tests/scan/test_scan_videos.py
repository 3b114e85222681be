"""Which videos a scan finds, and under which names."""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from listed import names, touch
from video import make

from lavida.errors import InputError
from lavida.scan.entries import Entry, _local_entry
from lavida.scan.state import state_of
from lavida.scan.videos import list_videos


def test_a_folder_is_walked_and_only_videos_are_taken(tmp_path):
    touch(tmp_path, "b10.mp4", "b2.MP4", "notes.txt", "x/y/c.mkv", "x/c.json", "noise.wav", "list.csv")
    assert names(tmp_path) == ["b2.MP4", "b10.mp4", "x/y/c.mkv"]
    assert list_videos([str(tmp_path)]).videos[0].address == str(tmp_path / "b2.MP4")


def test_hidden_files_litter_and_results_of_lavida_are_passed_over(tmp_path):
    touch(tmp_path, "a.mp4", "._a.mp4", ".trash/b.mp4", "lavida-out/a/overlay.mp4")
    touch(tmp_path, "lavida-out/a/run.json", "lavida-out/a/frames.parquet")
    assert names(tmp_path) == ["a.mp4"]


def test_a_folder_that_holds_only_images_is_one_video(tmp_path):
    touch(tmp_path, "Test/01/1.tif", "Test/01/2.tif", "Test/01/Thumbs.db", "Test/02/1.PNG", "a.mp4", "preview.jpg")
    touch(tmp_path, "mixed/1.png", "mixed/notes.txt", "above/1.png", "above/below/2.png")
    assert names(tmp_path) == ["a.mp4", "above/below", "Test/01", "Test/02"]
    assert names(tmp_path / "Test" / "01") == ["01"]


def test_results_sent_into_a_folder_of_images_do_not_change_what_it_is(tmp_path):
    touch(tmp_path, "a/frames/1.png", "a/frames/2.png", "a/frames/scores/frames/x/part-0.parquet")
    (tmp_path / "a" / "frames" / "scores" / "run.json").write_text('{"command": "scan"}')
    assert names(tmp_path / "a") == ["frames"]
    assert names(tmp_path / "a" / "frames") == ["frames"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "disk/a.mp4", "root/b.mp4")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "file.mp4").symlink_to(tmp_path / "disk" / "a.mp4")
    assert names(tmp_path / "root") == ["b.mp4", "file.mp4", "linked/a.mp4"]


def test_a_link_to_itself_fails_alone(tmp_path):
    touch(tmp_path, "cam/a.mp4", "cam/b.mp4", "frames/1.png", "frames/2.png")
    (tmp_path / "cam" / "loop").symlink_to("loop")
    (tmp_path / "cam" / "loop.mp4").symlink_to("loop.mp4")
    assert names(tmp_path / "cam") == ["a.mp4", "b.mp4", "loop.mp4"]  # which fails, and says why
    assert list_videos([str(tmp_path / "cam")]).left_out == {"unreadable": 1}
    before = state_of(str(tmp_path / "frames"))
    (tmp_path / "frames" / "3.png").symlink_to("3.png")
    assert state_of(str(tmp_path / "frames")) == before and before.pictures == 2


def test_an_entry_that_cannot_be_looked_at_is_a_file():
    class Guarded:  # root may look everywhere
        path = "/cam/c.mp4"

        def is_dir(self):
            raise PermissionError(13, "Permission denied", self.path)

    assert _local_entry(Guarded()) == Entry("/cam/c.mp4")


def test_a_folder_that_cannot_be_read_is_not_passed_over_in_silence(tmp_path, monkeypatch):
    touch(tmp_path, "a.mp4", "shut/b.mp4")
    scandir = os.scandir

    def guarded(folder):
        if str(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr("os.scandir", guarded)
    assert names(tmp_path) == ["a.mp4", "shut"]  # it will be a failure


def test_a_glob_takes_files_and_folders_below_its_fixed_part(tmp_path):
    touch(tmp_path, "cam1/a.mp4", "cam1/deep/b.mp4", "cam2/a.mp4", "cam2/notes.txt", "cam2/raw.bin", "other/a.mp4")
    assert names(tmp_path / "cam*" / "*.mp4") == ["cam1/a.mp4", "cam2/a.mp4"]
    assert names(tmp_path / "cam*") == ["cam1/a.mp4", "cam1/deep/b.mp4", "cam2/a.mp4"]
    assert names(tmp_path / "**" / "b.mp4") == ["cam1/deep/b.mp4"]
    assert names(tmp_path / "cam2" / "*") == ["a.mp4"]
    assert names(tmp_path / "cam2" / "*.bin") == ["raw.bin"]


def test_a_name_with_brackets_is_a_name_if_it_exists(tmp_path):
    touch(tmp_path, "clip[1].mp4", "clip1.mp4")
    assert names(tmp_path / "clip[1].mp4") == ["clip[1].mp4"]


def test_a_single_file_of_any_suffix(tmp_path):
    touch(tmp_path, "camera.dat")
    assert names(tmp_path / "camera.dat") == ["camera.dat"]


def test_the_same_name_in_two_roots_stays_apart(tmp_path):
    touch(tmp_path, "one/clip.mp4", "two/clip.mp4")
    assert names(tmp_path / "one", tmp_path / "two") == ["one/clip.mp4", "two/clip.mp4"]
    files = [tmp_path / "one" / "clip.mp4", tmp_path / "two" / "clip.mp4"]
    assert names(*files) == ["one/clip.mp4", "two/clip.mp4"]
    assert names(files[0], tmp_path / "one") == ["clip.mp4"]  # once


def write_manifest(path: Path, videos: list[object]) -> Path:
    lines = [str(video) for video in videos]
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": range(len(lines)), "video": lines}), path)
    elif path.suffix == ".csv":
        path.write_text("id,video\n" + "".join(f'{i},"{line}"\n' for i, line in enumerate(lines)))
    else:
        path.write_text("# cameras\n\n" + "\r\n".join(lines))
    return path


@pytest.mark.parametrize("suffix", [".txt", ".lst", ".csv", ".parquet"])
def test_a_manifest_gives_each_of_its_videos_once_and_in_its_order(tmp_path, suffix):
    touch(tmp_path, "lists/b.mp4", "lists/sub/a, 1.mp4", "far/c.mp4")
    videos = ["b.mp4", "sub/a, 1.mp4", tmp_path / "far" / "c.mp4", "./b.mp4", tmp_path / "lists" / "b.mp4", "gone.mp4"]
    manifest = write_manifest(tmp_path / "lists" / f"list{suffix}", videos)
    listing = list_videos([str(manifest)])
    assert listing.root == str(tmp_path / "lists")
    assert [video.name for video in listing.videos] == [
        "b.mp4",
        "sub/a, 1.mp4",
        str(tmp_path / "far" / "c.mp4"),
        "gone.mp4",  # listed: it will be a failure, not silently left out
    ]


def test_lines_that_start_at_the_current_folder_are_found_there(tmp_path, monkeypatch):
    touch(tmp_path, "videos/a.mp4")
    (tmp_path / "lists").mkdir()
    manifest = write_manifest(tmp_path / "lists" / "list.txt", ["videos/a.mp4"])
    monkeypatch.chdir(tmp_path)
    assert [video.address for video in list_videos([str(manifest)]).videos] == [str(tmp_path / "videos" / "a.mp4")]


def test_a_manifest_may_hold_any_bytes_and_a_byte_order_mark(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.mp4\r\ncaf\xe9.mp4\r\n")
    assert [os.fsencode(name) for name in names(tmp_path / "list.txt")] == [b"a.mp4", b"caf\xe9.mp4"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(("file", "head"), [("list.txt", ""), ("list.csv", "video,label\r\n")])
def test_a_manifest_of_power_shell_is_read(tmp_path, encoding, file, head):
    mark = "" if encoding == "utf-16" else "\ufeff"
    lines = f"{mark}{head}a.mp4\r\n\u010a \u4e2d.mp4\r\n"  # their bytes hold those of a line break
    (tmp_path / file).write_bytes(lines.encode(encoding))
    assert names(tmp_path / file) == ["a.mp4", "\u010a \u4e2d.mp4"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
@pytest.mark.parametrize("encoded", [False, True])
def test_text_of_every_kind_and_nulls_in_parquet(tmp_path, kind, encoded):
    column = pa.array(["a.mp4", None, "", "b.mp4"], kind)
    if encoded:
        column = column.cast(pa.large_string() if pa.types.is_string_view(kind) else kind).dictionary_encode()
    pq.write_table(pa.table({"id": range(4), "video": column}), tmp_path / "list.parquet", row_group_size=3)
    assert names(tmp_path / "list.parquet") == ["a.mp4", "b.mp4"]


def test_half_of_a_parquet_file_or_one_around_another_content_is_one_line(tmp_path, capfd):
    place = tmp_path / "list.parquet"
    pq.write_table(pa.table({"video": [f"{number}.mp4" for number in range(5000)]}), place)
    whole = place.read_bytes()
    for content in (b"", whole[:9], whole[: len(whole) // 2], whole[:-1], whole[20:], b"PAR1\xff\xff\xff\x7fPAR1"):
        place.write_bytes(content)
        with pytest.raises(InputError, match="cannot read the manifest"):
            list_videos([str(place)])
    place.write_bytes(whole[:100] + bytes(2000) + whole[2100:])
    with pytest.raises(InputError, match="cannot read the manifest"):
        list_videos([str(place)])
    assert capfd.readouterr() == ("", "")


def test_a_list_in_parquet_needs_an_extra(tmp_path, monkeypatch):
    (tmp_path / "list.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pyarrow is not installed.*pip install 'lavida\[scan\]'"):
        list_videos([str(tmp_path / "list.parquet")])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("list.csv", b"path,label\na.mp4,1\n", r"no column video in .*list.csv, only path, label"),
        ("list.csv", b"", "no column video in .*, only none"),
        ("list.parquet", b"junk", "cannot read the manifest .*list.parquet"),
        ("list.txt", b"\n# nothing\n", "no videos in .*list.txt"),
        ("list.txt", "a.mp4".encode("utf-16-le"), "cannot read the manifest .*list.txt: it is no text in UTF-8"),
        ("list.csv", b"\xff\xfev\0i", "cannot read the manifest .*list.csv"),
    ],
)
def test_a_manifest_without_videos_is_one_line(tmp_path, file, content, message):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list_videos([str(tmp_path / file)])


def test_a_column_of_numbers_is_refused(tmp_path):
    pq.write_table(pa.table({"video": [1, 2]}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match="the column video holds int64, not text"):
        list_videos([str(tmp_path / "list.parquet")])


@pytest.mark.parametrize("source", ["", "nowhere", "nowhere/*.mp4", "empty"])
def test_a_source_without_videos_is_one_line(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no such file or folder|no videos in|no source"):
        list_videos([source])


def test_images_of_the_tests_are_read_as_one_video(tmp_path):
    make.folder(tmp_path / "frames", {f"{i}.png": make.plain(9) for i in range(2)})
    assert names(tmp_path) == ["frames"]
