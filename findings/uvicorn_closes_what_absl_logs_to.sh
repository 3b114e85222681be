#!/usr/bin/env bash
# uvicorn and absl: making a uvicorn.Config closes the stream that stderr was while absl was imported.
#
# Expected  A server that sets its own loggers up leaves the handlers of other libraries, and their files, alone.
# Happens   uvicorn.Config applies its default log_config with logging.config.dictConfig, which closes every handler
#           that is alive, whosever it is ("disable_existing_loggers": False keeps loggers, not handlers). The one of
#           absl (imported by TensorBoard's event writer, TensorFlow and JAX) closes its stream, which is what
#           sys.stderr was at import, unless that is sys.stderr still. Where stderr had been put aside then, as by a
#           test runner, a notebook or a progress bar, whoever goes on with that stream gets "I/O operation on closed
#           file". With log_config=None, or where absl is imported after it, nothing is closed.
# Matters   One test that makes a server lets all later ones in its process fail, and only where another test happened
#           to have imported TensorBoard there first: seen as 1,640 tests that failed at once.
# Source    docs.python.org, logging.config ("all existing handlers are cleared"); uvicorn.dev, "Logging"; found in a
#           test suite that is spread over processes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check uvicorn==0.54.0 absl-py==2.5.1
cd "$folder"
cat > ask.py <<'PY'
import importlib.metadata
import io
import sys
from contextlib import redirect_stderr


def put_aside():
    """The stream that stderr was while absl was imported."""
    aside = io.StringIO()
    with redirect_stderr(aside):
        import absl.logging  # noqa: F401
    return aside


def serve(**settings):
    import uvicorn

    uvicorn.Config("nobody:app", **settings)


order = sys.argv[1]
if order == "absl first":
    aside = put_aside()
    serve()
elif order == "absl first, log_config=None":
    aside = put_aside()
    serve(log_config=None)
else:
    serve()
    aside = put_aside()
versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("uvicorn", "absl-py"))
print(f"{versions}: {order}: closed {aside.closed}")
PY
seen=$(for order in "absl first" "absl first, log_config=None" "uvicorn first"; do venv/bin/python ask.py "$order"; done)
echo "$seen"
[ "$(sed 's/.*closed //' <<< "$seen" | tr '\n' ' ')" = "True False False " ]
