from dataclasses import dataclass, field

import pytest

from lavida.errors import InputError
from lavida.settings import check_settings, setting


@dataclass
class Part:
    rank: int = setting(8, least=1)
    names: list[str] = field(default_factory=list)


@dataclass
class Whole:
    steps: int | None = setting(3, least=0)
    share: float = setting(0.5, least=0, most=1)
    drop: float = setting(0.1, least=0, below=1)
    pause: float = setting(1.0, least=0)
    free: float | None = None
    kind: str | None = setting("cosine", choices=("cosine", "linear", None))
    size: tuple[int, int] = setting((64, 32), rule=(lambda size: size[0] % 32 == size[1] % 32 == 0, "multiples of 32"))
    shown: bool = True
    part: Part | None = field(default_factory=Part)
    parts: list[Part] = field(default_factory=list)


@pytest.mark.parametrize(
    "settings",
    [{}, {"steps": None}, {"steps": 0}, {"share": 1}, {"drop": 0.0}, {"kind": None}, {"part": None}],
)
def test_what_is_allowed_passes(settings):
    check_settings(Whole(**settings))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": -1}, "steps: -1; choose 0 or more"),
        ({"steps": 2.5}, "steps: 2.5; choose a whole number or null"),
        ({"share": 1.5}, "share: 1.5; choose a number from 0 to 1"),
        ({"share": []}, "share: []; choose a number"),
        ({"share": True}, "share: True; choose a number"),
        ({"drop": 1.0}, "drop: 1.0; choose a number from 0 to less than 1"),
        ({"drop": float("nan")}, "drop: nan; choose a number from 0 to less than 1"),
        ({"share": float("inf")}, "share: inf; choose a number from 0 to 1"),
        ({"pause": float("nan")}, "pause: nan; choose a finite number"),
        ({"pause": float("inf")}, "pause: inf; choose a finite number"),
        ({"free": -float("inf")}, "free: -inf; choose a finite number"),
        ({"kind": "constant"}, "kind: constant; choose one of cosine, linear, null"),
        ({"size": (64, 31)}, "size: [64, 31]; choose multiples of 32"),
        ({"shown": 1}, "shown: 1; choose true or false"),
        ({"part": Part(rank=0)}, "part.rank: 0; choose 1 or more"),
        ({"parts": [Part(), Part(rank=0)]}, "parts.1.rank: 0; choose 1 or more"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(settings, said):
    with pytest.raises(InputError) as caught:
        check_settings(Whole(**settings), where="here: ")
    assert str(caught.value) == f"here: {said}"
