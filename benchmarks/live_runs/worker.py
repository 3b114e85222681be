"""A watch of one camera as a process, so that it can be killed: python worker.py FOLDER CAMERA WEBHOOK."""

import json
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from live.streams import BrightScorer
from live.watching import planned

from lavida.live.config import Clips, WatchFile
from lavida.live.keeping import Keeping
from lavida.live.watch import watch

CLIPS = Clips(before_s=1, after_s=1, longest_s=20, megabytes=2)


def main(folder: str, camera: str, webhook: str) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    hook = {"url": webhook, "phases": ["start", "end", "clip"]}
    keeping = Keeping(Path(folder), WatchFile(webhooks=[hook], clips=CLIPS), say=lambda line: None)
    plan = planned(camera, categories=("fire",), update_s=0.5)
    print(json.dumps({"type": "up"}), flush=True)
    watch(
        plan,
        BrightScorer(),
        tell=lambda record: None,
        seen=keeping.seen,
        earlier=keeping.start(plan),
        tapes=keeping.tape,
        stopped=stopped,
    )
    keeping.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
