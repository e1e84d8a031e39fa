#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes a Python environment with onnx and onnxruntime for tests, if it is not there, and prints its interpreter. Prints nothing
# and fails when PyPI cannot be reached: the tests that need it are skipped then.
set -uo pipefail
folder=$1
python="$folder/bin/python"
mkdir -p "$(dirname "$folder")"
if ! "$python" -c 'import onnx, onnxruntime, numpy, safetensors' >/dev/null 2>&1; then
  rm -rf "$folder"
  python3 -m venv "$folder" >&2 || exit 1
  timeout 300 "$folder/bin/pip" install -q --disable-pip-version-check onnx onnxruntime numpy safetensors >&2 || exit 1
fi
realpath -s "$python"
