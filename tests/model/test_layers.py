"""`model/` is tensors in, tensors out: who imports whom is read from the files, imports inside functions too."""

import ast
from pathlib import Path

import lavida

ROOT = Path(lavida.__file__).parent


def imports(path: Path) -> set[str]:
    """The modules of lavida that a file imports; not those for type checking alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from lavida import x` may name a module
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "lavida" else {node.module}
            )
    return {name for name in found if name == "lavida" or name.startswith("lavida.")}


def outside(folder: str, *allowed: str) -> dict[str, set[str]]:
    """For each file below `folder` what it imports beside `allowed` modules and packages."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        others = {n for n in imports(path) if not any(n == a or n.startswith(f"{a}.") for a in allowed)}
        if others:
            found[str(path.relative_to(ROOT))] = others
    return found


def test_the_model_knows_nothing_of_lavida_but_itself_and_its_errors():
    assert outside("model", "lavida.model", "lavida.errors") == {}


def test_checkpoints_stand_on_the_model_alone():
    assert outside("checkpoints", "lavida.checkpoints", "lavida.model", "lavida.errors", "lavida.terminal") == {}


def test_imports_in_functions_are_read_and_those_for_types_are_not(tmp_path):
    (tmp_path / "a.py").write_text(
        "import typing\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lavida.cli\n"
        "if typing.TYPE_CHECKING:\n    from lavida import scan\ndef f():\n    from lavida.video import clips\n"
        "    from lavida import detector\nimport torch\n"
    )
    assert imports(tmp_path / "a.py") == {"lavida.video", "lavida.detector"}
