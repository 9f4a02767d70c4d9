#!/bin/sh
# Makes .venv, or brings it to the versions of the lock file named in the first argument.
set -eu
cd "$(dirname "$0")/.."

# One whose Python has gone, after an upgrade of the system, is of no use any more.
.venv/bin/python -c 'import pip' 2>/dev/null || rm -rf .venv
[ -d .venv ] || "$(scripts/python.sh)" -m venv .venv
echo "Installing the versions of $1 into .venv"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --requirement "$1"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-deps --editable .
# As an installed package would be: otherwise every start compiles it, where Python may not keep what it compiled.
.venv/bin/python -m compileall -q km3vo
