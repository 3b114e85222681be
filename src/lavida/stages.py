from lavida.timing import StageClock, peak_memory_mb  # noqa: F401
