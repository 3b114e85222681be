"""What each worker of a Ray pool may ask of its node, and an address without a cluster; no Ray is started."""

import socket
from types import SimpleNamespace

import pytest

from lavida.errors import InputError
from lavida.parallel import WORKER_BYTES, largest_share, plan, run


@pytest.mark.parametrize(
    ("nodes", "workers", "share"),
    [
        ([8], 1, 8),
        ([8], 3, 2),
        ([2], 2, 1),
        ([2, 2], 2, 2),
        ([3, 3], 1, 3),  # never 6, which no node has
        ([3, 3], 4, 1),
        ([4, 1], 3, 1),
        ([0, 5], 2, 2),
        ([2], 3, 1 / 2),
        ([1], 4, 1 / 4),
        ([1, 1], 5, 1 / 3),
        ([], 2, 1),  # a cluster that has yet to grow
        ([0], 2, 1),
    ],
)
def test_the_largest_share_that_fits_every_worker(nodes, workers, share):
    assert largest_share(nodes, workers) == share


@pytest.mark.parametrize("nodes", [[1], [2, 3], [16, 4, 4], [7]])
@pytest.mark.parametrize("workers", range(1, 12))
def test_every_worker_finds_room(nodes, workers):
    share = largest_share(nodes, workers)
    assert sum(int(node / share + 1e-9) for node in nodes) >= workers


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_no_cluster_answers_is_one_line_and_at_once(scheme):
    pytest.importorskip("ray")
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match=f"no Ray cluster answers at {address}: Connection refused"):
            list(run([1], int, ray=address))


def nodes(*resources: dict[str, float]) -> SimpleNamespace:
    """As much of Ray as a plan asks for: a cluster with these nodes and one that has gone."""
    alive = [{"Alive": True, "Resources": resource} for resource in resources]
    return SimpleNamespace(nodes=lambda: [*alive, {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 99.0}}])


ROOMY, TIGHT = 16.0 * WORKER_BYTES, 2.5 * WORKER_BYTES


@pytest.mark.parametrize(
    ("resources", "choice", "expected"),
    [
        ([{"CPU": 8.0, "memory": ROOMY}], {}, (8, {"num_cpus": 1.0})),
        ([{"CPU": 8.0, "memory": TIGHT}], {}, (2, {"num_cpus": 4.0})),
        ([{"CPU": 8.0, "memory": TIGHT}] * 2, {}, (4, {"num_cpus": 4.0})),
        ([{"CPU": 8.0, "memory": ROOMY}], {"workers": 3}, (3, {"num_cpus": 2.0})),
        ([{"CPU": 8.0, "GPU": 2.0, "memory": ROOMY}], {}, (2, {"num_cpus": 4.0, "num_gpus": 1.0})),
        ([{"CPU": 8.0, "GPU": 2.0, "memory": ROOMY}], {"workers": 4}, (4, {"num_cpus": 2.0, "num_gpus": 0.5})),
        ([{"CPU": 8.0, "GPU": 4.0, "memory": ROOMY}], {"workers": 1}, (1, {"num_cpus": 8.0, "num_gpus": 1.0})),
        ([{"CPU": 8.0, "GPU": 2.0, "memory": ROOMY}], {"gpu": False}, (8, {"num_cpus": 1.0})),
    ],
)
def test_workers_fill_the_cluster(resources, choice, expected):
    assert plan(nodes(*resources), **({"workers": None, "gpu": None} | choice)) == expected


def test_a_gpu_that_no_node_has_is_one_line():
    with pytest.raises(InputError, match="the Ray cluster has no GPU: give --device cpu"):
        plan(nodes({"CPU": 2.0}), workers=None, gpu=True)
