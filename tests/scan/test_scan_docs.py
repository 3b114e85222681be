"""What docs/scan.md says about reading a data set, word for word, with every reader that it names."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from video import make

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scan.md"
# which readers take for dates and numbers where they guess
NAMES = {"2026-01-01", "001", "01_0014", "20260101120000", "cam 1/ü=1%.avi"}
READERS = ("duckdb", "polars", "pandas", "pyarrow", "fastparquet")


def documented(reader: str) -> str:
    """The lines below its name."""
    blocks = re.findall(r"^(\w+):\n\n```\w+\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return {name.lower(): code for name, code in blocks}[reader]


@pytest.fixture
def scores(tmp_path: Path, scan_to: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set `scores` in the current folder, of videos with such names, something bright in each."""
    for name in NAMES - {"cam 1/ü=1%.avi"}:
        make.folder(tmp_path / "archive" / name, {f"{i}.png": make.plain(250) for i in range(2)})
    (tmp_path / "archive" / "cam 1").mkdir()
    make.video(tmp_path / "archive" / "cam 1" / "ü=1%.avi", frames=5, mark=True)
    assert scan_to(tmp_path / "archive", out=str(tmp_path / "scores")).finished == len(NAMES)
    monkeypatch.chdir(tmp_path)


def test_every_documented_reader_is_tried():
    headings = re.findall(r"^(\w+):\n\n```", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [heading.lower() for heading in headings] == list(READERS)


@pytest.mark.parametrize("reader", READERS)
def test_the_documented_lines_give_every_name_as_text(scores, reader):
    module = pytest.importorskip(reader)
    code = documented(reader)
    if reader == "duckdb":
        table = module.sql(code)
        found = [row[table.columns.index("source")] for row in table.fetchall()]
    else:
        column = value(code)["source"]
        found = column.to_pylist() if reader == "pyarrow" else column.to_list()
    assert all(type(name) is str for name in found) and set(found) == NAMES


def value(code: str) -> object:
    """What the last line gives."""
    *lines, last = ast.parse(code).body
    names: dict = {}
    exec(compile(ast.Module(lines, []), "docs", "exec"), names)
    return eval(compile(ast.Expression(last.value), "docs", "eval"), names)
