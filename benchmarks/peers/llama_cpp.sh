#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# llama.cpp from the source package of llama-cpp-python, built for this machine.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
version=0.3.36
packages=(numpy==2.4.6 safetensors==0.8.0 ml_dtypes==0.6.0 pyyaml tqdm requests jinja2 diskcache typing-extensions
  cmake ninja scikit-build-core)
adapter=llama_cpp_peer.py

install() {
  install_packages "${packages[@]}"
  local source=$home/llama_cpp_python-$version
  if [ ! -d "$source" ]; then
    "$home/venv/bin/pip" download --quiet --no-deps --no-build-isolation --no-binary llama-cpp-python \
      --dest "$home" "llama-cpp-python==$version"
    tar -xzf "$home/llama_cpp_python-$version.tar.gz" -C "$home"
  fi
  # Built by GCC 12, this release's int8 tiles (AMX) end in a segmentation fault: they stay off.
  local flags="-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
  "$home/venv/bin/cmake" -S "$source/vendor/llama.cpp" -B "$home/llama-build" -G Ninja \
    -DCMAKE_MAKE_PROGRAM="$home/venv/bin/ninja" -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" \
    -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_SERVER=OFF \
    >"$home/llama-build.log"
  "$home/venv/bin/ninja" -C "$home/llama-build" llama >>"$home/llama-build.log"
}

main "$@"
