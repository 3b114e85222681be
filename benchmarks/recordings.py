"""Recordings as recorders, phones, cameras and tools write them, each after a public report: is each read right?

    python benchmarks/recordings.py                                     # all; a minute longer with a model's scores
    python benchmarks/recordings.py --only phone_mirrored nvr_hxvs --keep inputs
    python benchmarks/recordings.py --write-docs docs/recordings.md     # the table between the page's two markers

Each input is written by code, a few kB, then read by `lavida.video.open_source`; rows, pictures, times, size, colours
and warnings are compared with what is right. The exit code is 1 if any differs.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import PIL
from recorded import RECORDINGS, Outcome, Recording, check
from results import add_out, markdown, publish, run

from lavida.errors import InputError

BEGIN, END = "<!-- recordings:begin -->", "<!-- recordings:end -->"


def main() -> None:
    options = parse()
    rows, differing = [], 0
    for recording in chosen(options.only):
        outcome = tried(recording if options.scoring else replace(recording, scored=False), keep=options.keep)
        differing += bool(outcome.differences)
        rows.append(row(recording, outcome))
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    makers = {row["maker or tool"] for row in rows}
    about = {"recordings": len(rows), "makers and tools": len(makers), "differ": differing}
    about |= {"PyAV": f"{av.__version__} (libavcodec {libavcodec})", "Pillow": PIL.__version__}
    publish("recordings", rows, out=options.out, about=about)
    if options.write_docs:
        write_docs(options.write_docs, rows, about)
    sys.exit(1 if differing else 0)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="some of the recordings; default: all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the inputs in this folder")
    parser.add_argument("--no-scoring", dest="scoring", action="store_false", help="leave out detection and overlay")
    parser.add_argument("--write-docs", type=Path, metavar="FILE", help="replace the table of a page")
    add_out(parser, "recordings")
    return parser.parse_args()


def chosen(names: Sequence[str] | None) -> list[Recording]:
    """The recordings of these names, in the order of the table.

    Raises:
        InputError: there is none of a name.
    """
    unknown = set(names or ()) - {recording.name for recording in RECORDINGS}
    if unknown:
        raise InputError(f"no such recording: {', '.join(sorted(unknown))}; the table's first column has the names")
    return [recording for recording in RECORDINGS if names is None or recording.name in names]


def tried(recording: Recording, *, keep: Path | None) -> Outcome:
    """Made in a folder of its own and checked; kept where asked for."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = check(recording, Path(folder))
        if keep is not None:
            made = Path(folder) / f"{recording.name}{recording.suffix}"
            keep.mkdir(parents=True, exist_ok=True)
            if made.is_dir():
                shutil.copytree(made, keep / made.name, dirs_exist_ok=True)
            else:
                shutil.copy(made, keep)
    return outcome


def row(recording: Recording, outcome: Outcome) -> dict[str, str]:
    differs = f"; **differs**: {'; '.join(outcome.differences)}" if outcome.differences else ""
    cells = {
        "recording": f"[{recording.name}]({recording.source})",
        "maker or tool": recording.maker,
        "fed": recording.fed,
        "right": str(recording.right),
        "came out": f"{outcome.came_out}{differs}",
    }
    return {name: cell.replace("|", "\\|") for name, cell in cells.items()}


def write_docs(page: Path, rows: Sequence[dict[str, str]], about: dict[str, object]) -> None:
    """Put the table between the two markers of a page.

    Raises:
        InputError: the page has no such markers.
    """
    text = page.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise InputError(f"no place for the table: {page}; it needs the lines {BEGIN} and {END}")
    conditions = "; ".join(f"{name} {value}" for name, value in about.items())
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{markdown(rows)}\n{conditions}\n{END}{after}")


if __name__ == "__main__":
    run(main)
