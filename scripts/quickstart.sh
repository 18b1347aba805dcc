#!/usr/bin/env bash
# Makes an environment, installs eyeshot, takes a small project the whole way, and serves its workbench in a terminal.
# Options are those of `eyeshot demo`: --no-serve, --no-open, --json, --out DIR. The same command continues.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec "$PYTHON" -m eyeshot demo "$@"
