"""The old place of `lavida.evaluation.held_out`, until every import has moved."""

import sys

from lavida.evaluation import held_out
from lavida.evaluation.held_out import answers, measures, questions

sys.modules[__name__] = held_out
sys.modules |= {
    f"{__name__}.{name}": module
    for name, module in {"answers": answers, "measures": measures, "sets": questions, "scenes": questions}.items()
}
