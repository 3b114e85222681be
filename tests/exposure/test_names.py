from collections import Counter

import numpy as np
import pytest

from lavida.exposure.names import NamePool, NameTable, mixed

SMALL, LARGE = (tuple(f"n{i}" for i in range(count)) for count in (20, 3000))


def pool(names, weights=None):
    table = NameTable(weights or {})
    return NamePool(table, table.places(names)), table


@pytest.mark.parametrize("names", [SMALL, LARGE])
def test_every_name_is_drawn_once_and_a_seed_fixes_the_order(names):
    orders = [list(pool(names)[0].draws(np.random.default_rng(seed))) for seed in (0, 0, 1)]
    assert all(sorted(order) == sorted(names) for order in orders)
    assert orders[0] == orders[1] != orders[2]


def test_an_empty_pool_has_no_names():
    assert list(pool(())[0].draws(np.random.default_rng(0))) == []


@pytest.mark.parametrize("names", [SMALL, LARGE])
def test_names_are_drawn_in_proportion_to_their_weights(names):
    weights = {"n3": 0.5 * len(names), "n5": 0.25 * len(names)}
    drawn, rng = pool(names, weights)[0], np.random.default_rng(0)
    firsts = Counter(next(drawn.draws(rng)) for _ in range(2000))
    total = len(names) - 2 + sum(weights.values())
    for name, weight in weights.items():
        assert firsts[name] / 2000 == pytest.approx(weight / total, abs=0.04)
    # the second one from what is left: the heaviest name takes no place twice
    seconds = Counter()
    for _ in range(2000):
        order = drawn.draws(rng)
        first, second = next(order), next(order)
        seconds[second] += first == "n3"
    assert seconds["n5"] / seconds.total() == pytest.approx(weights["n5"] / (total - weights["n3"]), abs=0.05)


@pytest.mark.parametrize("names", [SMALL, LARGE])
def test_weights_may_change(names):
    drawn, table = pool(names)
    rng = np.random.default_rng(0)
    next(drawn.draws(rng))
    table.reweigh({"n7": 1e6, "unknown": 3.0})
    assert [next(drawn.draws(rng)) for _ in range(5)] == ["n7"] * 5
    assert table.weight("unknown") == 3.0 and table.weight("n8") == 1.0


def test_pools_of_a_table_share_its_weights():
    table = NameTable({"b": 1e6})
    first, second = NamePool(table, table.places("ab")), NamePool(table, table.places("bcb"))
    for each in (first, second):
        assert next(each.draws(np.random.default_rng(0))) == "b"
    assert sorted(second.draws(np.random.default_rng(0))) == ["b", "c"]


def test_mixed_names_keep_their_order_and_their_share():
    rng = np.random.default_rng(0)
    first, second = [f"a{i}" for i in range(4000)], [f"b{i}" for i in range(4000)]
    names = list(mixed(iter(first), iter(second), share=0.3, rng=rng))
    assert [n for n in names if n[0] == "a"] == first and [n for n in names if n[0] == "b"] == second
    assert np.mean([n.startswith("a") for n in names[:4000]]) == pytest.approx(0.3, abs=0.03)
