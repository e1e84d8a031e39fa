#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Makes a Python environment with onnx, onnxruntime and huggingface_hub for tests, if it is not there, and prints its interpreter. Prints nothing
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
# The tests of qeff-fetch against it say SKIPPED without it: no reason to do without the others.
if ! "$python" -c 'import huggingface_hub' >/dev/null 2>&1; then
  timeout 300 "$folder/bin/pip" install -q --disable-pip-version-check huggingface_hub >&2 || true
fi
realpath -s "$python"
