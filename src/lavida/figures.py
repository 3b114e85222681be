"""The old place of `lavida.paper.figures`, until every import has moved."""

import sys

from lavida.export import moments, painting
from lavida.paper import figures
from lavida.paper.figures import masks, scores, sheet, tokens

sys.modules[__name__] = figures
sys.modules |= {
    f"{__name__}.{name}": module
    for name, module in {
        "case": sheet, "masks": masks, "moments": moments, "painting": painting, "scores": scores, "sheet": sheet,
        "tokens": tokens,
    }.items()
}  # fmt: skip
