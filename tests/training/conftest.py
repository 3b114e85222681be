import pytest
from accelerate.state import AcceleratorState


@pytest.fixture
def fresh_accelerator():
    """Accelerate keeps its state for the whole process: leave none behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
