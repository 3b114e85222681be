import pytest
from tiny import tiny_lavida

from lavida.checkpoints.pretrained import LavidaModel


@pytest.fixture(scope="session")
def lavida() -> LavidaModel:
    """A whole tiny model, shared: tests must leave it as it is."""
    return tiny_lavida()
