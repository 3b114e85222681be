from lavida.terminal import Advance, progress_bar  # noqa: F401
