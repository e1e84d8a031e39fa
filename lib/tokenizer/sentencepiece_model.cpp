// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/sentencepiece_model.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "lib/support/byte_reader.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

using Piece = SentencePieceModel::Piece;
using Type = SentencePieceModel::Type;

/// A field of a protocol buffer: a number, or bytes.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;
  std::string_view bytes;
  int64_t offset = 0;  ///< of the content, in the file
};

class MessageReader {
 public:
  MessageReader(std::string_view message, std::string_view path, int64_t offset_bytes)
      : reader_(std::as_bytes(std::span(message)), path, offset_bytes), path_(path) {}

  bool at_end() const { return reader_.remaining_bytes() == 0; }

  Result<Field> Next() {
    Field field;
    const Location start = reader_.where();
    QEFF_ASSIGN_OR_RETURN(const uint64_t key, Varint());
    field.number = key >> 3;
    uint64_t size_bytes = 0;
    switch (key & 7) {
      case 0: {
        QEFF_ASSIGN_OR_RETURN(field.value, Varint());
        return field;
      }
      case 1:
        size_bytes = 8;
        break;
      case 2: {
        QEFF_ASSIGN_OR_RETURN(size_bytes, Varint());
        break;
      }
      case 5:
        size_bytes = 4;
        break;
      default:
        return InvalidInput(start, "expected a field of a SentencePiece model, got other bytes",
                            {"the file is damaged or of another kind: fetch it again"});
    }
    field.offset = reader_.where().byte_offset;
    QEFF_ASSIGN_OR_RETURN(const auto bytes, reader_.ReadBytes(size_bytes, "a field"));
    field.bytes = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return field;
  }

 private:
  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      QEFF_ASSIGN_OR_RETURN(const uint8_t byte, reader_.Read<uint8_t>("a number"));
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return InvalidInput(reader_.where(), "expected a number of at most 64 bits");
  }

  ByteReader reader_;
  std::string path_;
};

/// Calls take(field) for each field of a message.
template <typename Take>
Status ReadMessage(std::string_view message, std::string_view path, int64_t offset, Take take) {
  MessageReader reader(message, path, offset);
  while (!reader.at_end()) {
    QEFF_ASSIGN_OR_RETURN(const Field field, reader.Next());
    QEFF_RETURN_IF_ERROR(take(field));
  }
  return Status::Ok();
}

Result<std::string> Text(const Field& field, std::string_view path) {
  if (FindInvalidUtf8(field.bytes).has_value()) {
    return InvalidInput(Location::Byte(path, field.offset), "expected UTF-8");
  }
  return std::string(field.bytes);
}

Result<Piece> ReadPiece(const Field& message, std::string_view path) {
  Piece piece;
  QEFF_RETURN_IF_ERROR(
      ReadMessage(message.bytes, path, message.offset, [&](const Field& field) -> Status {
        if (field.number == 1) {
          QEFF_ASSIGN_OR_RETURN(piece.text, Text(field, path));
        } else if (field.number == 2 && field.bytes.size() == sizeof(float)) {
          std::memcpy(&piece.score, field.bytes.data(), sizeof(float));
        } else if (field.number == 3) {
          if (field.value < 1 || field.value > 6) {
            return InvalidInput(
                Location::Byte(path, message.offset),
                fmt::format("expected a type of piece from 1 to 6, got {}", field.value));
          }
          piece.type = static_cast<Type>(field.value);
        }
        return Status::Ok();
      }));
  if (piece.text.empty() || !(piece.score - piece.score == 0)) {
    return InvalidInput(Location::Byte(path, message.offset),
                        "expected a piece with a text and a finite score");
  }
  return piece;
}

Status ReadTrainer(const Field& message, std::string_view path, SentencePieceModel& model) {
  return ReadMessage(message.bytes, path, message.offset, [&](const Field& field) -> Status {
    if (field.number == 3) {
      if (field.value < 1 || field.value > 4) {
        return InvalidInput(Location::Byte(path, message.offset),
                            fmt::format("expected a model type from 1 to 4, got {}", field.value));
      }
      model.algorithm = static_cast<SentencePieceModel::Algorithm>(field.value);
    } else if (field.number == 24) {
      model.treats_space_as_suffix = field.value != 0;
    } else if (field.number == 35) {
      model.has_byte_fallback = field.value != 0;
    } else if (field.number == 44) {
      QEFF_ASSIGN_OR_RETURN(model.unknown_surface, Text(field, path));
    }
    return Status::Ok();
  });
}

Status ReadNormalizer(const Field& message, std::string_view path, SentencePieceModel& model) {
  return ReadMessage(message.bytes, path, message.offset, [&](const Field& field) -> Status {
    if (field.number == 2) model.precompiled_map = field.bytes;
    if (field.number == 3) model.adds_dummy_prefix = field.value != 0;
    if (field.number == 4) model.removes_extra_spaces = field.value != 0;
    if (field.number == 5) model.escapes_spaces = field.value != 0;
    return Status::Ok();
  });
}

/// Finds the unknown piece and checks that no piece is there twice.
Status CheckPieces(std::string_view path, SentencePieceModel& model) {
  const auto unknown = std::ranges::find(model.pieces, Type::kUnknown, &Piece::type);
  if (unknown == model.pieces.end()) {
    return InvalidInput(Location::File(path),
                        "expected a SentencePiece model with pieces and an "
                        "unknown one among them");
  }
  model.unknown_id = unknown - model.pieces.begin();
  std::unordered_set<std::string_view> texts;
  for (const Piece& piece : model.pieces) {
    if (!texts.insert(piece.text).second) {
      return InvalidInput(
          Location::File(path),
          fmt::format("expected pieces without repetition, got '{}' twice", piece.text));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<SentencePieceModel> SentencePieceModel::Parse(std::string_view bytes,
                                                     std::string_view path) {
  SentencePieceModel model;
  QEFF_RETURN_IF_ERROR(ReadMessage(bytes, path, 0, [&](const Field& field) -> Status {
    if (field.number == 1) {
      QEFF_ASSIGN_OR_RETURN(Piece piece, ReadPiece(field, path));
      model.pieces.push_back(std::move(piece));
    } else if (field.number == 2) {
      return ReadTrainer(field, path, model);
    } else if (field.number == 3) {
      return ReadNormalizer(field, path, model);
    }
    return Status::Ok();
  }));
  QEFF_RETURN_IF_ERROR(CheckPieces(path, model));
  return model;
}

}  // namespace qeff
