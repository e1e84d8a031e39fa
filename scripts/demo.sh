#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs missing Debian packages, builds, runs the five stages on the demo model and prints text and tokens/s.
#   scripts/demo.sh [PROMPT]
# BUILD_DIR chooses the build folder (default: build).
set -euo pipefail
cd "$(dirname "$0")/.."

prompt=${1:-"Once upon a time"}
build=${BUILD_DIR:-build}
scripts/install_packages.sh
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQEFF_BUILD_TESTS=OFF >"$build.configure.log" 2>&1 ||
  { cat "$build.configure.log" >&2; exit 3; }
rm -f "$build.configure.log"
echo "building ..." >&2
ninja -C "$build" >&2
export PATH="$PWD/$build/bin:$PATH"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Prints a command as it can be typed, then runs it.
show() {
  local word line='$'
  for word; do
    [[ $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]] || word=${word@Q}
    line+=" $word"
  done
  echo "$line" >&2
  "$@"
}

echo >&2
checkpoint=$(show qeff-fetch configs/demo-model)
graph=$(show qeff-transform "$checkpoint" -o "$work/graph")
onnx=$(show qeff-export "$graph" -o "$work/onnx")
qpc=$(show qeff-compile "$onnx" --prefill-seq-len 32 --ctx-len 256 --num-cores "$(nproc)" -o "$work/qpc")
show qeff-run "$qpc" --prompt "$prompt" --max-new-tokens 120
