"""Addresses of files: absolute local paths, and URLs of any file system that fsspec knows."""

from __future__ import annotations

import hashlib
import os
import posixpath
from urllib.parse import quote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from lavida.errors import InputError, one_line

LONGEST_FOLDER_NAME = 255  # bytes, on nearly every disk
KEPT_OF_A_LONG_NAME = 200


def is_remote(address: str) -> bool:
    """Whether fsspec opens it: `s3://bucket/a.mp4`, but not `file:///a.mp4` once it went through `absolute`."""
    return "://" in address


def absolute(text: str, *, base: str) -> str:
    """The address that `text` stands for.

    Args:
        text: a path, absolute or relative to `base`, or a URL; `file://` becomes a path.
        base: the address of a folder.
    """
    for scheme in ("file://", "local://"):
        if text.startswith(scheme):
            return os.path.normpath(LocalFileSystem._strip_protocol(text))
    if is_remote(text):
        scheme, _, path = text.partition("://")
        return f"{scheme}://{path.rstrip('/')}"
    if is_remote(base):
        return text if os.path.isabs(text) else _below(base) + posixpath.normpath(text)
    return os.path.normpath(os.path.join(base, os.path.expanduser(text)))


def relative(address: str, *, root: str) -> str:
    """The address without the root above it; the whole address if it lies elsewhere."""
    return address.removeprefix(_below(root)) if root else address


def _below(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"


def parent(address: str) -> str:
    """The address of the folder it lies in."""
    if is_remote(address):
        scheme, _, path = address.partition("://")
        return f"{scheme}://{posixpath.dirname(path)}"
    return os.path.dirname(address)


def file_system(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of an address and the path within it.

    Raises:
        InputError: there is no such file system, its package is missing, or its settings are wrong.
    """
    if not is_remote(address):
        return LocalFileSystem(), address
    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise InputError(f"cannot open {address}: {one_line(str(error))}") from error
    except Exception as error:  # each file system raises its own: no credentials, no such host, ...
        raise InputError(f"cannot open {address}: {why(error)}; check the address and your access to it") from error


def takes_many(address: str) -> bool:
    """Whether its file system can be asked by several threads at once, which is promised for few."""
    return not is_remote(address) or file_system(address)[0].async_impl


def address_of(path: str, *, like: str) -> str:
    """The address of a path that a file system has listed.

    Args:
        path: within the file system of `like`.
        like: an address there. Host, user and chained file systems (`zip://::s3://...`), which paths do not tell, are
            taken from it.
    """
    if not is_remote(like):
        return path
    known = file_system(like)[1]
    links = like.split("::")
    place = next(i for i, link in enumerate(links) if "://" in link)
    if links[place].endswith(known):
        links[place] = links[place].removesuffix(known) + path
    else:
        links[place] = f"{links[place].partition('://')[0]}://{path}"
    return "::".join(links)


def why(error: BaseException) -> str:
    """One line from an exception of any file system."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(str(text))


def printable(name: str) -> str:
    r"""A name as text: bytes that are no UTF-8, which file names may hold, are shown as `\udcXX`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def partition(name: str) -> str:
    """The name of a video as one folder name, URL-encoded.

    Readers decode it again. Of a name too long for a disk, or whose bytes are no UTF-8 (readers would refuse the whole
    data set), its end is kept and a digest of the whole is added, so that no two names share a folder.
    """
    raw = os.fsencode(name)
    encoded = quote(raw, safe="")
    if is_text(raw) and len("video=" + encoded) <= LONGEST_FOLDER_NAME:
        return encoded
    text = raw.decode("utf-8", "replace")
    while len(quote(text, safe="")) > KEPT_OF_A_LONG_NAME:
        text = text[1:]
    return f"{quote(text, safe='')}~{hashlib.blake2s(raw, digest_size=8).hexdigest()}"


def is_text(raw: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
