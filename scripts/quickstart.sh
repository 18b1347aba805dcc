#!/usr/bin/env bash
# Makes an environment, installs eyeshot, and runs the main job on digits whose right answer is known.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec "$PYTHON" -m eyeshot demo "$@"
