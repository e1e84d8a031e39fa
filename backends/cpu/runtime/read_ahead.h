// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A thread that waits for others lets memory bring what it reads next: the start of its share of
// the next product's weights, which no step writes. On a Xeon decoding a model of 135M parameters
// was 3 % faster by it in int8 and int4, the same in bf16.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

class ReadAhead {
 public:
  ReadAhead() = default;
  /// Of what was read from `starts` on the last time.
  explicit ReadAhead(const StreamStarts& starts)
      : starts_(starts),
        end_bytes_(starts.count == 0 ? 0 : std::min(starts.bytes, kMostBytes / starts.count)) {}
  bool is_done() const { return done_bytes_ >= end_bytes_; }
  /// Asks for a few lines of each stream.
  void Fetch() {
    constexpr int64_t kLines = 2;
    for (int64_t stream = 0; stream < starts_.count; ++stream) {
      for (int64_t line = 0; line < kLines; ++line) {
        const std::byte* from = starts_.at[stream] + done_bytes_ + line * kLineBytes;
        __builtin_prefetch(from, /*rw=*/0, /*locality=*/2);
      }
    }
    done_bytes_ += kLines * kLineBytes;
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  /// Half of a small second-level cache; 512 KiB gained no more on a Xeon with 2 MiB.
  static constexpr int64_t kMostBytes = 128 * 1024;

  StreamStarts starts_;
  int64_t end_bytes_ = 0;
  int64_t done_bytes_ = 0;
};

}  // namespace qeff::cpu
