#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs missing Debian packages, builds everything and runs all tests. Last line: "N passed, N failed[, N skipped]".
#   scripts/test.sh [ctest options, e.g. -R tokenizer]
# BUILD_DIR chooses the build folder (default: build). Tests that need onnxruntime use a Python environment in BUILD_DIR/venv,
# made from PyPI if that can be reached, else they say SKIPPED.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 3

build=${BUILD_DIR:-build}
scripts/install_packages.sh clang-format make python3-venv strace openssl nghttp2-proxy || exit $?
python=$(scripts/make_test_venv.sh "$build/venv" || true)
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQEFF_BUILD_TESTS=ON \
      ${python:+-DQEFF_TEST_PYTHON="$python"} || exit 3
ninja -C "$build" || exit 1

log=$(mktemp)
ctest --test-dir "$build" -j "$(nproc)" --output-on-failure "$@" | tee "$log"
passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:.* Passed ' "$log")
skipped=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:.*\*\*\*Skipped ' "$log")
total=$(grep -cE '^ *[0-9]+/[0-9]+ Test +#[0-9]+:' "$log")
failed=$((total - passed - skipped))
rm -f "$log"
[ "$skipped" -gt 0 ] && more=", $skipped skipped" || more=""
echo "$passed passed, $failed failed$more"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
