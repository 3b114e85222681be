import pytest
from tiny import tiny_lavida

from lavida.model.lavida import LavidaModel


@pytest.fixture(scope="session")
def lavida() -> LavidaModel:
    """A whole tiny model, shared: tests must leave it as it is."""
    return tiny_lavida()
