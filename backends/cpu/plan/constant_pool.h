// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The constants of a program: which weights, in which layout, at which offset. Adding one only
// notes it (the same weight in the same layout is kept once, whichever specialization asks); Write
// evaluates the recipes in bounded blocks, so memory does not grow with the model.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/runtime/step_params.h"
#include "lib/ir/weight.h"
#include "lib/support/status.h"

namespace qeff::cpu {

class BackgroundSink;
struct Packers;

/// One constant's place in the constants segment.
struct ConstantPlace {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  WeightFormat format = WeightFormat::kF32;  ///< of panels
};

/// What a matrix is for, as far as its format depends on it.
enum class WeightUse {
  kProduct,
  kHead,    ///< its results are not multiplied again: logits. kInt4 keeps it as int8
  kRouter,  ///< it chooses experts, which rounding would change: kept as by kAuto
};

class ConstantPool {
 public:
  /// kAuto keeps a Linear's weights as bf16 where every value is one exactly, else as f32.
  explicit ConstantPool(WeightStorage storage) : storage_(storage) {}

  /// Row-major; floats become f32, other dtypes stay.
  Result<ConstantPlace> AddPlain(const ir::WeightPtr& weight);
  /// The weight [N, K] of a Linear as panels. Two weights of equal dims: gate and up, panels
  /// interleaved. A stack [X, N, K]: the panels of one matrix after those of the other.
  Result<ConstantPlace> AddPanels(const std::vector<ir::WeightPtr>& weights, WeightUse use);
  /// Biases [N] (of a stack [X, N]) beside AddPanels of the same weights; null is zero, but not all
  /// of them.
  Result<ConstantPlace> AddPanelBias(const std::vector<ir::WeightPtr>& biases, int64_t columns);
  /// The place of a weight that was added alone as panels; null if it was not.
  const ConstantPlace* FindPanels(const ir::WeightPtr& weight) const;

  uint64_t size_bytes() const { return size_bytes_; }
  /// Sends exactly size_bytes() bytes, in order.
  Status Write(BackgroundSink& sink) const;

 private:
  enum class Layout { kPlain, kPanels, kPanelBias };
  struct Entry {
    Layout layout;
    std::vector<ir::WeightPtr> weights;  ///< may hold nulls for kPanelBias
    int64_t columns;                     ///< kPanelBias
    ConstantPlace place;
  };

  const Entry* Find(const std::string& key, Layout layout,
                    const std::vector<ir::WeightPtr>& weights) const;
  ConstantPlace Append(const std::string& key, Entry entry);
  Result<WeightFormat> ChooseFormat(const std::vector<ir::WeightPtr>& weights, WeightUse use) const;
  Status WriteEntry(const Entry& entry, Packers& packers, BackgroundSink& sink) const;

  WeightStorage storage_;
  std::vector<Entry> entries_;
  std::multimap<std::string, size_t>
      index_;  ///< by description; recipes of one description may differ
  uint64_t size_bytes_ = 0;
};

}  // namespace qeff::cpu
