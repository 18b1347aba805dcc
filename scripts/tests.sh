#!/usr/bin/env bash
# Makes the environment if there is none, and runs all tests; arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec "$PYTHON" -m pytest "$@"
