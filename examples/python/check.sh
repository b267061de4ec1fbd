#!/usr/bin/env bash
# Checks that the Python client and `rescan scan` find the same, wallet by wallet, in the demo's datadir.
#
#     examples/python/check.sh RESCAN_SERVER RESCAN
#
# takes the two programs. Installs into a temporary directory, from PyPI, and leaves nothing behind.
set -euo pipefail
server=$(realpath "$1")
command=$(realpath "$2")
cd "$(dirname "${BASH_SOURCE[0]}")"

directory=$(mktemp -d /tmp/rescan-py-XXXXXX) # short: the path of a socket must fit into 107 bytes
trap 'rm -rf "$directory"' EXIT

python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt -r requirements-check.txt
PYTHONDONTWRITEBYTECODE=1 "$directory/venv/bin/python" check.py "$server" "$command" "$directory"
