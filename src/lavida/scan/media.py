"""Which files are videos: by their suffix, and where that does not tell by their first bytes."""

from __future__ import annotations

import mimetypes
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from lavida.scan.addresses import file_system, is_remote
from lavida.video.picture_file import IMAGE_SUFFIXES
from lavida.video.suffixes import VIDEO_SUFFIXES

PICTURE_SUFFIXES = IMAGE_SUFFIXES - VIDEO_SUFFIXES
# what programs call a file that they have not finished; it gets its true name later
UNFINISHED_SUFFIXES = frozenset(".part .partial .filepart .crdownload .download .tmp .temp".split())
# may lie beside the frames of one video: labels, lists, checksums, notes
COMPANION_SUFFIXES = frozenset(
    ".txt .csv .tsv .json .jsonl .ndjson .xml .yaml .yml .toml .ini .cfg .log .md .rst .nfo .xmp .srt .md5 .sha1 "
    ".sha256 .mat .npy .npz .h5 .parquet .db".split()
)
# in the containers of videos, but sound, subtitles or a part that does not play alone
WITHOUT_VIDEO_SUFFIXES = frozenset(".m4a .m4b .m4r .mka .mks .oga .wma .sub .m4s".split())
LOOKED_INTO = frozenset({".ps"})  # PostScript to most, a program stream to some recorders
NO_VIDEO = PICTURE_SUFFIXES | UNFINISHED_SUFFIXES | COMPANION_SUFFIXES | WITHOUT_VIDEO_SUFFIXES

HEAD_BYTES = 4096
LOOKS_AT_ONCE = 128
TS_PACKETS, TS_SIZES = 5, (188, 192, 204)
# a start code, and after it: program stream; sequence headers of MPEG-1 and 2, MPEG-4, VC-1; SPS, AUD, SEI of H.264;
# VPS, SPS, AUD of HEVC
START = re.compile(rb"\x00\x00\x00?\x01[\xba\xb3\xb0\x0f\x07\x27\x47\x67\x09\x06\x40\x42\x46]")
MAGIC = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11",  # WTV
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",  # MXF
    b"\x00\x00\x00\x00\x01\xbc",  # GXF
    b"\x1f\x07\x00",  # DV
    b"\x12\x00\x0a",  # AV1
    b"\x84\x10\xff\xff\xff\xff",  # RoQ
    b"CI\x2c\x00",  # Cine
    b"LEITCH\x00",
    b"nut/multimedia container",
    # DHAV of Dahua, IMKH of Hikvision
    *b"FLV\x01 .RMF DKIF GIF8 DHAV IMKH HXVS HXVT NSVf NSVs MLVI SMK2 SMK4 BIK KB2 LUCAM-RECORDER".split(),
)
RIFF_KINDS = frozenset({b"AVI ", b"AMV ", b"CDXA"})
ATOMS = frozenset(b"ftyp moov mdat moof styp sidx free skip wide pnot".split())
# files of the same build that hold sound or one picture
BRANDS_WITHOUT_VIDEO = frozenset({b"M4A ", b"M4B ", b"M4P ", b"heic", b"heix", b"mif1", b"avif", b"crx ", b"jp2 "})
PNG = b"\x89PNG\r\n\x1a\n"

_TYPES = mimetypes.MimeTypes(()).types_map[True]  # Python's own: a machine's lists differ


def suffix(address: str) -> str:
    """Its suffix in small letters; empty if it has none."""
    found = posixpath.splitext(address)[1].lower()
    return "" if found == "." else found


def is_video_by_name(address: str) -> bool | None:
    """Whether its suffix says that it is a video; None if that has to be looked into."""
    kind = suffix(address)
    if kind in VIDEO_SUFFIXES:
        return True
    if kind in NO_VIDEO:
        return False
    known = _TYPES.get(kind, "application/octet-stream")
    if kind in LOOKED_INTO or known == "application/octet-stream" or known.startswith("video/"):
        return None
    return False


def is_picture(address: str) -> bool:
    """Whether its suffix is that of a frame in a folder of images."""
    return suffix(address) in PICTURE_SUFFIXES


def looks_like_video(head: bytes) -> bool:
    """Whether a file that begins so is a video in one of the usual containers, or a bare stream.

    Sound and pictures are none, nor is text: FFmpeg would draw it.
    """
    if head.startswith(b"YUV4MPEG2 "):
        return True
    if _is_text(head):
        return False
    if head.startswith(MAGIC):
        return True
    if head.startswith(b"RIFF"):
        return head[8:12] in RIFF_KINDS
    if head.startswith(b"OggS"):
        return any(codec in head for codec in (b"\x80theora", b"\x01video", b"BBCD", b"OVP80"))
    if head.startswith(PNG):
        return b"acTL" in head.partition(b"IDAT")[0]
    if head[4:8] in ATOMS:
        return not (head[4:8] == b"ftyp" and head[8:12] in BRANDS_WITHOUT_VIDEO)
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf"):  # FLIC
        return True
    if START.match(head):
        return True
    # a transport stream; a recording may begin in the middle of a packet
    packets = ((size, start) for size in TS_SIZES for start in range(size))
    return any(head[start : start + size * (TS_PACKETS - 1) + 1 : size] == b"G" * TS_PACKETS for size, start in packets)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head[:-3].decode("utf-8")  # a letter may be cut at the end
    except UnicodeDecodeError:
        return False
    return True


def look_into(addresses: Sequence[str]) -> Iterator[tuple[str, bool | None]]:
    """Each address and whether its first bytes are those of a video; None if they cannot be read.

    They are regular files, all on one file system.
    """
    for start in range(0, len(addresses), LOOKS_AT_ONCE):
        some = addresses[start : start + LOOKS_AT_ONCE]
        for address, head in zip(some, _heads(some), strict=True):
            yield address, None if isinstance(head, Exception) else looks_like_video(head)


def _heads(addresses: Sequence[str]) -> Iterable[bytes | Exception]:
    if not is_remote(addresses[0]):
        return map(_local_head, addresses)
    paths = [file_system(address)[1] for address in addresses]
    ends = [HEAD_BYTES] * len(paths)
    return file_system(addresses[0])[0].cat_ranges(paths, [0] * len(paths), ends, on_error="return")


def _local_head(path: str) -> bytes | OSError:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        return error
