// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/safetensors_header.h"

#include <unordered_set>

#include "lib/support/json.h"

namespace qeff::checkpoint {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

/// Follows the parser's events through the only structure that a header may have:
///   { "<tensor>": {"dtype": s, "shape": [n...], "data_offsets": [n, n]}, "__metadata__": {s: s} }
class HeaderBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderBuilder(Header& header) : header_(header) {}

  bool null() override { return WrongValue("null"); }
  bool boolean(bool) override { return WrongValue("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override {
    return WrongValue(fmt::format("the number {}", text));
  }
  bool binary(binary_t&) override { return WrongValue("binary data"); }
  bool number_integer(number_integer_t value) override {
    return WrongValue(fmt::format("the negative number {}", value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (state_ != State::kShape && state_ != State::kOffsets) {
      return WrongValue(fmt::format("the number {}", value));
    }
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) {
      return Fail(fmt::format("'{}' has the number {}, expected at most {}", FieldName(), value,
                              INT64_MAX));
    }
    return AddNumber(static_cast<int64_t>(value));
  }
  bool string(string_t& value) override {
    if (state_ == State::kMetadataValue) {
      header_.metadata.emplace_back(std::move(key_), std::move(value));
      state_ = State::kMetadata;
      return true;
    }
    if (state_ != State::kDType) return WrongValue("a string");
    header_.entries.back().dtype = std::move(value);
    state_ = State::kTensor;
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::kStart) {
      state_ = State::kTop;
      return true;
    }
    if (state_ == State::kTensorValue) {
      seen_ = 0;
      state_ = State::kTensor;
      return true;
    }
    if (state_ == State::kMetadataObject) {
      state_ = State::kMetadata;
      return true;
    }
    return WrongValue("an object");
  }
  bool end_object() override {
    if (state_ == State::kTensor && seen_ != (kSeenDType | kSeenShape | kSeenOffsets)) {
      const std::string_view missing = (seen_ & kSeenDType) == 0   ? "dtype"
                                       : (seen_ & kSeenShape) == 0 ? "shape"
                                                                   : "data_offsets";
      return Fail(fmt::format("key '{}' is missing", missing));
    }
    state_ = state_ == State::kTop ? State::kEnd : State::kTop;
    return true;
  }
  bool start_array(std::size_t) override {
    if (state_ == State::kShapeArray) {
      state_ = State::kShape;
      return true;
    }
    if (state_ == State::kOffsetsArray) {
      offset_count_ = 0;
      state_ = State::kOffsets;
      return true;
    }
    return WrongValue("an array");
  }
  bool end_array() override {
    if (state_ == State::kOffsets && offset_count_ != 2) {
      return Fail(fmt::format("'data_offsets' has {} numbers, expected 2", offset_count_));
    }
    state_ = State::kTensor;
    return true;
  }

  bool key(string_t& name) override {
    if (state_ == State::kTop) return TopKey(name);
    if (state_ == State::kMetadata) {
      if (!metadata_keys_.insert(name).second) {
        return Fail(fmt::format("key '{}' appears twice in '{}'", name, kMetadataKey));
      }
      key_ = std::move(name);
      state_ = State::kMetadataValue;
      return true;
    }
    return TensorKey(name);
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    error_byte = position > 0 ? static_cast<int64_t>(position) - 1 : 0;
    problem = error.what();
    if (const size_t colon = problem.rfind(": "); colon != std::string::npos) {
      problem = problem.substr(colon + 2);
    }
    problem = "header is not valid JSON: " + problem;
    return false;
  }

  bool complete() const { return state_ == State::kEnd; }
  /// The tensor that the problem is in; empty if it is in none.
  std::string tensor() const {
    const bool in_tensor = state_ >= State::kTensorValue && state_ <= State::kOffsets;
    return in_tensor ? header_.entries.back().name : "";
  }
  std::string problem;
  int64_t error_byte = -1;  // in the header's text; -1 if the parser gave none

 private:
  enum class State {
    kStart,
    kTop,
    kMetadataObject,
    kMetadata,
    kMetadataValue,
    kTensorValue,  // from here to kOffsets: inside an entry
    kTensor,
    kDType,
    kShapeArray,
    kShape,
    kOffsetsArray,
    kOffsets,
    kEnd,
  };
  static constexpr int kSeenDType = 1;
  static constexpr int kSeenShape = 2;
  static constexpr int kSeenOffsets = 4;

  bool Fail(std::string text) {
    problem = std::move(text);
    return false;
  }
  std::string_view FieldName() const {
    return state_ == State::kShape || state_ == State::kShapeArray ? "shape" : "data_offsets";
  }
  bool WrongValue(std::string_view got) {
    switch (state_) {
      case State::kStart:
        return Fail(fmt::format("header must be a JSON object, got {}", got));
      case State::kMetadataObject:
        return Fail(fmt::format("'{}' must be an object of strings, got {}", kMetadataKey, got));
      case State::kMetadataValue:
        return Fail(
            fmt::format("'{}' must hold strings only, '{}' is {}", kMetadataKey, key_, got));
      case State::kDType:
        return Fail(fmt::format("'dtype' must be a string, got {}", got));
      case State::kTensorValue:
        return Fail(fmt::format("entry must be an object, got {}", got));
      default:
        return Fail(
            fmt::format("'{}' must be an array of integers >= 0, got {}", FieldName(), got));
    }
  }
  bool AddNumber(int64_t value) {
    HeaderEntry& entry = header_.entries.back();
    if (state_ == State::kShape) {
      if (entry.shape.size() == kMaxDimensions) {
        return Fail(fmt::format("'shape' has more than {} dimensions", kMaxDimensions));
      }
      entry.shape.push_back(value);
      return true;
    }
    if (offset_count_ == 2) return Fail("'data_offsets' has more than 2 numbers");
    entry.data_offsets[offset_count_++] = value;
    return true;
  }
  bool TopKey(string_t& name) {
    if (name == kMetadataKey) {
      if (std::exchange(has_metadata_, true)) {
        return Fail(fmt::format("key '{}' appears twice", kMetadataKey));
      }
      state_ = State::kMetadataObject;
      return true;
    }
    header_.entries.push_back({.name = std::move(name)});
    state_ = State::kTensorValue;
    return true;
  }
  bool TensorKey(const string_t& name) {
    const int bit = name == "dtype"          ? kSeenDType
                    : name == "shape"        ? kSeenShape
                    : name == "data_offsets" ? kSeenOffsets
                                             : 0;
    if (bit == 0) {
      return Fail(
          fmt::format("unknown key '{}', expected 'dtype', 'shape' and 'data_offsets'", name));
    }
    if ((seen_ & bit) != 0) return Fail(fmt::format("key '{}' appears twice", name));
    seen_ |= bit;
    state_ = bit == kSeenDType   ? State::kDType
             : bit == kSeenShape ? State::kShapeArray
                                 : State::kOffsetsArray;
    return true;
  }

  Header& header_;
  State state_ = State::kStart;
  int seen_ = 0;
  size_t offset_count_ = 0;
  bool has_metadata_ = false;
  std::string key_;
  std::unordered_set<std::string> metadata_keys_;
};

}  // namespace

Result<Header> ParseHeader(std::string_view text, const std::string& path) {
  if (text.empty() || text.front() != '{') {
    return InvalidInput(Location::Byte(path, kHeaderLengthBytes), "header must start with '{'",
                        {"this is not a safetensors file, or its first bytes are damaged"});
  }
  // Only spaces may follow the object; the JSON parser would take any white space.
  const size_t last = text.find_last_not_of(' ');
  if (text[last] != '}') {
    return InvalidInput(Location::Byte(path, kHeaderLengthBytes + static_cast<int64_t>(last)),
                        "header must end with '}' and spaces",
                        {"the file is damaged: fetch or make it again"});
  }
  Header header;
  HeaderBuilder builder(header);
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return header;
  Location where = builder.error_byte >= 0
                       ? Location::Byte(path, kHeaderLengthBytes + builder.error_byte)
                       : Location::Byte(path, kHeaderLengthBytes);
  if (const std::string tensor = builder.tensor(); builder.error_byte < 0 && !tensor.empty()) {
    where = Location::Tensor(path, tensor);
  }
  return InvalidInput(std::move(where), builder.problem,
                      {"the file is damaged: fetch or make it again"});
}

}  // namespace qeff::checkpoint
