"""A folder of results on any file system, in which a file is either whole or not there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from lavida.errors import InputError, reason
from lavida.files import atomic_file, locked
from lavida.parallel import AbortRun
from lavida.scan.addresses import file_system, takes_many
from lavida.scan.state import State, listed_state

UNFINISHED = ".unfinished"  # beside the results, so that a rename stays on one disk; readers pass hidden folders over
LOCK = ".lock"


class Store:
    """Named files below one address.

    On a disk a file is written out of sight and renamed. On an object store it appears when its upload is complete,
    which those stores guarantee.

    Raises:
        AbortRun: every method, where the place cannot be read or written: no file of any video could be.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._system, self._base = file_system(address)
        self.is_local = isinstance(self._system, LocalFileSystem)
        # Object stores do not rename: they inherit "copy and delete".
        self._renames = type(self._system).mv is not AbstractFileSystem.mv

    @property
    def takes_many(self) -> bool:
        """Whether several threads may use it at once."""
        return takes_many(self.address)

    def read(self, name: str) -> bytes | None:
        """The content, or None if there is no such file."""
        with self._abort_errors():
            try:
                return self._system.cat_file(self._path(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file in one atomic step."""
        target = self._path(name)
        with self._abort_errors():
            if not self._renames:
                self._system.pipe_file(target, content)
                return
            if self.is_local:
                with atomic_file(target, hidden=self._path(UNFINISHED)) as partial:
                    partial.write_bytes(content)
                return
            unfinished = self._path(f"{UNFINISHED}/{uuid.uuid4().hex}")
            for path in (unfinished, target):
                self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(unfinished, content)
            self._replace(unfinished, target)

    def _replace(self, unfinished: str, target: str) -> None:
        try:
            self._system.mv(unfinished, target)
        except Exception:  # some do not rename onto a file that is there, each with an error of its own
            if not self._system.exists(target):
                raise
            self._system.rm_file(target)
            self._system.mv(unfinished, target)

    def names(self, folder: str) -> Iterator[str]:
        """The files below a folder, whatever their depth, relative to it; none if it does not exist."""
        return (name for name, _ in self.files(folder))

    def files(self, folder: str) -> Iterator[tuple[str, State]]:
        """As `names`, each with what the listing tells of it."""
        base = self._path(folder)
        with self._abort_errors():
            self._system.invalidate_cache()
            found = self._system.find(base, detail=True)
        return ((path.removeprefix(base).lstrip("/"), listed_state(info)) for path, info in found.items())

    def is_empty(self) -> bool:
        """Whether nothing is there but what a store itself leaves."""
        with self._abort_errors():
            try:
                names = {path.rstrip("/").rpartition("/")[2] for path in self._system.ls(self._base, detail=False)}
            except FileNotFoundError:
                return True
        return names <= {UNFINISHED, LOCK}

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, if it is there."""
        path = self._path(name)
        with self._abort_errors(), suppress(FileNotFoundError):
            self._system.invalidate_cache(path)  # another worker may have written there
            self._system.rm(path, recursive=True)

    def tidy(self) -> None:
        """Remove what killed writers left out of sight; one that is not dead yet may still be writing there."""
        with suppress(AbortRun):
            self.remove(UNFINISHED)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep others out while the block runs, where the file system can: a second scan would repeat the work.

        Raises:
            InputError: another scan is at work here.
        """
        if not self.is_local:
            yield
            return
        with ExitStack() as held:
            with self._abort_errors():
                mine = held.enter_context(locked(Path(self._path(LOCK)), wait=False))
            if not mine:
                raise InputError(f"another scan writes to {self.address}; wait for it, or choose another --out")
            yield

    def _path(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}"

    @contextmanager
    def _abort_errors(self) -> Iterator[None]:
        try:
            yield
        except AbortRun:
            raise
        except Exception as error:  # each file system raises its own: no credentials, no such bucket, disk full, ...
            cause = error.__cause__ if isinstance(error, InputError) else None  # what `atomic_file` has translated
            raise AbortRun(
                f"cannot use {self.address}: {reason(cause or error)}; make room or give access there, or choose "
                "another --out; the same command goes on where this one stopped"
            ) from error
