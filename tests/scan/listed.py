"""Files without content, and the names under which a scan lists them."""

from pathlib import Path

from lavida.scan.videos import list_videos


def names(*sources: object) -> list[str]:
    return [video.name for video in list_videos([str(source) for source in sources]).videos]


def touch(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
