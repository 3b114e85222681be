"""How OpenMP's threads wait for each other while they compute: soon asleep, or spinning for the first milliseconds.

A thread that spins keeps a core from everybody else, above all from the very thread that it waits for. OpenMP reads its
variables once, when torch brings it, so this has to come before torch.
"""

import os
import sys

POLICY = "OMP_WAIT_POLICY"
TURNS = "GOMP_SPINCOUNT"  # how often libgomp's threads look before they sleep; others' have no such fine measure
SLEEPY = {POLICY: "PASSIVE", TURNS: "10000"}
OURS = "LAVIDA_SET_OMP_WAIT_POLICY"  # tells processes that inherit the policy that it was not the user's wish


def wait_passively() -> None:
    """Let threads soon sleep while they wait, unless the user has chosen otherwise; too late once torch is loaded."""
    if "torch" not in sys.modules and not os.environ.keys() & SLEEPY.keys():
        os.environ |= SLEEPY | {OURS: "1"}


def wait_as_usual() -> None:
    """Take `wait_passively` back, as training is faster with OpenMP's own choice; too late once torch is loaded."""
    if "torch" not in sys.modules and os.environ.pop(OURS, ""):
        for name in SLEEPY:
            os.environ.pop(name, None)
