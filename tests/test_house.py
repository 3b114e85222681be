"""The shape of the code, read from its files: who imports whom, how long things are, what is written down about it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import requires
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


@cache
def parsed(path: Path) -> list[ast.stmt]:
    """The imports and functions of a file, but what is for type checking alone."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in statements(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements in a node, but what is for type checking alone. Expressions, most of a tree, hold none."""
    test = getattr(node, "test", None)
    checks_types = "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))
    for name in ("body", "handlers", "cases", "orelse", "finalbody"):
        for each in () if name == "body" and checks_types else getattr(node, name, ()):
            yield each
            yield from statements(each)


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Modules among `known` that a file imports, in functions too; not those for type checking alone."""
    found = set()
    for node in parsed(path):
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
    assert outside("lavida.checkpoints", "lavida.model", "lavida.errors", "lavida.files", "lavida.terminal") == {}


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
    parsed.cache_clear()
    (tmp_path / "one" / "b.py").write_text("def f():\n    from lavida import two\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(tmp_path)).prepare()


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "docs"])
def test_files_and_functions_are_read_without_much_scrolling(folder):
    long = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        if (lines := path.read_text(encoding="utf-8").count("\n")) > MOST_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
        for node in parsed(path):
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


def architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def block(text: str, start: str) -> list[str]:
    """The lines of the fenced block that begins with the line `start`."""
    return text.split(f"{start}\n", 1)[1].split("```", 1)[0].splitlines()


def tree(lines: list[str]) -> dict[str, str]:
    """What is said of each file and folder of a drawn tree, by path: two spaces a level, one a line."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in filter(str.strip, lines):
        name, said = line.split(maxsplit=1)
        above = [*above[: (len(line) - len(line.lstrip())) // 2 - 1], name]
        found["".join(above)] = said
    return found


def test_the_tree_of_the_architecture_has_each_file_and_no_other():
    files = {path.relative_to(CODE).as_posix() for path in CODE.rglob("*.py") if path.stat().st_size}
    drawn = tree(block(architecture(), "src/lavida/"))
    assert {path for path in drawn if not (CODE / path).exists()} == set()
    assert {path for path in drawn if path.endswith(".py")} == files


def test_what_the_tree_of_the_readme_names_is_there():
    drawn = tree(block((ROOT / "README.md").read_text(encoding="utf-8").split("## The code", 1)[1], "src/lavida/"))
    assert len(drawn) > 30
    named = {path: re.findall(r"[\w/]+(?:\.py|/)", said) for path, said in drawn.items()}
    paths = [*drawn, *(path[: path.rfind("/") + 1] + name for path, names in named.items() for name in names)]
    assert [path for path in paths if not (CODE / path).exists()] == []


@pytest.mark.parametrize(("title", "most"), [("One training step", 10), ("One detection", 8)])
def test_a_way_through_the_code_is_short_and_what_is_said_to_be_on_it_is_there(title, most):
    section = architecture().split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    steps = re.findall(r"^\d+\. ((?:.+\n)(?: {3,}.+\n)*)", section, re.MULTILINE)
    assert 5 < len(steps) <= most
    lost = []
    for step in steps:
        file, *names = re.findall(r"`([^`]+)`", step)
        text = (CODE / file).read_text(encoding="utf-8")
        assert names, step
        lost += [f"{name}: {file}" for name in names if not re.search(rf"\b{name.split('.')[-1]}\b", text)]
    assert lost == []


def test_each_answer_of_the_architecture_names_files_that_hold_what_it_says():
    rows = [line for line in architecture().split("## Where is", 1)[1].splitlines() if ".py`" in line]
    assert len(rows) > 8
    lost = []
    for row in rows:
        text = ""
        for each in re.findall(r"`([\w./]+)`", row):
            if each.endswith(".py"):
                text = (CODE / each).read_text(encoding="utf-8")
            elif not re.search(rf"\b{each.split('.')[-1]}\b", text):
                lost.append(f"{each}: {row}")
    assert lost == []


def test_imports_between_rooms_follow_the_arrows_of_the_drawing():
    arrows = re.findall(r"(\w+)(?:\[.*?\])? --> (\w+)", "\n".join(block(architecture(), "flowchart TD")))
    assert len(arrows) > 15
    below: dict[str, set[str]] = {}
    for _ in arrows:  # as often as the longest way could need
        for upper, lower in arrows:
            below.setdefault(upper, set()).update({lower}, below.get(lower, set()))
    rooms = {
        **dict.fromkeys(("torch_backend", "builder", "device", "loading"), "detector"),
        "export": "detection",
        "events": "detection",
        "__main__": "cli",
    }
    drawn = {name for arrow in arrows for name in arrow}

    def room(module: str) -> str:
        first = f"{module}.".split(".")[1]
        first = rooms.get(first, first)
        return first if first in drawn else "ground"

    against = {
        f"{name} -> {other}"
        for name, imported in graph().items()
        for other in imported
        if room(name) != room(other) and room(other) not in below.get(room(name), set())
    }
    assert against == {"lavida.evaluation.tables -> lavida.paper"}


def test_the_constraints_are_names_and_versions_and_hold_everything_that_is_asked_for():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [lines for name, lines in project["optional-dependencies"].items() if name != "deepspeed"]
    asked = [Requirement(line) for lines in [project["dependencies"], *extras] for line in lines]
    asked = [each for each in asked if each.name != "lavida"]
    assert [str(each) for each in asked if not each.specifier.contains(tested.get(each.name, "0"))] == []


def test_the_core_brings_no_library_that_only_an_extra_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted, brought = list(project["dependencies"]), set()
    while wanted:
        one = Requirement(wanted.pop())
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name not in brought and (one.marker is None or one.marker.evaluate({"extra": ""})):
            brought.add(name)
            wanted += requires(name) or ()
    assert {"numpy", "pillow"} <= brought and len(brought) > len(project["dependencies"])
    assert brought.isdisjoint({"matplotlib", "torch", "transformers", "scikit-learn", "scipy", "jinja2", "fonttools"})


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
