#!/bin/sh
# Prints the Python to make the virtual environment with: PYTHON if it is set, else the first that is 3.11 or newer.
for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        "$python" -c 'import sys; print(sys.executable)'
        exit
    fi
done
echo "There is no Python 3.11 or newer: sudo scripts/install.sh" >&2
exit 1
