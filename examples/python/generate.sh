#!/usr/bin/env bash
# Generates the Python messages and stubs of dossier.v1 into generated/, beside this script, or into the folder given.
# PYTHON names the interpreter that has requirements.txt installed (default: python3).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/generated}
proto=$here/../../proto

mkdir -p "$out"
"${PYTHON:-python3}" -m grpc_tools.protoc -I "$proto" --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" \
    "$proto"/dossier/v1/*.proto
