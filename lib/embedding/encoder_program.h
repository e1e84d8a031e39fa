// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A compiled encoder, embedding model or classifier as its users see it: rows of tokens go in, a
// row of numbers for each comes out. Hides buffers, padding and types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/embedding/batch_plan.h"
#include "lib/generation/session.h"
#include "lib/support/status.h"
#include "lib/tokenizer/encoding.h"

namespace qeff {

/// What the program's output holds for each text.
enum class EncoderOutput {
  kEmbedding,    ///< `output` [B, D]: one vector
  kTokenStates,  ///< `output` [B, T, D]: one vector for each token
  kClassLogits,  ///< `logits` [B, L]: one number for each label
  kTokenLogits,  ///< `logits` [B, T, L]: for each token
};

class EncoderProgram {
 public:
  /// Reads the shapes of the specializations of `session`, which must outlive the program. `pad_id`
  /// fills `input_ids` where there is no token. Errors: kUnsupported if the program is none of the
  /// above, e.g. one that generates text; kInvalidInput if the specializations contradict each
  /// other.
  static Result<EncoderProgram> Open(Session& session, int64_t pad_id);

  EncoderOutput output() const { return output_; }
  int64_t features() const { return features_; }  ///< D or L
  /// Ascending by tokens.
  const std::vector<BatchShape>& shapes() const { return shapes_; }
  int64_t max_tokens() const { return shapes_.back().tokens; }

  /// Runs `rows`, at most as many as the shape has, none of them empty or longer than its tokens.
  /// Errors: those of Session::Run.
  Status Run(size_t shape, std::span<const Encoding* const> rows);

  /// Returns what the last run gave for `rows[index]`: f32 [D], [T, D], [L] or [T, L], T the tokens
  /// of the shape. Valid until the next call.
  std::span<const float> Row(size_t index);

 private:
  EncoderProgram(Session& session, int64_t pad_id) : session_(&session), pad_id_(pad_id) {}
  Status AddSpecialization(size_t index);
  Status ReadOutput(const SpecializationInfo& info, const BatchShape& shape);

  Session* session_;
  int64_t pad_id_;
  EncoderOutput output_ = EncoderOutput::kEmbedding;
  int64_t features_ = 0;
  std::string output_name_;
  std::vector<BatchShape> shapes_;
  std::vector<size_t> specializations_;  ///< of shapes_
  size_t last_shape_ = 0;
  std::vector<float> converted_;  ///< one row, if the output is not f32
};

}  // namespace qeff
