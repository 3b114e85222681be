"""The old place of `lavida.paper.ablations`, until every import has moved."""

import sys

from lavida.paper import ablations
from lavida.paper.ablations import trained

sys.modules[__name__] = ablations
sys.modules[f"{__name__}.trained"] = trained
