"""How OpenMP's threads wait for each other while they compute: asleep, or spinning for the first milliseconds.

A thread that spins keeps a core from everybody else, above all from the very thread that it waits for. OpenMP reads its
variables once, when torch brings it, so this has to come before torch.
"""

import os
import sys

POLICY = "OMP_WAIT_POLICY"
OURS = "LAVIDA_SET_OMP_WAIT_POLICY"  # tells processes that inherit the policy that it was not the user's wish


def wait_passively() -> None:
    """Let threads sleep while they wait, unless the user has chosen a policy; too late once torch is loaded."""
    if "torch" not in sys.modules and POLICY not in os.environ:
        os.environ |= {POLICY: "PASSIVE", OURS: "1"}


def wait_as_usual() -> None:
    """Take `wait_passively` back, as training is faster with OpenMP's own choice; too late once torch is loaded."""
    if "torch" not in sys.modules and os.environ.pop(OURS, None):
        os.environ.pop(POLICY, None)
