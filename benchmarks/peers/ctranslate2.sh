#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# CTranslate2; models by its own converter.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
packages=("${conversion_packages[@]}" ctranslate2==4.8.5)
adapter=ctranslate2_peer.py
main "$@"
