#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# OpenVINO; models by optimum-intel, weights compressed by nncf.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages=("${conversion_packages[@]}" openvino==2026.4.1 optimum-intel==2.2.0 nncf==3.4.0)
adapter=openvino_peer.py
main "$@"
