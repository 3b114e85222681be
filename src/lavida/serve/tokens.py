"""Who may use a server: tokens, of which a file holds the SHA-256 hashes, one a line."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from lavida.errors import InputError, reason, writing_to

TOKEN_BYTES = 32
_HASH = re.compile(r"[0-9a-f]{64}")


def hashed(token: str) -> str:
    """SHA-256 of a token, in hexadecimal. Tokens are long and random: a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_token(path: Path, *, name: str) -> str:
    """A new token, whose hash is added to a file that only its owner reads; the token itself is nowhere else.

    Raises:
        InputError: the file cannot be written, or is none of tokens.
    """
    is_open = False  # the last line has no end
    if path.is_file() and path.stat().st_size:
        _lines(path)
        is_open = not path.read_bytes().endswith(b"\n")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
            file.write("\n" * is_open + f"{hashed(token)} {' '.join(name.split())}".rstrip() + "\n")
    return token


def read_tokens(path: Path) -> tuple[str, ...]:
    """The hashes of a file; lines are a hash and, if wanted, whose it is; `#` begins a comment.

    Raises:
        InputError: it cannot be read, holds something else, or nothing.
    """
    hashes = _lines(path)
    if not hashes:
        raise InputError(f"no token in {path}: make one with lavida serve token")
    return tuple(hashes)


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token file cannot be read: {path}; {reason(error)}; see lavida serve token") from error
    hashes: list[str] = []
    for number, line in enumerate(lines, start=1):
        first = line.split("#", 1)[0].split(maxsplit=1)
        if first and not _HASH.fullmatch(first[0].lower()):
            raise InputError(f"line {number} of {path} is no SHA-256: make tokens with lavida serve token")
        hashes += [first[0].lower()] if first else []
    return hashes


def is_known(token: str, hashes: tuple[str, ...]) -> bool:
    """Whether a token is one of those; takes the same time for all that are not."""
    given = hashed(token)
    return sum(hmac.compare_digest(given, known) for known in hashes) > 0  # no early end
