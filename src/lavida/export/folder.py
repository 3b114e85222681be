"""Result folders that are either finished or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lavida.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: two runs with one target are then not kept apart
    fcntl = None  # type: ignore[assignment]

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def finished_folder(target: str | Path, *, replaces: str) -> Iterator[Path]:
    """Give a hidden folder beside `target` to write into; on success it becomes `target` in one rename.

    An error, Ctrl-C or kill leaves `target` as it was. What a killed run left hidden is removed by the next
    run to the same target. Two runs to the same target wait for each other.

    Args:
        target: the folder to make; its parents are made as well.
        replaces: an existing folder is replaced only if it is empty or holds a file of this name, so that a
            slip in a path never deletes what is not a result.

    Raises:
        InputError: `target` is a file or a foreign folder, or cannot be written; every `OSError` inside the
            block is translated.
    """
    target = Path(target).resolve()
    with _one_clear_line(target):
        _check_replaceable(target, replaces)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial, aside = _hidden_beside(target)
        lock = _claim(partial)
        try:
            _empty(partial)
            _recover(target, aside)
            yield partial
            _check_replaceable(target, replaces)
            _swap(partial, target, aside)
        except BaseException:  # not after the swap: then the name is that of the next run's folder
            shutil.rmtree(partial, ignore_errors=True)
            raise
        finally:
            if lock is not None:
                os.close(lock)


def check_target(target: str | Path, *, replaces: str) -> None:
    """Refuse before a long analysis what `finished_folder` would refuse after it; nothing is made.

    Raises:
        InputError: as `finished_folder`.
    """
    target = Path(target).resolve()
    with _one_clear_line(target):
        _check_replaceable(target, replaces)
        standing = next(parent for parent in target.parents if parent.exists())
        if not standing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(standing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def unique_stems(paths: Sequence[str | Path]) -> list[str]:
    """Name a result folder for every source: its stem, a repeated one with `-2`, `-3`, ... behind it.

    A number that would give the name of another source (`x-2.mp4` beside two `x`) is passed over.
    """
    stems = [_stem(Path(os.path.abspath(path))) for path in paths]
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


def _folded(name: str) -> str:
    """The same for names that are one on some disks."""
    return unicodedata.normalize("NFC", name).casefold()


def _stem(path: Path) -> str:
    # os.path, because a path that cannot be looked at is a matter of that source alone
    return (path.name if os.path.isdir(path) else path.stem) or "video"


def _check_replaceable(target: Path, replaces: str) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InputError(f"a file is in the way of the result folder: {target}; remove it or choose another folder")
    if any(target.iterdir()) and not (target / replaces).exists():
        raise InputError(f"the folder holds no lavida result: {target}; empty it or choose another folder")


def _hidden_beside(target: Path) -> tuple[Path, Path]:
    # always the same two names, so that the next run finds them, and short ones, for the target's may be long
    name = hashlib.blake2s(os.fsencode(target.name), digest_size=6).hexdigest()
    return target.with_name(f".lavida-{name}.partial"), target.with_name(f".lavida-{name}.replaced")


def _claim(partial: Path) -> int | None:
    """Make the hidden folder and wait until it is ours alone; return the open lock."""
    while True:
        partial.mkdir(exist_ok=True)
        lock = _lock(partial)
        # whoever held it before us may have renamed or removed it meanwhile
        if lock is None or (partial.exists() and os.path.samestat(os.fstat(lock), partial.stat())):
            return lock
        os.close(lock)


def _empty(folder: Path) -> None:
    for leftover in folder.iterdir():
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _lock(folder: Path) -> int | None:
    # The kernel drops the lock however the process dies; a process id in a file could be another's by then.
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _recover(target: Path, aside: Path) -> None:
    """Undo or finish a replacement in the middle of which a run was killed."""
    if aside.exists():
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)  # whoever put it there may be removing it
        else:
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
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _one_clear_line(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            line = f"the disk is full: {target}; free some space or choose a folder on another disk"
        else:
            reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
            line = f"cannot write the result folder: {target} ({reason}); choose a folder that can be written"
        raise InputError(line) from error
