from lavida.files import atomic_folder as finished_folder  # noqa: F401
from lavida.files import check_target, unique_stems  # noqa: F401
