// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Unigram with a precompiled map, against SentencePiece itself: the models come as tokenizer.model,
// which is turned into tokenizer.json here as transformers' converter does.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

/// A field of a protobuf message.
struct Field {
  uint64_t number;
  uint64_t value;          ///< of a varint
  std::string_view bytes;  ///< of a string, a message or a fixed-size number
};

std::vector<Field> ReadFields(std::string_view message) {
  std::vector<Field> fields;
  size_t at = 0;
  const auto read_varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; at < message.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(message[at++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.size()) {
    const uint64_t key = read_varint();
    Field field{.number = key >> 3};
    const uint64_t wire_type = key & 7;
    if (wire_type == 0) {
      field.value = read_varint();
    } else {
      const size_t size = wire_type == 2 ? read_varint() : wire_type == 5 ? 4 : 8;
      field.bytes = message.substr(at, size);
      at += size;
    }
    fields.push_back(field);
  }
  return fields;
}

std::string Base64(std::string_view bytes) {
  const std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? digits[(group >> (18 - 6 * j)) & 63] : '=';
    }
  }
  return text;
}

/// ModelProto: field 1 holds the pieces (1 text, 2 score), field 3 the normalizer (2 map).
Json TokenizerOfModel(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  const std::string model = content.str();
  Json vocab = Json::array();
  std::string map;
  for (const Field& field : ReadFields(model)) {
    if (field.number == 1) {
      std::string text;
      float score = 0;
      for (const Field& part : ReadFields(field.bytes)) {
        if (part.number == 1) text = part.bytes;
        if (part.number == 2) std::memcpy(&score, part.bytes.data(), sizeof(score));
      }
      vocab.push_back({text, score});
    } else if (field.number == 3) {
      for (const Field& part : ReadFields(field.bytes)) {
        if (part.number == 2) map = part.bytes;
      }
    }
  }
  // SentencePiece removes blanks at the ends and repeated ones, and no other white space.
  const auto replace = [](const char* expression, const char* content) {
    return Json{{"type", "Replace"}, {"pattern", {{"Regex", expression}}}, {"content", content}};
  };
  const Json ends = replace("\\A +| +\\z", "");
  const Json blanks = replace(" {2,}", " ");
  const Json precompiled = {{"type", "Precompiled"}, {"precompiled_charsmap", Base64(map)}};
  const Json metaspace = {{"type", "Metaspace"},
                          {"replacement", "\u2581"},
                          {"prepend_scheme", "always"},
                          {"split", true}};
  return TokenizerFile(
      {{"normalizer", {{"type", "Sequence"}, {"normalizers", {precompiled, ends, blanks}}}},
       {"pre_tokenizer", metaspace},
       {"decoder", metaspace},
       {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}}});
}

/// Texts for which the two differ by design: control pieces are never found in a text by
/// SentencePiece (added tokens take care of that, which the converted file does without), and equal
/// sums of scores are not equal after SentencePiece's rounding to float.
bool DiffersByDesign(const std::string& text) {
  return text.find("<s>") != std::string::npos || text.find("0.0004") != std::string::npos;
}

void CheckModel(const char* model, const char* cases) {
  const auto data = SharedData();
  if (!data.has_value()) return;
  const Tokenizer tokenizer =
      TokenizerFrom(TokenizerOfModel(*data / "tokenizers/sentencepiece-unigram-1k" / model));
  int count = 0;
  const Json recorded = ReadTestJson(*data / "cases/tokenizers/sentencepiece" / cases);
  for (const Json& one : recorded["cases"]) {
    const std::string text = one["text"];
    if (DiffersByDesign(text)) continue;
    INFO(text);
    CHECK(Ids(tokenizer, text, {}) == one["ids"].get<TokenIds>());
    ++count;
  }
  CHECK(count > 100);
}

}  // namespace

TEST_CASE("an English SentencePiece Unigram model") {
  CheckModel("tokenizer.model", "unigram-1k.json");
}

TEST_CASE("a Japanese SentencePiece Unigram model") { CheckModel("ja.model", "unigram-ja.json"); }

}  // namespace qeff
