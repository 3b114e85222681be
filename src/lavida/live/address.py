"""Addresses of streams: which kind they are, what FFmpeg is asked for, and how they are shown without passwords."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from lavida.errors import InputError, unknown

NETWORK = ("rtsp", "rtsps", "http", "https")
CAMERA = "v4l2"
HIDDEN = "***"
_SELF_CONTAINED = "mpegts,mpjpeg,mjpeg,jpeg_pipe,rtsp,sdp,rtp,flv,mov,matroska,h264,hevc"  # formats without addresses
# everything up to the last "@": what follows a password that was not encoded is hidden rather than shown
_LOGIN = re.compile(r"(?<=://)[^\s'\"]*@")
_KEYS = "pas|pwd|psw|token|key|secret|auth|sig|credential"  # "loginpas" and "psw" are what some cameras call it
# also in the path, as in "/user=admin_password=...", where nothing tells the end of it
_SECRET = re.compile(rf"(?i)([?&;#/=](?:[\w.-]*(?:{_KEYS})[\w.-]*|p|pw)=)[^&;#\s'\"]*")
# after a host whose port is none: an address that ends in the login
_NO_PORT = re.compile(r"(?<=://)([^\s/?#'\"@:\[\]]*:)(?!\d+(?:[/?#\s,;:)'\"]|$))[^\s/?#'\"@]+")
_BARE_LOGIN = re.compile(r".*:.*@", re.DOTALL)  # of an address whose scheme is mistyped
_NOT_SENT = re.compile(r"[\x00-\x1f\x7f]")
MOST_NAME = 100  # letters of a stream's name
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICE = re.compile(r"/dev/video\d+|/dev/v4l/.+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream comes from.

    Attributes:
        kind: a file is played at real speed and ends; the others are opened again for ever.
        url: what FFmpeg opens; never to be shown.
        shown: the same without passwords.
        name: a short one, for the stream.
        format: of FFmpeg, where it cannot find it out.
        options: for FFmpeg.
    """

    kind: Literal["file", "network", "camera"]
    url: str = field(repr=False)
    shown: str
    name: str
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict, repr=False)


def parse(text: str, *, only_host: bool = False) -> Address:
    """The address that `text` stands for: a URL, `/dev/video0`, `v4l2:/dev/video0`, or the path of a file.

    Args:
        text: the address.
        only_host: over HTTP, neither redirects nor playlists are followed.

    Raises:
        InputError: what no retry mends: no such file, an unknown scheme, a URL without a host.
    """
    text = text.strip()
    shown = _shown(text)
    device = text.removeprefix(f"{CAMERA}://").removeprefix(f"{CAMERA}:")
    if device != text or _DEVICE.fullmatch(text):
        if not device.startswith("/"):
            raise InputError(f"no device: {shown}; give its path, for example v4l2:/dev/video0")
        return Address("camera", device, device, Path(device).name, format=CAMERA)
    if (found := _SCHEME.match(text)) is None:
        return _file(text)
    scheme = found[1].lower()
    if scheme == "file":
        return _file(text[len(found[0]) :])
    if scheme not in NETWORK:
        raise unknown("scheme", f"{scheme} of {shown}", (*NETWORK, CAMERA, "or a file"))
    if _NOT_SENT.search(text):
        raise InputError(f"a control character in an address: {shown}; leave it out, or write it as %0A or the like")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        if port == 0:
            raise ValueError("no port")
    except ValueError as error:  # its text may hold the password
        raise InputError(f"not an address: {shown}; check its host and port") from error
    if not host:
        raise InputError(f"no host: {shown}; give one, for example rtsp://camera.local/stream")
    options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}  # over UDP, lost packets smear the picture
    if only_host:
        options |= {"format_whitelist": _SELF_CONTAINED} | ({} if scheme.startswith("rtsp") else {"max_redirects": "0"})
    name = "-".join([host, *filter(None, urlsplit(shown).path.split("/"))])
    name = re.sub(r"[^\w.-]+", "-", name)[:MOST_NAME]
    url = scheme + text[len(scheme) :]  # FFmpeg knows schemes in small letters only
    return Address("network", url, shown, name if name.strip(".") else "stream", options=options)


def _file(text: str) -> Address:
    path = Path(text)
    if not text or not path.exists():
        shown = masked(_BARE_LOGIN.sub(f"{HIDDEN}@", text)) or "the path is empty"
        raise InputError(f"no such file: {shown}; give a video file, a URL or a device")
    return Address("file", text, text, path.stem or path.name)


def parse_all(texts: Sequence[str]) -> dict[str, Address]:
    """The addresses by the names of their streams: a repeated name gets `-2`, `-3`, ... behind it.

    Raises:
        InputError: as `parse`.
    """
    named: dict[str, Address] = {}
    for address in map(parse, texts):
        name, number = address.name, 2
        while name in named:
            name, number = f"{address.name}-{number}", number + 1
        named[name] = address
    return named


def _shown(address: str) -> str:
    """All of it is one address, so that blanks and quotes in it do not end a password."""
    return masked(re.sub(r"[\s'\"]", lambda found: f"%{ord(found[0]):02X}", address))


def masked(text: object) -> str:
    """Any text without the passwords in the addresses in it: logins, and what queries call a token, key or password."""
    hidden = _SECRET.sub(rf"\g<1>{HIDDEN}", str(text))  # first: a token may hold an "@", too
    return _NO_PORT.sub(rf"\g<1>{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", hidden))
