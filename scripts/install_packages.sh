#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that the build needs, if any is missing. Asks for nothing else: no PyPI, no network access at
# run time. As another user than root it uses sudo, or says what to install.
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config git ca-certificates
  libonnx-dev libprotobuf-dev protobuf-compiler libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev
  libpcre2-dev libicu-dev libxxhash-dev libssl-dev libcurl4-openssl-dev catch2 python3
)
packages+=("$@")

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null 2>&1; then
  as_root=(sudo)
else
  echo "error: these Debian packages are missing: ${missing[*]}" >&2
  echo "note: install them as root: apt-get install ${missing[*]}" >&2
  exit 3
fi
"${as_root[@]}" apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
