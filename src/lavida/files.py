"""Files and folders that are either finished or not there, locks between processes, and names."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import product
from pathlib import Path

from filelock import FileLock, Timeout

from lavida.errors import InputError, reading_from, writing_to

# of an earlier result: a name that its folder holds and no other folder does, or what tells such a folder
Replaces = str | Callable[[Path], bool]
# what marks a folder of `lavida detect`: its overlay.mp4 is not footage
RESULT_FILES = frozenset({"run.json", "frames.parquet"})
# where `lavida serve` and `lavida watch` keep copies of footage, beside the database of each; other files beside it are
# somebody's
COPIES = {
    "lavida-serve.sqlite": ("uploads", "jobs", "partial"),
    "lavida.sqlite": ("clips", "ring", "snapshots"),
}
SYNCED_AT_ONCE = 8  # files: a disk takes as long for them as for one


@contextmanager
def atomic_file(target: str | Path, *, hidden: str | Path | None = None) -> Iterator[Path]:
    """Give a hidden path beside `target`, with its suffix, to write to; on success it becomes `target` in one rename.

    An error or Ctrl-C leaves `target` as it was and nothing beside it. A name like that of the target would not do:
    two processes may write it at once. `hidden` is a folder on the same disk to write in instead.

    Raises:
        InputError: it cannot be written; every `OSError` inside the block is translated.
    """
    target = Path(target)
    folder = target.parent if hidden is None else Path(hidden)
    with writing_to(target):
        for needed in (folder, target.parent):
            needed.mkdir(parents=True, exist_ok=True)
        partial = folder / f".lavida-{uuid.uuid4().hex[:12]}{target.suffix}"
        try:
            yield partial
            _sync(partial)  # a rename that survives a power cut must not outlive its content
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: str | Path, *, replaces: Replaces, wait: bool = True) -> Iterator[Path]:
    """Give a hidden folder beside `target` to write into; on success it becomes `target` in one rename.

    An error, Ctrl-C, kill or power cut leaves `target` as it was. What a killed run left hidden is removed by the next
    run to the same target. Two runs to the same target wait for each other.

    Args:
        target: the folder to make; its parents are made as well.
        replaces: an existing folder is replaced only if it is empty, or holds a file of this name or is of this kind,
            so that a slip in a path never deletes what is not a result.
        wait: for another run to the same target; without it that is an error.

    Raises:
        InputError: `target` is a file or a foreign folder, or cannot be written; every `OSError` inside the
            block is translated.
    """
    target = Path(target).resolve()
    with writing_to(target):
        _check_replaceable(target, replaces)
        target.parent.mkdir(parents=True, exist_ok=True)
        # always the same names, so that the next run finds them, and short ones, for the target's may be long
        name = f".lavida-{hashlib.blake2s(os.fsencode(target.name), digest_size=6).hexdigest()}"
        partial, aside = target.with_name(f"{name}.partial"), target.with_name(f"{name}.replaced")
        with locked(target.with_name(f"{name}.lock"), wait=wait) as alone:
            if not alone:
                raise InputError(f"another process is writing {target}; wait until it has ended")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                partial.mkdir()
                _recover(target, aside)
                yield partial
                _check_replaceable(target, replaces)
                _sync_all(partial)
                _swap(partial, target, aside)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keep other processes out while the block runs. However a process dies, its lock dies with it.

    Args:
        path: a file for the lock alone, which is removed afterwards; its folder is made.
        wait: for another process that has it.

    Yields:
        Whether nobody else is in there: False only without `wait`. A file system without locks keeps nobody out.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        if os.name != "nt":  # where it removes the file itself; while it is held: who waits for it then makes a new one
            with suppress(OSError):
                path.unlink()
        lock.release()


UNNAMED = "video"  # what has no name of its own
MANIFEST = "manifest.json"  # tells the folder of an exported model from others
EXPORTED = "exported"  # the folder in a model's own where its export lies
NANO = "nano"  # the name of the embedded model
EMBEDDED = Path(__file__).parent / "weights" / NANO


def embedded() -> Path:
    """Where the embedded model is. Raises InputError if it is not."""
    if not EMBEDDED.is_dir():
        raise InputError(f"the embedded model is missing: {EMBEDDED}; install lavida again, or give a model's folder")
    return EMBEDDED


def fingerprint(folder: Path) -> str:
    """SHA-256 over the files of a saved model: its card, its export and what is hidden are no part of it.

    Raises:
        InputError: one cannot be read.
    """
    whole = hashlib.sha256()
    with reading_from(folder):
        files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"]
        for path in sorted(path for path in files if not _beside(path.relative_to(folder))):
            whole.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def as_stored(path: Path, *others: str) -> Path:
    """`path` with its suffix as it is on the disk: in capitals or not, or one of the `others`; as given without any."""
    spelled = (path.with_suffix(each) for suffix in (path.suffix, *others) for each in _spellings(suffix))
    return next(filter(os.path.exists, spelled), path)


@lru_cache(maxsize=64)
def _spellings(suffix: str) -> tuple[str, ...]:
    letters = (dict.fromkeys((letter.lower(), letter.upper())) for letter in suffix)
    return tuple(dict.fromkeys((suffix, suffix.upper(), *map("".join, product(*letters)))))


def file_state(path: Path) -> list[int] | str | None:
    """What differs once a file does, or a file right in a folder, without reading any; None where there is nothing."""
    try:
        if path.is_dir():
            with os.scandir(path) as entries:
                files = sorted((entry.name, *_stamp(entry.stat())) for entry in entries if entry.is_file())
            return hashlib.sha256(ascii(files).encode()).hexdigest()
        return _stamp(path.stat())
    except OSError:
        return None


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns]


def is_text(name: str) -> bool:
    """False for a path whose bytes are no UTF-8: Python keeps them as halves of letters, and few libraries do."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _beside(path: Path) -> bool:
    return path.parts[0] == EXPORTED or any(part.startswith(".") for part in path.parts)


def check_target(target: str | Path, *, replaces: Replaces) -> None:
    """Refuse before a long analysis what `atomic_folder` would refuse after it; nothing is made.

    Raises:
        InputError: as `atomic_folder`.
    """
    target = Path(target).resolve()
    with writing_to(target):
        _check_replaceable(target, replaces)
        _check_parents(target)


def check_file_target(target: str | Path) -> None:
    """Refuse before a long analysis what `atomic_file` would refuse after it; nothing is made.

    Raises:
        InputError: as `atomic_file`.
    """
    with writing_to(target):
        if Path(target).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _check_parents(Path(target).resolve())


def _check_parents(target: Path) -> None:
    standing = next(parent for parent in target.parents if parent.exists())
    if not standing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(standing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _check_replaceable(target: Path, replaces: Replaces) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InputError(f"a file is in the way of the result folder: {target}; remove it or choose another folder")
    is_result = (target / replaces).exists() if isinstance(replaces, str) else replaces(target)
    if any(target.iterdir()) and not is_result:
        raise InputError(f"the folder holds no lavida result: {target}; empty it or choose another folder")


def _recover(target: Path, aside: Path) -> None:
    """Undo or finish a replacement in the middle of which a run was killed."""
    if aside.exists() and target.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.rename(target)


def _swap(partial: Path, target: Path, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    try:
        partial.rename(target)
    except BaseException:
        if aside.exists():
            aside.rename(target)
        raise
    _sync_folder(target.parent)  # before the older one goes
    shutil.rmtree(aside, ignore_errors=True)


def _sync_all(folder: Path) -> None:
    """Have all of a folder on its disk, not only on the way there: a power cut leaves empty files otherwise."""
    found = [(Path(place), names) for place, _, names in os.walk(folder)]
    files = [path for place, names in found for name in names if not (path := place / name).is_symlink()]
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync, files))
    for place, _ in found:
        _sync_folder(place)


def _sync_folder(folder: Path) -> None:
    """Its names; Windows and some network disks cannot do that."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows asks for what may write
    except PermissionError:  # a file that is copied or linked may be read-only; it lies on its disk already
        if os.name == "nt":
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unique_stems(paths: Sequence[str | Path]) -> list[str]:
    """Name a result folder for every source: its stem, a repeated one with `-2`, `-3`, ... behind it.

    A number that would give the name of another source (`x-2.mp4` beside two `x`) is passed over.
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    # os.path, because a path that cannot be looked at is a matter of that source alone
    stems = [path.name if os.path.isdir(path) else path.stem for path in absolute]
    stems = [stem if stem.strip(".") else UNNAMED for stem in stems]  # `..mp4` would be the folder of all results
    taken = {_folded(stem) for stem in stems}
    first_use, names = set(taken), []
    for stem in stems:
        name, number = stem, 2
        if _folded(stem) in first_use:
            first_use.remove(_folded(stem))
        else:
            while _folded(name) in taken:
                name, number = f"{stem}-{number}", number + 1
        taken.add(_folded(name))
        names.append(name)
    return names


def natural_order(name: str) -> tuple[list[str | int], str]:
    """A key for sorting: `2.mp4` before `10.mp4`."""
    parts = re.split(r"(\d+)", name.casefold())  # text, number, text, ...
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _folded(name: str) -> str:
    """The same for names that are one on some disks."""
    return unicodedata.normalize("NFC", name).casefold()
