#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# onnxruntime-genai; models by its own builder.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages=("${conversion_packages[@]}" onnxruntime==1.31.1 onnxruntime-genai==0.18.0 onnx==1.23.2 onnx-ir)
adapter=onnxruntime_genai_peer.py
main "$@"
