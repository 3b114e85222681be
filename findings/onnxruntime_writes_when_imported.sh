#!/usr/bin/env bash
# ONNX Runtime on Linux: importing it makes an identity of the machine and queues an event; its switch comes too late.
#
# Expected  `import onnxruntime` leaves the disk alone on Linux (its events were known as a matter of Windows), and
#           after onnxruntime.disable_telemetry_events() nothing is kept to be sent.
# Happens   The import writes an identity and a database with the event ProcessInfo (system, processor, memory, name of
#           the interpreter) below the user's caches. disable_telemetry_events() can only be called after that: both are
#           there all the same. With ORT_DISABLE_TELEMETRY=1 before the import nothing is written.
# Matters   A detector for cameras that "never leaves the machine" has told of it before its first line ran; with caches
#           that cannot be written, a warning appears on stderr. Set the variable in os.environ before the import.
# Source    github.com/microsoft/onnxruntime: pull 27379 (telemetry on POSIX), 29843 and issue 25573 (opting out); the
#           wheel's Privacy.md; seen on the disk
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check onnxruntime==1.32.0 numpy==2.4.6
cd "$folder"
run() { # NAME CODE [VARIABLE=VALUE]: in an environment that knows no test or build server, with caches of its own
  mkdir -p "$1"
  env -i PATH="$PATH" HOME="$folder/$1" XDG_CACHE_HOME="$folder/$1/caches" "${@:3}" venv/bin/python -c "$2"
}
run imported 'import onnxruntime; print("ONNX Runtime", onnxruntime.__version__)'
run disabled 'import onnxruntime; onnxruntime.disable_telemetry_events()'
run told 'import onnxruntime' ORT_DISABLE_TELEMETRY=1
venv/bin/python - <<'PY'
import sqlite3
from pathlib import Path

left = {name: sorted(path for path in Path(name).rglob("*") if path.is_file()) for name in ("imported", "disabled", "told")}
for name, paths in left.items():
    print(f"{name:8} {[path.name for path in paths]}")
for name in ("imported", "disabled"):
    assert [path.name for path in left[name]] == ["deviceid", "onnxruntime.db"], left[name]
    with sqlite3.connect(left[name][1]) as database:
        payloads = [payload for (payload,) in database.execute("SELECT payload FROM events")]
    print(f"{name:8} events: {len(payloads)}, of ProcessInfo: {sum(b'ProcessInfo' in payload for payload in payloads)}")
    assert any(b"ProcessInfo" in payload for payload in payloads)
assert left["told"] == []
PY
