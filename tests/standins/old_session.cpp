// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A session's library of another version of the interface: it must be refused before any call.
#include "backends/aic100/session_abi.h"

extern "C" __attribute__((visibility("default"))) const QeffAicSessionApi* qeff_aic_session_api(
    void) {
  static const QeffAicSessionApi api = {.abi_version = QEFF_AIC_SESSION_ABI + 1,
                                        .built_for = "0.0",
                                        .open = nullptr,
                                        .bindings = nullptr,
                                        .run = nullptr,
                                        .close = nullptr};
  return &api;
}
