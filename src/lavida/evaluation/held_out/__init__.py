"""The exposure test: does the frame score tell a present category from absent ones, on held-out pictures and clips?

Every sample is asked twice, once with a present class among absent names and once with absent names only
(`lavida/exposure/heldout.py`). AUC pools the frame scores of a set and stands beside what the words alone and the
untrained classifier say; IoU compares the mask with that of the present class; reliability is measured on the
pictures that calibration did not use.
"""

from lavida.evaluation.held_out.answers import QueryAnswer, ask
from lavida.evaluation.held_out.run import evaluate_exposure, exposure_answers, reliability_curve
from lavida.evaluation.tables import exposure_tables

__all__ = ["QueryAnswer", "ask", "evaluate_exposure", "exposure_answers", "exposure_tables", "reliability_curve"]
