// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Linear with so few rows that reading the weights takes longest. Several panels are read side by
// side, each fetched some lines ahead: a single run of addresses leaves the memory idle at the end
// of every small page, where the processor's own prefetching stops. Each of these streams is a run
// of neighbouring panels, so what is fetched ahead at the end of a panel is the next one.
#pragma once

#include <utility>

#include "backends/cpu/kernels/linear_body.h"

namespace qeff::cpu {
namespace {

/// Rows that streams are for.
constexpr int kStreamRows = 4;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kSumRegisters = 24;  // of 32
#else
constexpr int kSumRegisters = 12;  // of 16
#endif
constexpr int kPanelVectors = static_cast<int>(kPanelColumns) / kLanes;

/// Panels that are read side by side; 0: the sums of `rows` rows do not fit the registers.
constexpr int FloatStreamCount(int rows) {
  int streams = 4;
  while (streams > 0 && rows * streams * kPanelVectors > kSumRegisters) streams /= 2;
  return streams;
}

/// How far ahead of what is read memory is asked for: 512 and 2048 were 1 to 5 % slower on a Xeon.
constexpr int64_t kAheadBytes = 1024;
template <int kLines>
QEFF_INLINE void FetchAhead(const void* from) {
#pragma GCC unroll 16
  for (int i = 0; i < kLines; ++i) {
    __builtin_prefetch(static_cast<const char*>(from) + kAheadBytes + i * 64);
  }
}

/// Tells where streams of `count` panels each begin, if no others of the call came before.
template <int kStreams>
void ReportStarts(const LinearArgs& args, int64_t first, int64_t count, int64_t panel_bytes) {
  static_assert(kStreams <= StreamStarts::kMost);
  if (args.starts == nullptr || count == 0 || first != args.panel_begin) return;
  args.starts->count = kStreams;
  args.starts->bytes = count * panel_bytes;
  const auto* weights = static_cast<const std::byte*>(args.weights);
  for (int s = 0; s < kStreams; ++s) {
    args.starts->at[s] = weights + (first + s * count) * panel_bytes;
  }
}

template <int kRows, int kStreams>
QEFF_INLINE void StoreStreams(const Vec (&sum)[kRows][kStreams][kPanelVectors],
                              float* const* sums) {
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
#pragma GCC unroll 8
      for (int v = 0; v < kPanelVectors; ++v) {
        Store(sums[s] + r * kPanelColumns + v * kLanes, sum[r][s][v]);
      }
    }
  }
}

/// Format: Weight and Row (element types), PanelElements(k) (as stored), StreamCount(rows), and
/// Stream<kRows, kStreams>(x, w, depth, sums): all sums of kRows rows with the panel at w[s] go to
/// sums[s], [kRows][32], for each s < kStreams.
///
/// `count` panels for each stream, from panel `first` on; gated: both even.
template <typename Format, int kRows, int kStreams>
void RunStreams(const LinearArgs& args, int64_t first, int64_t count) {
  constexpr int64_t kSums = kRows * kPanelColumns;
  const auto* x = static_cast<const typename Format::Row*>(args.x);
  const auto* weights = static_cast<const typename Format::Weight*>(args.weights);
  const int64_t panel_elements = Format::PanelElements(args.depth);
  ReportStarts<kStreams>(args, first, count,
                         panel_elements * static_cast<int64_t>(sizeof(typename Format::Weight)));
  for (int64_t i = 0; i < count; ++i) {
    const typename Format::Weight* w[kStreams];
    float* sums[kStreams];
    for (int s = 0; s < kStreams; ++s) {
      w[s] = weights + (first + s * count + i) * panel_elements;
      sums[s] = args.scratch + ((i & 1) * kStreams + s) * kSums;  // gate sums stay for those of up
    }
    Format::template Stream<kRows, kStreams>(x, w, args.depth, sums);
    for (int s = 0; s < kStreams; ++s) {
      FinishTile(args, first + s * count + i, 0, kRows, sums[s], args.scratch + s * kSums);
    }
  }
}

/// The panels from `first` on: as many streams as there may be, then fewer for those that are left.
template <typename Format, int kRows, int kStreams>
void RunStreamPanels(const LinearArgs& args, int64_t first) {
  const int64_t unit = args.epilogue == LinearEpilogue::kGated ? 2 : 1;
  const int64_t count = (args.panel_end - first) / (kStreams * unit) * unit;
  RunStreams<Format, kRows, kStreams>(args, first, count);
  if constexpr (kStreams > 1) {
    RunStreamPanels<Format, kRows, kStreams / 2>(args, first + kStreams * count);
  }
}

/// Returns false if the rows are not few.
template <typename Format, int... kIndex>
bool SelectStreams(const LinearArgs& args, std::integer_sequence<int, kIndex...>) {
  const auto run = [&args]<int kRows>() {
    if constexpr (Format::StreamCount(kRows) == 0) {
      return false;
    } else {
      RunStreamPanels<Format, kRows, Format::StreamCount(kRows)>(args, args.panel_begin);
      return true;
    }
  };
  return ((args.rows == kIndex + 1 && run.template operator()<kIndex + 1>()) || ...);
}

template <typename Format>
bool RunAsStreams(const LinearArgs& args) {
  return SelectStreams<Format>(args, std::make_integer_sequence<int, kStreamRows>());
}

/// As RunLinear, with streams where the rows are few.
template <typename Format>
void RunStreamedLinear(const LinearArgs& args) {
  if (!RunAsStreams<Format>(args)) RunLinear<Format>(args);
}

}  // namespace
}  // namespace qeff::cpu
