import sys
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState

sys.path.append(str(Path(__file__).resolve().parents[2] / "training"))  # toys.py


@pytest.fixture
def fresh_accelerator():
    """Accelerate keeps its state for the whole process: leave none behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module", autouse=True)
def timed_twice():
    """Nobody reads how long a toy model takes: two times in place of many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lavida.paper.ablations.trained.REPEATS", 2)
        patch.setattr("lavida.paper.ablations.trained.WARM_UP", 0)
        yield
