#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds for 64-bit ARM Linux with Debian's cross compiler and tests under qemu: all tests of the CPU backend, its kernels on
# three processors (NEON alone; with dotprod; with bf16 and i8mm, too), the demo model through the five programs.
#   scripts/test_arm64.sh [--make-sysroot]
# Installs nothing. Without what it needs it says what is missing and exits with 77:
#   apt-get install g++-aarch64-linux-gnu qemu-user      and, for --make-sysroot, mmdebstrap
# and a root folder of Debian 12 for arm64 with the libraries of the build, BUILD_DIR/sysroot. --make-sysroot unpacks one there
# (260 MB of Debian packages); the machine's own packages stay as they are. BUILD_DIR chooses the folder (default: build-arm64).
set -euo pipefail
cd "$(dirname "$0")/.."

packages=libc6-dev,libstdc++-12-dev,libonnx-dev,libprotobuf-dev,libcli11-dev,libspdlog-dev,libfmt-dev,nlohmann-json3-dev
packages+=,libpcre2-dev,libicu-dev,libxxhash-dev,libssl-dev,libcurl4-openssl-dev,catch2
programs=(qeff-fetch qeff-transform qeff-export qeff-compile qeff-run)
mkdir -p "${BUILD_DIR:-build-arm64}"
build=$(cd "${BUILD_DIR:-build-arm64}" && pwd)
sysroot=$(realpath -m "$build/sysroot")

skip() {
  echo "SKIPPED: $1" >&2
  exit 77
}
need() { command -v "$1" >/dev/null || skip "there is no $1: apt-get install $2"; }

make_sysroot=
for argument in "$@"; do
  [ "$argument" = --make-sysroot ] || { echo "error: unknown argument '$argument'" >&2; exit 2; }
  make_sysroot=1
done
need aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
need qemu-aarch64 qemu-user
if [ -n "$make_sysroot" ] && [ ! -e "$sysroot" ]; then
  need mmdebstrap mmdebstrap
  mmdebstrap --variant=extract --architectures=arm64 --include="$packages" bookworm "$sysroot.part"
  mv "$sysroot.part" "$sysroot"
fi
[ -e "$sysroot" ] || skip "there are no libraries for arm64 in $sysroot: give --make-sysroot"

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQEFF_BUILD_TESTS=ON \
      -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" -DCMAKE_SYSROOT="$sysroot"
ninja -C "$build" unit_cpu "${programs[@]}"

export QEMU_LD_PREFIX=$sysroot
qemu-aarch64 -cpu max "$build/tests/unit/backends/cpu/unit_cpu"
for cpu in neoverse-n1 cortex-a72; do
  echo "kernels on $cpu"
  qemu-aarch64 -cpu "$cpu" "$build/tests/unit/backends/cpu/unit_cpu" -w NoTests "every kernel computes*"
done

wrappers=$build/qemu-bin
mkdir -p "$wrappers"
for program in "${programs[@]}"; do
  printf '#!/bin/sh\nexec qemu-aarch64 "%s" "$@"\n' "$build/bin/$program" >"$wrappers/$program"
  chmod +x "$wrappers/$program"
done
for cpu in max cortex-a72; do
  echo "demo model on $cpu"
  QEMU_CPU=$cpu python3 tests/e2e/check_reference.py --bin "$wrappers" --backend cpu configs/demo-model
done
