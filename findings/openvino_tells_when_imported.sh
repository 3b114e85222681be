#!/usr/bin/env bash
# OpenVINO: `import openvino` reports to a web service, and the end of the program waits up to three seconds for it.
#
# Expected  Importing a library of inference reaches for no network; its package openvino-telemetry says that without a
#           file of consent "no data will be transmitted".
# Happens   The import makes an identity in ~/intel and posts an event with it to www.google-analytics.com, from a forked
#           process. Where the network swallows that, the interpreter ends three seconds later. Only a file of refusal
#           (`opt_in_out --opt_out`), CI=true, or the missing package stops it: OpenVINO imports without that as well.
# Matters   A detector for cameras on a closed network is slow to end for no visible reason, and one that promises that
#           nothing leaves the machine has broken its word before its first line ran. Hide the package while importing:
#           sys.modules["openvino_telemetry"] = None.
# Source    github.com/openvinotoolkit/telemetry, README (consent) and openvino/tools/ovc/telemetry_utils.py of the wheel
#           (enable_opt_in_dialog=False); seen at a proxy
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  openvino==2026.4.1 openvino-telemetry==2025.2.0 numpy==2.4.6
cd "$folder"
mkdir imported hidden
venv/bin/python - <<'PY'
import socket, subprocess, time
from pathlib import Path

proxy = socket.create_server(("127.0.0.1", 0))  # hears what is asked for, and never answers
proxy.settimeout(0.2)
IMPORT = "import openvino, sys; print('OpenVINO', openvino.__version__, flush=True)"


def run(home: str, code: str) -> tuple[list[str], float]:
    """What the proxy was asked for, and the seconds from the import's end to that of the process."""
    address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
    place = {"PATH": "/usr/bin:/bin", "HOME": str(Path(home).resolve()), "https_proxy": address}  # CI is not set
    process = subprocess.Popen(["venv/bin/python", "-c", code], env=place, stdout=subprocess.PIPE, text=True)
    print(process.stdout.readline().strip(), end=", ")
    start, heard, waiting = time.monotonic(), [], []
    while process.poll() is None:
        try:
            connection = proxy.accept()[0]
        except TimeoutError:
            continue
        waiting.append(connection)
        heard.append(connection.recv(999).decode().splitlines()[0])
    return heard, time.monotonic() - start


for home, before in {"imported": "", "hidden": "import sys; sys.modules['openvino_telemetry'] = None; "}.items():
    heard, seconds = run(home, before + IMPORT)
    left = sorted(path.name for path in Path(home).rglob("*") if path.is_file())
    print(f"{home}: asked for {heard}, {seconds:.1f} s to the end, left behind {left}")
    if home == "imported":
        assert [line.split()[:2] for line in heard] == [["CONNECT", "www.google-analytics.com:443"]], heard
        assert 2.5 < seconds < 6 and "openvino_ga_cid" in left, (seconds, left)
    else:
        assert heard == [] and left == [] and seconds < 2, (heard, left, seconds)
PY
