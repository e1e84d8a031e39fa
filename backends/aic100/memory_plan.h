// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a model needs on a card, before it is compiled: memory of each device, where it fits, and
// the time of a token that bandwidth and peak allow. Estimates from the graph; nothing is measured.
//
// Formulas. Bytes of an element: f16 2; MXFP6 6.25 / 8 and MXINT8 8.25 / 8 (blocks of 32 with one
// 8-bit scale). Over n devices matrices and caches are divided, everything else is on each. Time of
// a token = max(bytes read / DDR bandwidth, 2 * matrix elements * rows / f16 peak) of one device;
// bytes read = weights + cache, 0 if all of it fits in the VTCM of the cores.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ir/graph.h"
#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff::aic100 {

/// A kind of card, per device (one SoC). Absent: not published.
struct CardTarget {
  std::string name;
  int64_t devices_per_card = 1;
  int64_t cores_per_device = 16;
  std::optional<int64_t> ddr_bytes;
  std::optional<double> ddr_bytes_per_second;
  int64_t vtcm_bytes_per_core = 0;
  std::optional<double> f16_flops;
};

/// Reads a target: a file of the form of configs/targets/*.json, or the name of one of them.
/// Errors: kUsage (no such name), kIo, kInvalidInput with the key.
Result<CardTarget> ReadTarget(const std::string& name_or_path);
/// Names of the targets that are built in.
std::vector<std::string> TargetNames();

struct PlanOptions {
  bool mxfp6_matmul = false;
  bool mxint8_kv_cache = false;
};

/// Elements of a model for one choice of symbols.
struct ModelSize {
  int64_t matrix_elements = 0;  ///< second inputs of matrix products
  int64_t other_elements = 0;   ///< further float constants
  int64_t state_elements = 0;   ///< retained state
  int64_t state_heads = 0;      ///< heads of the first cache, 0 if it has none
  int64_t activation_elements =
      0;             ///< of the largest pair of values that one node reads and writes
  int64_t rows = 1;  ///< tokens of one decode call: batch_size
};

/// Counts `graph`, the contract graph, with `symbols`. Errors: kInvalidInput (a state with a symbol
/// that has no number).
Result<ModelSize> MeasureModel(const ir::Graph& graph,
                               const std::map<std::string, int64_t>& symbols);

/// One number of devices.
struct DevicePlan {
  int64_t devices = 1;
  double weight_bytes = 0;      ///< of each device
  double state_bytes = 0;       ///< of each device
  double activation_bytes = 0;  ///< of each device
  double bytes_per_core = 0;    ///< weights and state
  bool fits_on_chip = false;
  std::optional<double> token_seconds;  ///< absent: the card's numbers are not published
  std::string rejected;                 ///< why it does not fit; empty: it does
  double total_bytes() const { return weight_bytes + state_bytes + activation_bytes; }
};

/// Plans for 1, 2, 4, 8 and 16 devices, `cores` of each (0: all).
std::vector<DevicePlan> PlanDevices(const ModelSize& size, const CardTarget& target, int64_t cores,
                                    const PlanOptions& options);

/// Table for people with the formula below it; and the same as JSON.
std::string PrintPlan(const CardTarget& target, const ModelSize& size,
                      const std::vector<DevicePlan>& plans);
Json PlanToJson(const CardTarget& target, const ModelSize& size,
                const std::vector<DevicePlan>& plans);

}  // namespace qeff::aic100
