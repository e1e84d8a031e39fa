// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/constant_pool.h"

#include <algorithm>

#include "backends/cpu/plan/weight_blocks.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/thread_pool.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kPlainBlockBytes = int64_t{8} << 20;

std::string Describe(const std::vector<ir::WeightPtr>& weights) {
  std::string key;
  for (const ir::WeightPtr& weight : weights) {
    key += weight == nullptr ? "none;" : ir::DescribeWeight(*weight) + ";";
  }
  return key;
}

bool SameWeights(const std::vector<ir::WeightPtr>& a, const std::vector<ir::WeightPtr>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] == nullptr || b[i] == nullptr || !ir::SameRecipe(*a[i], *b[i])) return false;
  }
  return true;
}

ir::WeightPtr WithStoredDType(const ir::WeightPtr& weight) {
  return IsFloat(weight->dtype()) ? ir::Converted(weight, DType::kF32) : weight;
}

Status WritePlain(const ir::Weight& weight, const ByteSink& sink) {
  const int64_t total_bytes = weight.size_bytes();
  if (total_bytes == 0) return Status::Ok();
  const int64_t rows = weight.dims().empty() ? 1 : weight.dims()[0];
  const int64_t row_bytes = total_bytes / rows;
  const int64_t step = std::max<int64_t>(1, kPlainBlockBytes / row_bytes);
  std::vector<std::byte> block;
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    block.resize(static_cast<size_t>((end - begin) * row_bytes));
    QEFF_RETURN_IF_ERROR(ir::ReadWeightRows(weight, {begin, end}, block));
    QEFF_RETURN_IF_ERROR(sink(block));
  }
  return Status::Ok();
}

Status WritePanels(const std::vector<ir::WeightPtr>& weights, WeightFormat format,
                   ThreadPool& threads, const ByteSink& sink) {
  const MatrixStack stack = StackOf(*weights[0]);
  const int64_t panel_bytes = PanelBytes(format, stack.depth);
  const auto kinds = static_cast<int64_t>(weights.size());
  const int64_t panels = PanelCount(stack.rows);
  const int64_t step = PanelsPerBlock(stack.depth);
  const DType row_dtype = PanelRowDType(format);
  const int64_t rows_bytes = DTypeBytes(row_dtype, kPanelColumns * stack.depth);
  std::vector<std::byte> rows;
  std::vector<std::byte> out;
  for (int64_t matrix = 0; matrix < stack.count; ++matrix) {
    for (int64_t begin = 0; begin < panels; begin += step) {
      const int64_t count = std::min(step, panels - begin);
      out.resize(static_cast<size_t>(count * kinds * panel_bytes));
      for (int64_t kind = 0; kind < kinds; ++kind) {
        const RowBlock block = {matrix, begin * kPanelColumns, count * kPanelColumns};
        QEFF_RETURN_IF_ERROR(ReadRows(weights[kind], block, row_dtype, rows));
        threads.Run([&](int thread) {
          for (int64_t panel = thread; panel < count; panel += threads.thread_count()) {
            LayOutPanel(rows.data() + panel * rows_bytes, stack.depth, format,
                        out.data() + (panel * kinds + kind) * panel_bytes);
          }
        });
      }
      QEFF_RETURN_IF_ERROR(sink(out));
    }
    for (const ir::WeightPtr& weight : weights) ir::ReleasePages(*weight);
  }
  return Status::Ok();
}

/// Of biases [N] or [X, N]: X.
int64_t BiasStackCount(const std::vector<ir::WeightPtr>& biases) {
  for (const ir::WeightPtr& bias : biases) {
    if (bias != nullptr) return bias->dims().size() == 2 ? bias->dims()[0] : 1;
  }
  return 1;
}

Status WritePanelBias(const std::vector<ir::WeightPtr>& biases, int64_t columns,
                      const ByteSink& sink) {
  const int64_t panels = PanelCount(columns);
  const auto kinds = static_cast<int64_t>(biases.size());
  const int64_t matrices = BiasStackCount(biases);
  std::vector<float> out(static_cast<size_t>(matrices * panels * kinds * kPanelColumns), 0.0f);
  for (int64_t kind = 0; kind < kinds; ++kind) {
    if (biases[kind] == nullptr) continue;
    QEFF_ASSIGN_OR_RETURN(const std::vector<float> values, ir::ReadFloats(*biases[kind]));
    for (int64_t matrix = 0; matrix < matrices; ++matrix) {
      for (int64_t i = 0; i < columns; ++i) {
        const int64_t panel = (matrix * panels + i / kPanelColumns) * kinds + kind;
        out[panel * kPanelColumns + i % kPanelColumns] = values[matrix * columns + i];
      }
    }
  }
  return sink(std::as_bytes(std::span(out)));
}

}  // namespace

const ConstantPool::Entry* ConstantPool::Find(const std::string& key, Layout layout,
                                              const std::vector<ir::WeightPtr>& weights) const {
  const auto [begin, end] = index_.equal_range(key);
  for (auto it = begin; it != end; ++it) {
    const Entry& entry = entries_[it->second];
    if (entry.layout == layout && SameWeights(entry.weights, weights)) return &entry;
  }
  return nullptr;
}

ConstantPlace ConstantPool::Append(const std::string& key, Entry entry) {
  entry.place.offset_bytes = size_bytes_;
  size_bytes_ +=
      (entry.place.size_bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
  index_.emplace(key, entries_.size());
  entries_.push_back(std::move(entry));
  return entries_.back().place;
}

Result<ConstantPlace> ConstantPool::AddPlain(const ir::WeightPtr& weight) {
  const ir::WeightPtr stored = WithStoredDType(weight);
  const std::string key = Describe({stored});
  if (const Entry* found = Find(key, Layout::kPlain, {stored})) return found->place;
  return Append(key,
                {Layout::kPlain, {stored}, 0, {0, static_cast<uint64_t>(stored->size_bytes())}});
}

Result<WeightFormat> ConstantPool::ChooseFormat(const std::vector<ir::WeightPtr>& weights,
                                                WeightUse use) const {
  if (storage_ == WeightStorage::kF32) return WeightFormat::kF32;
  if (storage_ == WeightStorage::kBf16) return WeightFormat::kBf16;
  if (storage_ == WeightStorage::kF16) return WeightFormat::kF16;
  if (storage_ != WeightStorage::kAuto && use != WeightUse::kRouter) {
    if (storage_ == WeightStorage::kMxfp6) return WeightFormat::kMxfp6;
    const bool is_int4 = storage_ == WeightStorage::kInt4 && use != WeightUse::kHead;
    return is_int4 ? WeightFormat::kInt4 : WeightFormat::kInt8;
  }
  if (std::all_of(weights.begin(), weights.end(), IsStoredAsF16)) return WeightFormat::kF16;
  for (const ir::WeightPtr& weight : weights) {
    QEFF_ASSIGN_OR_RETURN(const bool is_exact, IsExactlyBf16(weight));
    if (!is_exact) return WeightFormat::kF32;
  }
  return WeightFormat::kBf16;
}

Result<ConstantPlace> ConstantPool::AddPanels(const std::vector<ir::WeightPtr>& weights,
                                              WeightUse use) {
  const std::string key = Describe(weights);
  if (const Entry* found = Find(key, Layout::kPanels, weights)) return found->place;
  QEFF_ASSIGN_OR_RETURN(const WeightFormat format, ChooseFormat(weights, use));
  const MatrixStack stack = StackOf(*weights[0]);
  const int64_t size_bytes = stack.count * PanelCount(stack.rows) *
                             PanelBytes(format, stack.depth) * static_cast<int64_t>(weights.size());
  return Append(key, {Layout::kPanels, weights, 0, {0, static_cast<uint64_t>(size_bytes), format}});
}

Result<ConstantPlace> ConstantPool::AddPanelBias(const std::vector<ir::WeightPtr>& biases,
                                                 int64_t columns) {
  const std::string key = Describe(biases);
  if (const Entry* found = Find(key, Layout::kPanelBias, biases)) return found->place;
  const int64_t size_bytes = BiasStackCount(biases) * PanelCount(columns) * kPanelColumns * 4 *
                             static_cast<int64_t>(biases.size());
  return Append(key, {Layout::kPanelBias, biases, columns, {0, static_cast<uint64_t>(size_bytes)}});
}

const ConstantPlace* ConstantPool::FindPanels(const ir::WeightPtr& weight) const {
  const Entry* found = Find(Describe({weight}), Layout::kPanels, {weight});
  return found == nullptr ? nullptr : &found->place;
}

Status ConstantPool::WriteEntry(const Entry& entry, ThreadPool& threads,
                                const ByteSink& sink) const {
  switch (entry.layout) {
    case Layout::kPlain:
      return WritePlain(*entry.weights[0], sink);
    case Layout::kPanels:
      return WritePanels(entry.weights, entry.place.format, threads, sink);
    case Layout::kPanelBias:
      return WritePanelBias(entry.weights, entry.columns, sink);
  }
  return Status::Ok();
}

Status ConstantPool::Write(const ByteSink& sink) const {
  ThreadPool threads(UsableProcessors());
  for (const Entry& entry : entries_) {
    QEFF_RETURN_IF_ERROR(WriteEntry(entry, threads, sink));
    const std::vector<std::byte> padding(
        (kBufferAlignment - entry.place.size_bytes % kBufferAlignment) % kBufferAlignment);
    QEFF_RETURN_IF_ERROR(sink(padding));
    for (const ir::WeightPtr& weight : entry.weights) {
      if (weight != nullptr) ir::ReleasePages(*weight);
    }
  }
  return Status::Ok();
}

}  // namespace qeff::cpu
