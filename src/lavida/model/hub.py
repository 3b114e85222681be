"""Moved to lavida.checkpoints.hub; this path goes with its last import."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("lavida.checkpoints.hub")
