"""lavida: describe in plain words what counts as abnormal; get when and where it happens in a video."""

from typing import TYPE_CHECKING

from lavida.errors import InputError
from lavida.waiting import wait_passively

if TYPE_CHECKING:
    from lavida.detection import Detection, Event, Mask
    from lavida.detector import Detector
    from lavida.loading import load
    from lavida.video.decode import Source, open_source

    __version__: str

__all__ = [
    "Detection",
    "Detector",
    "Event",
    "InputError",
    "Mask",
    "Source",
    "__version__",
    "load",
    "open_source",
]

wait_passively()

_HOMES = {
    "Detection": "lavida.detection",
    "Detector": "lavida.detector",
    "Event": "lavida.detection",
    "Mask": "lavida.detection",
    "Source": "lavida.video.decode",
    "load": "lavida.loading",
    "open_source": "lavida.video.decode",
}


def __getattr__(name: str):
    """Import what takes time when it is first used: `lavida --help` must not wait for torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lavida")
    if name not in _HOMES:
        raise AttributeError(f"module 'lavida' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
