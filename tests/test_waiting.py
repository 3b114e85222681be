"""How OpenMP's threads wait: asleep in inference, as OpenMP likes in training, and as the user says if they do."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lavida.waiting import OURS, POLICY, SLEEPY, TURNS, wait_as_usual, wait_passively

SOURCES = Path(__file__).parents[1] / "src"
SAYS = (*SLEEPY, OURS)
ASLEEP, USUAL = int(SLEEPY[TURNS]), 300_000  # turns that a thread of libgomp waits before it sleeps


@pytest.fixture
def environment(monkeypatch) -> dict[str, str]:
    """An environment in which nobody has said anything yet, and torch is still to come."""
    plain = {name: value for name, value in os.environ.items() if name not in SAYS}
    monkeypatch.setattr(os, "environ", dict(plain))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return os.environ


def test_passive_waiting_is_asked_for_and_taken_back(environment):
    before = dict(environment)
    wait_passively()
    assert environment[POLICY] == "PASSIVE" and 0 < int(environment[TURNS]) <= USUAL / 10
    wait_as_usual()
    assert environment == before


def test_what_a_parent_of_this_package_asked_for_is_taken_back_too(environment):
    wait_passively()
    wait_passively()  # in the child
    wait_as_usual()
    assert not environment.keys() & set(SAYS)


@pytest.mark.parametrize(("name", "wish"), [(POLICY, "ACTIVE"), (POLICY, "PASSIVE"), (TURNS, "77")])
def test_the_wish_of_the_user_is_kept(environment, name, wish):
    environment[name] = wish
    wished = dict(environment)
    wait_passively()
    assert environment == wished
    wait_as_usual()
    assert environment == wished


def test_behind_torch_nothing_is_pretended(environment, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    before = dict(environment)
    wait_passively()
    assert environment == before


def told(program: str, *folders: Path, **variables: str) -> str:
    """What a program says on stderr where nobody has said anything of waiting."""
    plain = {name: value for name, value in os.environ.items() if name not in SAYS}
    path = os.pathsep.join([*map(str, folders), str(SOURCES), plain.get("PYTHONPATH", "")])
    command = [sys.executable, *shlex.split(program)]
    return subprocess.run(
        command, env=plain | {"PYTHONPATH": path} | variables, stderr=subprocess.PIPE, text=True
    ).stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torch brings another OpenMP there")
@pytest.mark.parametrize(("package", "expected"), [("lavida", ASLEEP), ("lavida.training", USUAL)])
def test_openmp_waits_as_the_package_asks(package, expected):
    said = told(f"-c 'import {package}, torch'", OMP_DISPLAY_ENV="VERBOSE")
    turns = [line for line in said.splitlines() if TURNS in line]  # each library has a copy of OpenMP
    assert turns and f"'{expected}'" in turns[0], said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("detect clip.mp4 -a x --model nowhere", SLEEPY[TURNS]),
        ("scan . -a x --out scores --model nowhere", SLEEPY[TURNS]),
        ("train nowhere.yaml", "usual"),
        ("ablate components --root . --out runs --recipe nowhere.yaml", "usual"),
    ],
)
def test_a_command_has_asked_for_its_way_of_waiting_when_it_imports_torch(command, expected, tmp_path):
    (tmp_path / "torch.py").write_text(  # OpenMP comes with torch, and reads its variables once
        f"import os, sys\nprint('{TURNS}', os.environ.get('{TURNS}', 'usual'), file=sys.stderr, flush=True)\n"
        "os._exit(0)\n"
    )
    assert told(f"-m lavida {command}", tmp_path).split() == [TURNS, expected]
