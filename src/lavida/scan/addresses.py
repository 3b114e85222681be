"""Addresses of files: absolute local paths, and URLs of any file system that fsspec knows."""

from __future__ import annotations

import hashlib
import os
import posixpath
from urllib.parse import quote

import fsspec
from fsspec.implementations.local import LocalFileSystem

from lavida.errors import InputError, one_line, reason

LONGEST_FOLDER_NAME = 255  # bytes, on nearly every disk
KEPT_OF_A_LONG_NAME = 200


def is_remote(address: str) -> bool:
    """Whether fsspec opens it: `s3://bucket/a.mp4`, but not `file:///a.mp4` once it went through `absolute`."""
    return "://" in address


def absolute(text: str, *, base: str) -> str:
    """The address that `text` stands for: a path, absolute or below the folder `base`, or a URL."""
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
        raise InputError(f"cannot open {address}: {one_line(error)}") from error
    except Exception as error:  # each file system raises its own: no credentials, no such host, ...
        raise InputError(f"cannot open {address}: {reason(error)}; check the address and your access to it") from error


def takes_many(address: str) -> bool:
    """Whether its file system can be asked by several threads at once, which is promised for few."""
    return not is_remote(address) or file_system(address)[0].async_impl


def address_of(path: str, *, like: str) -> str:
    """The address of a path that a file system has listed.

    Host, user and chained file systems (`zip://::s3://...`), which paths do not tell, are those of `like`.
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


def printable(name: str) -> str:
    r"""A name as text: bytes that are no UTF-8, which file names may hold, are shown as `\udcXX`."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def partition(name: str) -> str:
    """The name of a video as one folder name, URL-encoded.

    Readers decode it again. Of a name too long for a disk, or whose bytes are no UTF-8 (readers would refuse the whole
    data set), its end is kept and a digest of the whole is added, so that no two names share a folder.
    """
    raw = os.fsencode(name)
    encoded, text = quote(raw, safe=""), raw.decode("utf-8", "replace")
    if text.encode() == raw and len("video=" + encoded) <= LONGEST_FOLDER_NAME:
        return encoded
    while len(quote(text, safe="")) > KEPT_OF_A_LONG_NAME:
        text = text[1:]
    return f"{quote(text, safe='')}~{hashlib.blake2s(raw, digest_size=8).hexdigest()}"
