"""Moved to lavida.checkpoints.presets; this path goes with its last import."""

import sys
from importlib import import_module

sys.modules[__name__] = import_module("lavida.checkpoints.presets")
