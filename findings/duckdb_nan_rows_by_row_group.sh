#!/usr/bin/env bash
# DuckDB and pyarrow: whether rows with NaN are found in Parquet depends on the size of the row groups.
#
# Expected  A filter gives the same rows however the file is cut into row groups; `isnan(score)` finds the NaN.
# Happens   In DuckDB and Polars NaN is greater than every number, so `score > 0.5` holds for it. But Parquet's minimum
#           and maximum leave NaN out, and DuckDB 2 trusts them (`can_have_nan` is off by default): the NaN of a row
#           group whose maximum is 0.2 is gone, and `isnan(score)` finds none at all. pyarrow's `is_nan` misses the NaN
#           where a row group has one other value. Polars gives all; pyarrow's `> 0.5` gives none, by IEEE.
# Matters   A broken frame has NaN as its score. Counting the broken ones gives 0, alarms come and go with the writer's
#           settings, and two readers disagree. Write NULL instead, or read with `read_parquet(..., can_have_nan=true)`.
# Source    github.com/duckdb/duckdb/issues/25521 (open) and pull 25747; pull 16962 had done it the other way
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - <<'PY'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

print(f"DuckDB {duckdb.__version__}, Polars {pl.__version__}, pyarrow {pa.__version__}")
scores = [0.1, float("nan"), 0.2, 0.1, 0.9, 0.2, 0.8, float("nan")]  # NaN in rows 1 and 7
table = pa.table({"frame": range(8), "score": pa.array(scores, pa.float32())})


def by_duckdb(condition, reader="read_parquet('a.parquet')"):
    return [row[0] for row in duckdb.sql(f"SELECT frame FROM {reader} WHERE {condition} ORDER BY frame").fetchall()]


def by_polars(condition):
    return pl.scan_parquet("a.parquet").filter(condition).collect()["frame"].to_list()


def by_pyarrow(condition):
    return pq.read_table("a.parquet", filters=condition)["frame"].to_pylist()


seen = {}
for size in (8, 4, 2):
    pq.write_table(table, "a.parquet", row_group_size=size)
    seen[size] = {
        "DuckDB > 0.5": by_duckdb("score > 0.5"),
        "DuckDB isnan": by_duckdb("isnan(score)"),
        "DuckDB isnan, can_have_nan": by_duckdb("isnan(score)", "read_parquet('a.parquet', can_have_nan=true)"),
        "Polars > 0.5": by_polars(pl.col("score") > 0.5),
        "Polars is_nan": by_polars(pl.col("score").is_nan()),
        "pyarrow > 0.5": by_pyarrow(pc.field("score") > 0.5),
        "pyarrow is_nan": by_pyarrow(pc.is_nan(pc.field("score"))),
    }
    print(f"row groups of {size}:", *(f"  {query}: {rows}" for query, rows in seen[size].items()), sep="\n")

assert [seen[n]["DuckDB > 0.5"] for n in (8, 4, 2)] == [[1, 4, 6, 7], [4, 6, 7], [4, 6, 7]], "DuckDB's > has changed"
assert all(seen[n]["DuckDB isnan"] == [] for n in seen), "DuckDB's isnan has changed"
assert all(seen[n]["DuckDB isnan, can_have_nan"] == [1, 7] for n in seen), "can_have_nan has changed"
assert all(seen[n]["Polars > 0.5"] == [1, 4, 6, 7] for n in seen), "Polars has changed"
assert all(seen[n]["Polars is_nan"] == [1, 7] for n in seen), "Polars' is_nan has changed"
assert all(seen[n]["pyarrow > 0.5"] == [4, 6] for n in seen), "pyarrow's > has changed"
assert [seen[n]["pyarrow is_nan"] for n in (8, 4, 2)] == [[1, 7], [1, 7], []], "pyarrow's is_nan has changed"
PY
