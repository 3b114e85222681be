from lavida.parallel import AbortRun as Halt  # noqa: F401
from lavida.parallel import Failure, attempt, check_workers, run  # noqa: F401
