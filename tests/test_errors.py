"""What the errors that a user sees tell."""

import tomllib
from pathlib import Path

import pytest

from lavida.errors import _EXTRA_OF, not_installed

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


@pytest.mark.parametrize(
    ("package", "extra", "told"),
    [
        ("sklearn", None, "sklearn is not installed: pip install 'lavida[eval]'"),
        ("sqlalchemy", "serve", "SQLAlchemy is not installed: pip install 'lavida[serve]'"),
        ("torch", None, "torch is not installed: pip install torch==2.13.0, then pip install 'lavida[torch]'"),
        ("torch", "export", "torch is not installed: pip install torch==2.13.0, then pip install 'lavida[export]'"),
        ("openvino", None, "openvino is not installed: pip install openvino"),
        ("deepspeed", None, "DeepSpeed is not installed: pip install deepspeed, or use configs/accelerate/fsdp.yaml"),
    ],
)
def test_what_brings_a_package_is_told(package, extra, told):
    assert str(not_installed(package, extra=extra)) == told


def test_every_extra_that_is_told_is_one():
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    assert set(_EXTRA_OF.values()) <= set(extras)
