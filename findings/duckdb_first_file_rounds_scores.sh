#!/usr/bin/env bash
# DuckDB: scores of a folder of Parquet files come back as 0 and 1 if the first file has whole numbers.
#
# Expected  Files whose column types differ are refused, or widened to the common type.
# Happens   DuckDB takes the types of the first file by name and casts the rest: 0.25, 0.5, 0.75 and 0.95 of a later
#           file come back as 0, 0, 1 and 1, without a word; `avg(score)` is off, `score BETWEEN 0.3 AND 0.7` is empty.
#           Polars and pyarrow raise an error. `union_by_name=true` widens.
# Matters   Labels (0 and 1) beside scores, or a quiet camera whose writer made 0 an integer, is enough; renaming one
#           file changes the result of a query over all.
# Source    duckdb.org/docs, "Combining schemas"; github.com/duckdb/duckdb/pull/3238 says so of INTEGER
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
cd "$folder"
venv/bin/python - <<'PY'
import os

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

print(f"DuckDB {duckdb.__version__}, Polars {pl.__version__}, pyarrow {pa.__version__}")
os.mkdir("scores")
pq.write_table(pa.table({"score": [0, 0, 1]}), "scores/cam1.parquet")
pq.write_table(pa.table({"score": [0.25, 0.5, 0.75, 0.95]}), "scores/cam2.parquet")


def error(read):
    try:
        return f"{read()}"
    except Exception as raised:
        return type(raised).__name__


def by_duckdb(arguments="'scores/*.parquet'"):
    return [row[0] for row in duckdb.sql(f"SELECT score FROM read_parquet({arguments})").fetchall()]


plain, united = by_duckdb(), by_duckdb("'scores/*.parquet', union_by_name=true")
others = error(lambda: pl.read_parquet("scores/*.parquet")), error(lambda: pq.read_table("scores"))
os.rename("scores/cam1.parquet", "scores/cam3.parquet")
renamed = by_duckdb()
print(f"DuckDB: {plain}", f"union_by_name: {united}", f"renamed: {renamed}", f"Polars, pyarrow: {others}", sep="\n")

assert plain == [0, 0, 1, 0, 0, 1, 1], "DuckDB has changed"
assert united == [0, 0, 1, 0.25, 0.5, 0.75, 0.95], "union_by_name has changed"
assert renamed == [0.25, 0.5, 0.75, 0.95, 0, 0, 1], "the order has changed"
assert others == ("SchemaError", "ArrowInvalid"), "Polars or pyarrow have changed"
PY
