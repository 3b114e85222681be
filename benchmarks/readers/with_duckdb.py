"""csv, and the JSON of coco, by DuckDB: events, boxes, verdicts."""

import json
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
rows = duckdb.sql(
    f"SELECT start_s, end_s, peak_s, peak_score, category, x, y, width, height FROM '{folder}/csv.csv' "
    "WHERE peak_s IS NOT NULL ORDER BY start_s"
).fetchall()
assert len(rows) == len(expected["events"]) > 0
for row, event in zip(rows, expected["events"], strict=True):
    assert row[:5] == tuple(event[name] for name in ("start_s", "end_s", "peak_s", "peak_score", "category"))
    assert list(row[5:]) == event["box"]
labels = duckdb.sql(
    f"SELECT start_s, end_s, category, verdict FROM read_csv('{folder}/csv.csv', types={{'verdict': 'VARCHAR'}}) "
    "WHERE verdict IS NOT NULL ORDER BY start_s"
).fetchall()
told = sorted(tuple(label.values()) for label in expected["labels"])
assert labels == told, (labels, told)
((count,),) = duckdb.sql(f"SELECT count(*) FROM (SELECT unnest(annotations) FROM '{folder}/coco.json')").fetchall()
assert count == len(expected["masks"])
print(f"DuckDB {duckdb.__version__}: {len(rows)} events, {len(labels)} labels, {count} masks")
