#!/usr/bin/env bash
# scikit-learn: three measures of a video without anomalies are nan, 0.0 and 0.5, and none of them stops the program.
#
# Expected  `roc_auc_score` raises ValueError ("Only one class present"), as it did for years, and code catches that to
#           leave the video out; the area under precision and recall is the average precision, more or less.
# Happens   Since 1.6 `roc_auc_score` returns nan with a warning, average precision is 0.0 and `auc(recall, precision)`
#           is 0.5. With anomalies, the trapezoid of a constant score is 0.505 where 1 % of frames are anomalous.
# Matters   Mean over videos: nan in all, or 0.0 and 0.5 mixed in for quiet ones that were scored perfectly; and a
#           constant "detector" has a PR AUC of 0.505 in papers that integrate by trapezoids, 0.01 by average precision.
# Source    scikit-learn.org, what's new in 1.6 (roc_auc_score), average_precision_score ("too optimistic")
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

print(f"scikit-learn {sklearn.__version__}")


def measures(labels, scores):
    """ROC AUC, average precision, trapezoids under precision and recall, kinds of warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        precision, recall, _ = precision_recall_curve(labels, scores)
        values = roc_auc_score(labels, scores), average_precision_score(labels, scores), auc(recall, precision)
    return [str(round(float(value), 3)) for value in values], {warning.category for warning in caught}


quiet = np.zeros(100, int)
rare = np.zeros(1000, int)
rare[:10] = 1
seen = {
    "quiet video, low scores": measures(quiet, np.linspace(0, 0.1, 100)),
    "quiet video, high scores": measures(quiet, np.linspace(0.9, 1, 100)),
    "1 % anomalous, constant score": measures(rare, np.full(1000, 0.5)),
}
for name, (values, kinds) in seen.items():
    print(f"{name}: ROC AUC, AP, trapezoids {values}, warnings {sorted(kind.__name__ for kind in kinds)}")

quiet_low, quiet_high, constant = seen.values()
assert quiet_low == quiet_high, "quiet videos have changed"
assert quiet_low[0] == ["nan", "0.0", "0.5"] and UndefinedMetricWarning in quiet_low[1], "quiet videos have changed"
assert constant == (["0.5", "0.01", "0.505"], set()), "the constant score has changed"
PY
