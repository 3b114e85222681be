"""Where OpenVINO keeps the graphs that it compiled, so that only the first start waits for that."""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

from lavida.files import is_text

MOST_BYTES = 1 << 30
MOST_OF_ONE = MOST_BYTES // 2  # of one export, which has a graph for each size of video
OF_ITS_OWN = "openvino"


def compiled_folder(manifest: Path, *, caches: Path, size: int) -> Path | None:
    """The folder for the graphs of one export; None where nothing can be kept.

    An export has a folder of its own, named after its manifest: OpenVINO itself tells models apart by path and time of
    change, and does not see that the file of shared weights is another one (`openvino_cache_keeps_old_weights.sh` in
    findings/). Folders of exports that were not asked for the longest time go, until those that stay and the new one
    have room in `MOST_BYTES`; so do graphs of this one, the oldest first, above `MOST_OF_ONE`.

    Args:
        manifest: The export's `manifest.json`.
        caches: Where programs keep what they can make again.
        size: Bytes of the export's graphs. What is compiled takes up to twice as many.
    """
    if 2 * size > MOST_BYTES or not is_text(str(caches)):  # OpenVINO takes texts
        return None
    try:
        named = hashlib.sha256(os.fsencode(manifest.resolve()) + manifest.read_bytes()).hexdigest()[:16]
        folder = caches / OF_ITS_OWN / named
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # it is the latest one that was asked
        _keep_newest(list(folder.iterdir()), MOST_OF_ONE)
        others = [each for each in folder.parent.iterdir() if each.is_dir() and each != folder]
        _keep_newest(others, MOST_BYTES - max(2 * size, _bytes(folder)))
    except OSError:  # a home that is read-only or full: it is compiled each time; or the export has gone
        return None
    return folder if os.access(folder, os.W_OK) else None


def _keep_newest(paths: list[Path], room: int) -> None:
    for path in sorted(paths, key=lambda each: each.stat().st_mtime, reverse=True):
        room -= _bytes(path)
        if room < 0 and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)  # on Windows a graph in use stays
        elif room < 0:
            with suppress(OSError):
                path.unlink()


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
