"""`lavida watch` with a scorer that answers at once, in a process of its own, as the page starts it."""

import sys
from pathlib import Path

from lavida.serve.watcher import Watcher, watch_command

MAIN = """
import sys
import lavida.live.scorer
from lavida.cli.app import run
from live.streams import BrightScorer
lavida.live.scorer.StartScorer = lambda *model: BrightScorer
if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
"""


def bright_watcher(config: Path, data: Path) -> Watcher:
    """Starts a watch that takes brightness for fire."""
    main = config.with_name("watching.py")
    main.write_text(f"import sys\nsys.path[:0] = {[str(Path(__file__).parents[1]), *sys.path]!r}\n{MAIN}")
    command = watch_command(config.resolve(), data, model="nano", device="cpu")
    assert command[1:3] == ["-m", "lavida"]
    return Watcher([command[0], str(main), *command[3:]])
