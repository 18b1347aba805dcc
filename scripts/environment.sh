#!/usr/bin/env bash
# Sourced by the other scripts: makes .venv once, with locked versions, and sets PYTHON to its interpreter.
# A torch that is installed already (in the Python that is found) is used, not replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

FOUND=""
for candidate in "${EYESHOT_PYTHON:-}" python3 python python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        FOUND="$candidate"
        break
    fi
done
if [ -z "$FOUND" ]; then
    echo "eyeshot needs Python 3.11 or newer and found none. Install it, or name it: EYESHOT_PYTHON=/path/to/python" >&2
    exit 2
fi

PYTHON=.venv/bin/python
LOCK=requirements.lock
STAMP=.venv/eyeshot-lock
if ! cmp -s "$LOCK" "$STAMP" 2>/dev/null; then
    echo "Making .venv with the versions of $LOCK (about 3 GB of downloads where no torch is installed) …" >&2
    WANTED="$(mktemp)"
    trap 'rm -f "$WANTED"' EXIT
    if "$FOUND" -c 'import torch, torchvision' 2>/dev/null; then
        echo "Using the torch that is installed: $("$FOUND" -c 'import torch; print(torch.__version__)')" >&2
        "$FOUND" -m venv --clear --system-site-packages .venv
        grep -vE '^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==' "$LOCK" > "$WANTED"
    else
        "$FOUND" -m venv --clear .venv
        cp "$LOCK" "$WANTED"
    fi
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$WANTED"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
    cp "$LOCK" "$STAMP"
fi
