// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What generation sees of a compiled model, whatever the backend: specializations (prefill, decode,
// ...), named buffers with fixed sizes, and run. Retained state (an input `X` paired with an output
// `X_RetainedState`) lives inside the session, is updated in place by Run, is shared by all
// specializations, and is listed apart from inputs and outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/dtype.h"
#include "lib/support/status.h"

namespace qeff {

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;  ///< all fixed
};

/// One way the program can be called: every symbol has a number.
struct SpecializationInfo {
  std::string name;  ///< "Prefill", "Decode", "Embedding_0", ...
  std::map<std::string, int64_t>
      symbols;                      ///< e.g. {"batch_size": 1, "ctx_len": 128, "seq_len": 32}
  std::vector<TensorInfo> inputs;   ///< without retained state
  std::vector<TensorInfo> outputs;  ///< without retained state
};

/// One loaded program with its buffers. One thread at a time; several sessions may run at once.
class Session {
 public:
  virtual ~Session() = default;

  virtual const std::vector<SpecializationInfo>& specializations() const = 0;
  /// Names and shapes of the retained state inputs, in graph order; dims of the first
  /// specialization.
  virtual const std::vector<TensorInfo>& retained_state() const = 0;

  /// Returns the buffer of an input, to be filled before Run; row-major, of the input's dims and
  /// dtype. Empty if the specialization has no such input. Valid while the session lives; what is
  /// in it stays there over runs.
  virtual std::span<std::byte> Input(size_t specialization, std::string_view name) = 0;
  /// Returns the buffer of an output, valid until the next Run. Empty if there is no such output.
  virtual std::span<const std::byte> Output(size_t specialization, std::string_view name) const = 0;

  /// Runs one specialization. Tokens at position -1 change no state; outputs that belong to them
  /// may hold NaN. Errors: kBackend (device), kInvalidInput (an index input out of range, e.g. a
  /// token id not below the vocabulary size).
  virtual Status Run(size_t specialization) = 0;

  /// Sets all retained state to zero, as before the first run.
  virtual Status ResetState() = 0;
  /// Returns retained state `name` as f32 in the shape that retained_state() lists (for tests and
  /// debugging: it may convert).
  virtual Result<std::vector<float>> ReadState(std::string_view name) const = 0;
};

}  // namespace qeff
