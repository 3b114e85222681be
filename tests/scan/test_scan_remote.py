"""Videos and results at addresses of fsspec."""

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pytest
from scan_results import tree
from video import make

from lavida.errors import InputError
from lavida.scan.worker import fetched


@pytest.fixture
def bucket(footage):
    """The footage as `memory://bucket`, with a folder of images and something broken."""
    make.folder(footage / "stills", {f"{i}.png": make.plain(250) for i in range(3)})
    (footage / "junk.mp4").write_bytes(b"junk")
    memory = fsspec.filesystem("memory")
    memory.put(f"{footage}/", "/bucket", recursive=True)
    yield memory
    memory.rm("/", recursive=True)


@pytest.mark.parametrize("source", ["memory://bucket", "memory:///bucket", "memory://bucket/**"])
def test_remote_videos_give_what_local_ones_give(bucket, footage, scan_to, tmp_path, source):
    local, remote = scan_to(footage, out=str(tmp_path / "local")), scan_to(source)
    assert (remote.finished, remote.frames) == (local.finished, local.frames) == (4, 42)
    kept = ("frame", "time_s", "score", "category", "video")
    one, other = (
        pa.dataset.dataset(tmp_path / out / "frames", partitioning="hive").to_table(columns=list(kept)).sort_by("video")
        for out in ("local", "out")
    )
    assert one.equals(other)
    assert list(remote.failures) == ["junk.mp4"]
    assert remote.failures["junk.mp4"].startswith("not a video: memory:/") and "/tmp" not in remote.failures["junk.mp4"]


def test_results_at_a_remote_address_are_resumed(bucket, scan_to, looks):
    out = "memory://results"
    assert scan_to("memory://bucket", out=out).scored == 4
    again = scan_to("memory://bucket", out=out)
    assert (again.finished, again.scored) == (4, 0) and len(looks.sources) == 4
    files = [path for path in bucket.find("/results") if path.endswith(".parquet")]
    assert len(files) == 9
    data = pa.dataset.dataset("/results/frames", filesystem=bucket, partitioning="hive")
    assert set(data.to_table()["video"].to_pylist()) == {"c.avi", "cam 1/a.mp4", "cam 1/b.mp4", "stills"}
    with pytest.raises(InputError, match="other settings"):
        scan_to("memory://bucket", out=out, stride=1)
    assert scan_to("memory://bucket", out=out, stride=1, overwrite=True).scored == 4


def test_results_on_a_disk_and_at_a_url_of_it_are_the_same_place(footage, scan_to, tmp_path):
    scan_to(footage)
    before = tree(tmp_path / "out")
    assert scan_to(footage.as_uri(), out=(tmp_path / "out").as_uri()).scored == 0
    assert tree(tmp_path / "out") == before


def test_a_remote_manifest_starts_at_its_own_folder(bucket, scan_to):
    bucket.pipe("/bucket/list.txt", b"cam 1/a.mp4\nmemory://bucket/c.avi\ngone.mp4\n")
    report = scan_to("memory://bucket/list.txt")
    assert report.finished == 2
    assert report.failures == {"gone.mp4": "no such file: memory://bucket/gone.mp4; it may have been removed meanwhile"}


def test_copies_are_removed_one_by_one(bucket):
    with fetched("memory://bucket/c.avi") as copy:
        assert copy.read_bytes() == bucket.cat("/bucket/c.avi") and copy.suffix == ".avi"
    assert not copy.parent.exists()


def test_an_address_that_nobody_knows_is_one_line(footage, scan_to):
    with pytest.raises(InputError, match="cannot open nosuch://bucket"):
        scan_to("nosuch://bucket")
    with pytest.raises(InputError, match="cannot open nosuch://out"):
        scan_to(footage, out="nosuch://out")


def test_a_video_that_cannot_be_fetched_is_a_failure(bucket, scan_to, monkeypatch):
    get_file = type(bucket).get_file

    def flaky(self, path, *arguments, **options):
        if path.endswith("c.avi"):
            raise ConnectionError("reset by\npeer")
        return get_file(self, path, *arguments, **options)

    monkeypatch.setattr(type(bucket), "get_file", flaky)
    report = scan_to("memory://bucket")
    assert report.finished == 3
    assert report.failures["c.avi"] == "cannot fetch memory://bucket/c.avi: reset by peer; check your access to it"
