"""Videos during which the process died: tried last, and not for ever.

A damaged video can crash a decoder in native code, and no exception tells of that. Ray has other workers to go on
with; a scan in one process has to remember what it was doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from lavida.scan.addresses import partition
from lavida.scan.store import Store
from lavida.scan.videos import Video

BEGUN = ".begun.json"
TRIES = 3


class Deaths:
    """Notes in the store which video is being scored, and on how many of its tries the process died.

    A kill from outside or a power cut looks the same, which is why a video gets several tries.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._deaths: dict[str, int] = json.loads(store.read(BEGUN) or b"{}")

    def sort(self, videos: Sequence[Video]) -> tuple[list[Video], dict[str, str]]:
        """The videos to score, those with deaths behind the others; and those that are given up, with the reason."""
        given_up = [video for video in videos if self._count(video) >= TRIES]
        tried = sorted((video for video in videos if self._count(video) < TRIES), key=self._count)
        # those given up are forgotten: the next scan may try them again, mended or with another version
        self._deaths = {partition(video.name): n for video in tried if (n := self._count(video))}
        reason = f"the process died {TRIES} times while scoring it; check that it plays, or convert it to H.264 in MP4"
        return tried, {video.name: reason for video in given_up}

    def watch(self, videos: Sequence[Video]) -> Iterator[Video]:
        """Pass the videos on; each counts as a death until the next one is asked for."""
        for video in videos:
            key = partition(video.name)
            self._note(key, 1)
            try:
                yield video
            except GeneratorExit:  # Ctrl-C, or the run ended for another reason
                self._note(key, -1)
                raise
            del self._deaths[key]
        self._store.remove(BEGUN)

    def _note(self, key: str, more: int) -> None:
        self._deaths[key] = self._deaths.get(key, 0) + more
        deaths = {key: count for key, count in self._deaths.items() if count}
        self._store.write(BEGUN, json.dumps(deaths).encode())

    def _count(self, video: Video) -> int:
        return self._deaths.get(partition(video.name), 0)
