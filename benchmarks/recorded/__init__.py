"""Small recordings after public reports of people whose tools read such files wrongly, made here, nothing copied."""

from recorded import broadcast, cameras, folders, handheld, screens
from recorded.checking import Outcome, Recording, check

RECORDINGS = (
    *handheld.RECORDINGS,
    *cameras.RECORDINGS,
    *screens.RECORDINGS,
    *broadcast.RECORDINGS,
    *folders.RECORDINGS,
)

__all__ = ["RECORDINGS", "Outcome", "Recording", "check"]
