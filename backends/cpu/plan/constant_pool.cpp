// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/constant_pool.h"

#include <algorithm>
#include <optional>
#include <span>

#include "backends/cpu/plan/background_sink.h"
#include "backends/cpu/plan/weight_blocks.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/thread_pool.h"

namespace qeff::cpu {

/// Threads that pack, and what each of them has for itself.
struct Packers {
  explicit Packers(int count)
      : threads(count), scratch(static_cast<size_t>(count)), failures(static_cast<size_t>(count)) {}

  /// Calls work(thread, part) for about equal parts of [0, count), at the same time. Errors: those
  /// of `work`.
  template <typename Work>
  Status RunParts(int64_t count, const Work& work) {
    const int64_t parts = threads.thread_count();
    threads.Run([&](int thread) {
      const ir::Range part = {count * thread / parts, count * (thread + 1) / parts};
      if (part.begin == part.end) return;
      const Status status = work(thread, part);
      if (!status.ok()) failures[thread] = status.diagnostic();
    });
    for (const std::optional<Diagnostic>& failure : failures) {
      if (failure) return Status(*failure);
    }
    return Status::Ok();
  }

  ThreadPool threads;
  std::vector<std::vector<std::byte>> scratch;
  std::vector<std::optional<Diagnostic>> failures;
};

namespace {

constexpr int64_t kPlainBlockBytes = int64_t{4} << 20;

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

Status WritePlain(const ir::Weight& weight, Packers& packers, BackgroundSink& sink) {
  const int64_t total_bytes = weight.size_bytes();
  if (total_bytes == 0) return Status::Ok();
  const int64_t rows = weight.dims().empty() ? 1 : weight.dims()[0];
  const int64_t row_bytes = total_bytes / rows;
  const int64_t step = std::max<int64_t>(1, kPlainBlockBytes / row_bytes);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t count = std::min(step, rows - begin);
    QEFF_ASSIGN_OR_RETURN(const std::span<std::byte> out,
                          sink.Next(static_cast<size_t>(count * row_bytes)));
    QEFF_RETURN_IF_ERROR(packers.RunParts(count, [&](int, ir::Range part) {
      return ir::ReadWeightRows(
          weight, {begin + part.begin, begin + part.end},
          out.subspan(static_cast<size_t>(part.begin * row_bytes),
                      static_cast<size_t>((part.end - part.begin) * row_bytes)));
    }));
  }
  return Status::Ok();
}

/// Packs the panels of all kinds, interleaved, to `out`.
Status PackBlock(const std::vector<ir::WeightPtr>& weights, const PanelBlock& block,
                 WeightFormat format, Packers& packers, std::byte* out) {
  const int64_t panel_bytes = PanelBytes(format, StackOf(*weights[0]).depth);
  const auto kinds = static_cast<int64_t>(weights.size());
  return packers.RunParts(block.count, [&](int thread, ir::Range part) -> Status {
    const PanelBlock share = {block.matrix, block.first + part.begin, part.end - part.begin};
    for (int64_t kind = 0; kind < kinds; ++kind) {
      QEFF_RETURN_IF_ERROR(PackPanels(weights[kind], share, format, packers.scratch[thread],
                                      out + (part.begin * kinds + kind) * panel_bytes,
                                      kinds * panel_bytes));
    }
    return Status::Ok();
  });
}

Status WritePanels(const std::vector<ir::WeightPtr>& weights, WeightFormat format, Packers& packers,
                   BackgroundSink& sink) {
  const MatrixStack stack = StackOf(*weights[0]);
  const int64_t block_panel_bytes =
      PanelBytes(format, stack.depth) * static_cast<int64_t>(weights.size());
  const int64_t panels = PanelCount(stack.rows);
  const int64_t step = PanelsPerBlock(stack.depth);
  for (int64_t matrix = 0; matrix < stack.count; ++matrix) {
    for (int64_t begin = 0; begin < panels; begin += step) {
      const PanelBlock block = {matrix, begin, std::min(step, panels - begin)};
      QEFF_ASSIGN_OR_RETURN(const std::span<std::byte> out,
                            sink.Next(static_cast<size_t>(block.count * block_panel_bytes)));
      QEFF_RETURN_IF_ERROR(PackBlock(weights, block, format, packers, out.data()));
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
                      BackgroundSink& sink) {
  const int64_t panels = PanelCount(columns);
  const auto kinds = static_cast<int64_t>(biases.size());
  const int64_t matrices = BiasStackCount(biases);
  const int64_t count = matrices * panels * kinds * kPanelColumns;
  QEFF_ASSIGN_OR_RETURN(const std::span<std::byte> place,
                        sink.Next(static_cast<size_t>(count * 4)));
  auto* out = reinterpret_cast<float*>(place.data());
  std::fill_n(out, count, 0.0f);
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
  return Status::Ok();
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

Status ConstantPool::WriteEntry(const Entry& entry, Packers& packers, BackgroundSink& sink) const {
  switch (entry.layout) {
    case Layout::kPlain:
      return WritePlain(*entry.weights[0], packers, sink);
    case Layout::kPanels:
      return WritePanels(entry.weights, entry.place.format, packers, sink);
    case Layout::kPanelBias:
      return WritePanelBias(entry.weights, entry.columns, sink);
  }
  return Status::Ok();
}

Status ConstantPool::Write(BackgroundSink& sink) const {
  Packers packers(UsableProcessors());
  for (const Entry& entry : entries_) {
    QEFF_RETURN_IF_ERROR(WriteEntry(entry, packers, sink));
    QEFF_RETURN_IF_ERROR(sink.AppendZeros(
        (kBufferAlignment - entry.place.size_bytes % kBufferAlignment) % kBufferAlignment));
    for (const ir::WeightPtr& weight : entry.weights) {
      if (weight != nullptr) ir::ReleasePages(*weight);
    }
  }
  return Status::Ok();
}

}  // namespace qeff::cpu
