// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// tokenizer.model as SentencePiece writes it: a protocol buffer with the pieces and how they were
// trained. Only what encoding depends on is read; field numbers are those of
// sentencepiece_model.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

struct SentencePieceModel {
  enum class Type : uint8_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
  };
  enum class Algorithm : uint8_t { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };
  struct Piece {
    std::string text;  ///< not empty
    float score = 0;
    Type type = Type::kNormal;
  };

  /// Errors: kInvalidInput with the offset if `bytes` are no such message, are cut short or
  /// contradict themselves; `path` names them.
  static Result<SentencePieceModel> Parse(std::string_view bytes, std::string_view path);

  std::vector<Piece> pieces;  ///< by id
  int64_t unknown_id = 0;     ///< of the piece of type kUnknown
  Algorithm algorithm = Algorithm::kUnigram;
  bool has_byte_fallback = false;
  bool treats_space_as_suffix = false;
  std::string unknown_surface = " \xE2\x81\x87 ";  ///< what an unknown piece decodes to
  std::string precompiled_map;                     ///< may be empty
  bool adds_dummy_prefix = true;                   ///< a blank in front of the text
  bool removes_extra_spaces = true;
  bool escapes_spaces = true;
};

}  // namespace qeff
