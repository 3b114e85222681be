"""The shape of the code, read from its files: who imports whom, how long things are, what is written down about it."""

import ast
import re
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

import lavida

CODE = Path(lavida.__file__).parent
ROOT = Path(__file__).parents[1]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 70
FACADE = (
    "lavida.detection",
    "lavida.export.result",
)  # Detection.save: results do not know how they are written, but this


def module_name(path: Path, root: Path) -> str:
    return ".".join(("lavida", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")


def modules(root: Path = CODE) -> dict[str, Path]:
    """The Python files of the package by the names they are imported by."""
    return {module_name(path, root): path for path in sorted(root.rglob("*.py"))}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules among `known` that a file imports, in functions too; not those for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (
            getattr(node.test, "id", ""),
            getattr(node.test, "attr", ""),
        ):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in inner}
    return found & known.keys()


@cache
def graph(root: Path = CODE) -> dict[str, set[str]]:
    known = modules(root)
    return {name: imports(path, known) for name, path in known.items()}


def outside(package: str, *allowed: str) -> dict[str, set[str]]:
    """For each module of a package what it imports beside the `allowed` modules and packages."""
    inside = (package, *allowed)
    found = {
        name: {other for other in imported if not any(other == a or other.startswith(f"{a}.") for a in inside)}
        for name, imported in graph().items()
        if name == package or name.startswith(f"{package}.")
    }
    assert found, f"no package {package}"
    return {name: others for name, others in found.items() if others}


def test_the_model_knows_nothing_of_lavida_but_itself_and_its_errors():
    assert outside("lavida.model", "lavida.errors") == {}


def test_checkpoints_stand_on_the_model_alone():
    assert outside("lavida.checkpoints", "lavida.model", "lavida.errors", "lavida.terminal") == {}


def test_the_one_circle_of_imports_is_that_of_saving_a_detection():
    facade, target = FACADE
    assert target in graph()[facade], "the facade is gone: tighten this test"
    others = {name: imported - {target} if name == facade else imported for name, imported in graph().items()}
    try:
        TopologicalSorter(others).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " <- ".join(error.args[1]))


def test_circles_are_found_and_imports_for_types_do_not_close_one(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "__init__.py").write_text("import torch\n")
    (tmp_path / "one" / "a.py").write_text(
        "import typing\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lavida.two\n"
        "if typing.TYPE_CHECKING:\n    from lavida import two\ndef f():\n    from lavida.one import b\n"
        "    from lavida.one.b import something\n    from lavida import one\n"
    )
    (tmp_path / "one" / "b.py").write_text("")
    (tmp_path / "two.py").write_text("import lavida.one.a\n")
    assert graph(tmp_path) == {
        "lavida.one": set(),
        "lavida.one.a": {"lavida.one", "lavida.one.b"},
        "lavida.one.b": set(),
        "lavida.two": {"lavida.one.a"},
    }
    graph.cache_clear()
    (tmp_path / "one" / "b.py").write_text("def f():\n    from lavida import two\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path)).prepare()


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "docs"])
def test_files_and_functions_are_read_without_much_scrolling(folder):
    long = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > MOST_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}, {node.name}: {lines} lines")
    assert long == []


def test_every_name_of_the_glossary_is_in_the_file_that_it_says():
    rows = [line for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines() if ".py`" in line]
    assert len(rows) > 50
    lost = []
    for row in rows:
        *said, files = row.strip(" |").split(" | ")
        text = "".join((CODE / path).read_text(encoding="utf-8") for path in re.findall(r"`([^`]+)`", files))
        code = [each for each in re.findall(r"`([^`]+)`", " ".join(said)) if "[" not in each]  # but shapes
        names = re.findall(r"\w+", " ".join(code))
        lost += [f"{name}: {files}" for name in names if not re.search(rf"\b{name}\b", text)]
    assert lost == []


def test_the_constraints_are_names_and_versions_and_hold_everything_that_is_asked_for():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["dev"]])
    assert [str(each) for each in asked if not each.specifier.contains(tested.get(each.name, "0"))] == []


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_the_forms_of_the_host_fit_their_schema(schema, files):
    check = pytest.importorskip("check_jsonschema").main
    paths = sorted(map(str, (ROOT / ".github").glob(files)))
    assert paths
    checked = CliRunner().invoke(check, ["--builtin-schema", f"vendor.{schema}", *paths])
    assert checked.exit_code == 0, checked.output
