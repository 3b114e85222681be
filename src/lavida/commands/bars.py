"""Progress bars on stderr for what tells its progress as `lavida.evaluation.scorers.Progress`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from lavida.evaluation.scorers import Progress
from lavida.progress import progress_bar


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """One bar for each title, one after the other, where stderr is a terminal, while the block runs."""
    with ExitStack() as shown:
        part, advance, before = "", None, 0

        def tell(title: str, done: int, total: int, note: str = "") -> None:
            nonlocal part, advance, before
            if advance is None or title != part:
                shown.close()
                part, before = title, 0
                advance = shown.enter_context(progress_bar(title, total=total))
            advance(done - before, note)
            before = done

        yield tell
