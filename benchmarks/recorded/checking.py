"""A recording, what is right for it, and what lavida reads from it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lavida.errors import InputError
from lavida.video.decode import open_source
from recorded.numbered import COLOURS, SIZE, Picture, colours_in, number_in

ROUNDED_S = 0.002  # containers round to milliseconds


@dataclass(frozen=True, kw_only=True)
class Right:
    """What has to come out.

    Attributes:
        numbers: drawn in the rows, in order; empty where the file has to be refused.
        times: of the rows in seconds since the first.
        within_s: by how much they may differ.
        size: width and height as displayed.
        fps: frames a second of the source; None where no single rate describes it.
        colours: most by which the four colours may differ, in gray levels; None: not looked at.
        warnings: patterns, one for each warning or note that has to be there.
        notes: patterns of warnings that may be there.
        refusal: pattern of the one line that refuses the file; empty: it has to be read.
    """

    numbers: Sequence[int] = ()
    times: Sequence[float] = ()
    within_s: float = ROUNDED_S
    size: tuple[int, int] = SIZE
    fps: float | None = None
    colours: float | None = 14
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    refusal: str = ""

    def __str__(self) -> str:
        if self.refusal:
            return "refused in one line"
        return described(len(self.numbers), self.times, self.size, self.fps, len(self.warnings))


def steady(count: int, fps: float, *, first: int = 0, **more) -> Right:
    """Rows of constant rate."""
    return Right(numbers=range(first, first + count), times=[i / fps for i in range(count)], **{"fps": fps} | more)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One input after a public report.

    Attributes:
        name: short, unique; also the stem of the file or folder.
        maker: kind of maker or tool.
        fed: what it is, in a few words.
        source: address of the report.
        suffix: of the file; empty for a folder.
        make: writes it to the path.
        right: what has to come out.
        scored: whether detection and overlay are looked at as well, which takes seconds.
    """

    name: str
    maker: str
    fed: str
    source: str
    suffix: str
    make: Callable[[Path], object]
    right: Right
    scored: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came out, and where it differs from what is right: nothing, or a few words for each difference."""

    came_out: str
    differences: tuple[str, ...] = ()


def described(rows: int, times: Sequence[float], size: tuple[int, int], fps: float | None, warnings: int) -> str:
    rate = "" if fps is None else f", {fps:.4g} a second"
    told = f", {warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    last = times[-1] if len(times) else 0.0
    return f"{rows} row{'s' if rows != 1 else ''} to {last:.4g} s{rate}, {size[0]}x{size[1]}{told}"


def check(recording: Recording, folder: Path) -> Outcome:
    """Write the recording into a folder, read it with lavida, compare."""
    path = folder / f"{recording.name}{recording.suffix}"
    recording.make(path)
    right = recording.right
    try:
        source = open_source(path)
        frames = list(source.read(stride=1))
    except InputError as error:
        line = str(error)
        expected = right.refusal and re.search(right.refusal, line, re.IGNORECASE) and "\n" not in line
        return Outcome(f"refused: {_short(line, path)}", () if expected else ("it has to be read",))
    except Exception as error:  # a fault of the product stands in the table like any other
        return Outcome(f"{type(error).__name__}: {_short(str(error), path)}", ("fails",))
    info, warnings = source.info, [_short(line, path) for line in source.warnings]
    notes = [_short(line, path) for line in source.notes]
    times = [frame.time_s for frame in frames]
    came_out = described(len(frames), times, (info.width, info.height), right.fps and info.fps, len(warnings))
    if right.refusal:
        return Outcome(came_out, ("not refused",))
    images = [frame.image for frame in frames]
    found = [
        *_pictures(right, images, (info.width, info.height)),
        *_times(right, times, info.fps),
        *_warnings(right, warnings, notes),
    ]
    if recording.scored and not found:
        from recorded.scoring import scoring  # needs PyTorch

        found += scoring(path, right, folder / "results")
    return Outcome(came_out, tuple(found))


def _pictures(right: Right, images: Sequence[Picture | None], size: tuple[int, int]) -> list[str]:
    found = []
    if size != right.size:
        found.append(f"size {size[0]}x{size[1]} for {right.size[0]}x{right.size[1]}")
    shapes = {image.shape[1::-1] for image in images if image is not None} - {size}
    if shapes:
        found.append(f"pictures of {shapes}")
    numbers = [None if image is None else number_in(image) for image in images]
    expected = list(right.numbers)
    if numbers != expected:
        if len(numbers) != len(expected):
            found.append(f"{len(numbers)} rows for {len(expected)}")
        wrong = [i for i, (got, wanted) in enumerate(zip(numbers, expected, strict=False)) if got != wanted]
        if wrong:
            first = wrong[0]
            found.append(f"{len(wrong)} rows show another picture, row {first} shows {numbers[first]}")
    seen = [image for image in images if image is not None]
    if right.colours is not None and seen:
        apart = max(float(np.abs(colours_in(image) - COLOURS).max()) for image in (seen[0], seen[-1]))
        if apart > right.colours:
            found.append(f"colours {apart:.0f} gray levels off")
    return found


def _times(right: Right, times: Sequence[float], fps: float) -> list[str]:
    found = []
    apart = [abs(got - wanted) for got, wanted in zip(times, right.times, strict=False)]
    wrong = [i for i, seconds in enumerate(apart) if not seconds <= right.within_s]  # NaN, too
    if wrong:
        worst = max(wrong, key=lambda i: apart[i])
        found.append(
            f"{len(wrong)} times are wrong, row {worst} is at {times[worst]:.4g} s for {right.times[worst]:.4g}"
        )
    if right.fps is not None and abs(fps - right.fps) > 0.01 * right.fps:
        found.append(f"{fps:.4g} a second for {right.fps:.4g}")
    return found


def _warnings(right: Right, warnings: Sequence[str], notes: Sequence[str]) -> list[str]:
    told = [*warnings, *notes]
    missing = [f"nothing said like '{p}'" for p in right.warnings if not any(re.search(p, w, re.I) for w in told)]
    known = [*right.warnings, *right.notes]
    return missing + [f"warns '{w}'" for w in warnings if not any(re.search(p, w, re.I) for p in known)]


def _short(line: str, path: Path) -> str:
    return " ".join(line.replace(f"{path.parent}/", "").split())[:160]
