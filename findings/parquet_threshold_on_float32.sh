#!/usr/bin/env bash
# Parquet readers: `score >= 0.7` keeps or drops a float32 score of 0.7 by reader, and by how the number is handed over.
#
# Expected  One rule for all: float32 0.7 is 0.69999999, so a comparison with 0.7 in double drops it.
# Happens   DuckDB keeps it for a literal and drops it for a parameter; Polars and pandas' own comparison keep it;
#           pyarrow's filter drops it; for 0.3 (0.30000001 as float32) all agree again, except that `score <= 0.3`
#           then splits the same way.
# Matters   Thresholds are round numbers and saved scores are float32: "at least 0.7" gives different alarms in the
#           report, the dashboard and the test. Compare in float32 on both sides, or store doubles.
# Source    duckdb.org/docs, numeric types (literals are DECIMAL); NumPy NEP 50 (Python numbers take the array's type)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

print(f"DuckDB {duckdb.__version__}, Polars {pl.__version__}, pyarrow {pa.__version__}, pandas {pd.__version__}")
pq.write_table(pa.table({"score": pa.array([0.3, 0.7], pa.float32())}), "a.parquet")


def rows(result):
    return [round(score, 1) for score in result]


def by_duckdb(condition, *parameters):
    found = duckdb.execute(f"SELECT score FROM 'a.parquet' WHERE {condition}", parameters).fetchall()
    return rows(row[0] for row in found)


frame = pd.read_parquet("a.parquet")
seen = {
    "DuckDB, literal": (by_duckdb("score >= 0.7"), by_duckdb("score <= 0.3")),
    "DuckDB, parameter": (by_duckdb("score >= ?", 0.7), by_duckdb("score <= ?", 0.3)),
    "Polars": tuple(
        rows(pl.scan_parquet("a.parquet").filter(condition).collect()["score"])
        for condition in (pl.col("score") >= 0.7, pl.col("score") <= 0.3)
    ),
    "pyarrow": tuple(
        rows(pq.read_table("a.parquet", filters=condition)["score"].to_pylist())
        for condition in (pc.field("score") >= 0.7, pc.field("score") <= 0.3)
    ),
    "pandas": (rows(frame[frame.score >= 0.7].score), rows(frame[frame.score <= 0.3].score)),
    "pandas read with a filter": tuple(
        rows(pd.read_parquet("a.parquet", filters=[condition]).score)
        for condition in (("score", ">=", 0.7), ("score", "<=", 0.3))
    ),
}
for reader, (at_least, at_most) in seen.items():
    print(f"{reader}: >= 0.7 {at_least}, <= 0.3 {at_most}")

kept, dropped = ([0.7], [0.3]), ([], [])
assert seen == {
    "DuckDB, literal": kept,
    "DuckDB, parameter": dropped,
    "Polars": kept,
    "pyarrow": dropped,
    "pandas": kept,
    "pandas read with a filter": dropped,
}, "a reader has changed"
PY
