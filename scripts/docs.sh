#!/usr/bin/env bash
# Makes the environment if there is none, and builds the site of docs/; a broken link is an error. Arguments go to Sphinx.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
"$PYTHON" -m sphinx --quiet --fail-on-warning --keep-going --builder html --doctree-dir build/docs-pages "$@" docs build/docs
echo "The site is at build/docs/index.html"
