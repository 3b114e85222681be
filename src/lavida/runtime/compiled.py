"""Where OpenVINO keeps the graphs that it compiled, so that only the first start waits for that."""

import hashlib
import os
import shutil
from pathlib import Path

MOST_BYTES = 1 << 30
OF_ITS_OWN = "openvino"


def compiled_folder(manifest: Path, *, caches: Path, size: int) -> Path | None:
    """The folder for the graphs of one export; None where nothing can be kept.

    An export has a folder of its own, named after its manifest: OpenVINO itself tells models apart by path and time of
    change, and does not see that the file of shared weights is another one (`openvino_cache_keeps_old_weights.sh` in
    findings/). Folders of exports that were not asked for the longest time go, until those that stay and the new one
    have room in `MOST_BYTES`.

    Args:
        manifest: The export's `manifest.json`.
        caches: Where programs keep what they can make again.
        size: Bytes of the export's graphs. What is compiled takes up to twice as many.
    """
    if 2 * size > MOST_BYTES:
        return None
    named = hashlib.sha256(os.fsencode(manifest.resolve()) + manifest.read_bytes()).hexdigest()[:16]
    folder = caches / OF_ITS_OWN / named
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # it is the latest one that was asked
        _make_room(folder, MOST_BYTES - 2 * size)
    except OSError:  # a home that is read-only or full: it is compiled each time
        return None
    return folder if os.access(folder, os.W_OK) else None


def _make_room(wanted: Path, room: int) -> None:
    others = [each for each in wanted.parent.iterdir() if each.is_dir() and each != wanted]
    for other in sorted(others, key=lambda each: each.stat().st_mtime, reverse=True):
        room -= _bytes(other)
        if room < 0:
            shutil.rmtree(other, ignore_errors=True)  # on Windows a graph in use stays


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
