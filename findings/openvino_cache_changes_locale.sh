#!/usr/bin/env bash
# OpenVINO: while a compiled model is read from CACHE_DIR, the whole process has the locale "C".
#
# Expected  Reading a cached model changes nothing outside of it.
# Happens   For the moment of reading, setlocale(LC_ALL) is "C" for every thread: locale.getencoding() says
#           ANSI_X3.4-1968 there instead of UTF-8, which open() and subprocess take as their encoding. Compiling the same
#           model without the cache changes nothing. Two threads that read at a time each save and give back what they
#           found, so that one may give back the other's "C", which then stays.
# Matters   A program that opens its models in threads fails elsewhere, long afterwards, with UnicodeDecodeError from
#           'ascii'. Read cached models one at a time, and name encodings.
# Source    docs.openvino.ai, "Model Caching Overview"; man 3 setlocale; found as help texts could not be decoded
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cd "$folder"
LC_ALL=C.UTF-8 venv/bin/python - <<'PY'
import locale
import threading

import numpy as np
import openvino
from openvino import opset13 as op

print(f"OpenVINO {openvino.__version__}")


def model():
    """Large enough for reading it to take a while."""
    given = op.parameter([1, 512], np.float32)
    node = given
    for layer in range(40):
        weights = np.random.default_rng(layer).normal(size=(512, 512)).astype(np.float32)
        node = op.relu(op.matmul(node, op.constant(weights), False, False))
    return openvino.Model([node], [given])


def encodings_while(work):
    """The encodings of the process's locale that another thread sees."""
    seen, done = set(), threading.Event()

    def look():
        while not done.is_set():
            seen.add(locale.getencoding())

    watching = threading.Thread(target=look)
    watching.start()
    for _ in range(20):
        work()
    done.set()
    watching.join()
    return sorted(seen)


core, graph = openvino.Core(), model()
cached = {"CACHE_DIR": "cache"}
core.compile_model(graph, "CPU", cached)
compiled = encodings_while(lambda: core.compile_model(graph, "CPU"))
read = encodings_while(lambda: core.compile_model(graph, "CPU", cached))
print("while it is compiled      :", compiled)
print("while it is read from cache:", read)
assert compiled == ["UTF-8"], "compiling changes the locale, too"
assert read == ["ANSI_X3.4-1968", "UTF-8"], "the cache is read without a change of locale: this is mended"
PY
