// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A place in a tokenizer's JSON file, for the factories of its components: typed reading whose
// errors name the file and the path inside it ("pre_tokenizer.pretokenizers[1].behavior"). Keeps
// the JSON library out of all components; only the converters of legacy_files.h write JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

/// Copies are cheap. Valid as long as the ConfigDocument it comes from.
class ConfigNode {
 public:
  bool is_absent() const;  ///< not there, or null
  bool is_string() const;
  bool is_object() const;
  bool is_array() const;
  const std::string& path() const { return path_; }
  const std::string& file() const { return *file_; }

  /// Returns the member; an absent node if this is no object or has no such member.
  ConfigNode Member(std::string_view key) const;
  /// Returns the elements of an array, or nothing if absent. Errors: kInvalidInput.
  Result<std::vector<ConfigNode>> Elements() const;
  /// Returns the keys and members of an object. Errors: kInvalidInput.
  Result<std::vector<std::pair<std::string, ConfigNode>>> Members() const;

  /// The value, which must be there and of the type. Errors: kInvalidInput.
  Result<std::string> String() const;
  Result<int64_t> Integer(int64_t minimum, int64_t maximum) const;
  /// The value, or `value` if absent. Errors: kInvalidInput if it is of another type.
  Result<std::string> StringOr(std::string_view value) const;
  Result<bool> BooleanOr(bool value) const;
  Result<int64_t> IntegerOr(int64_t minimum, int64_t maximum, int64_t value) const;
  /// A string of exactly one character. Errors: kInvalidInput.
  Result<std::string> CharacterOr(std::string_view value) const;

  /// {"token": id, ...}; the views live as long as the document. Errors: kInvalidInput.
  Result<std::vector<std::pair<std::string_view, int64_t>>> TokenIds() const;
  /// [["token", score], ...]. Errors: kInvalidInput.
  Result<std::vector<std::pair<std::string_view, double>>> TokenScores() const;
  /// One merge of a BPE model: ["left", "right"], or a line "left right" in `line`.
  struct Merge {
    std::string_view left;
    std::string_view right;
    std::string_view line;  ///< empty if left and right are given; else holds a blank
  };
  /// The merges in order; a first line "#version..." is left out. Errors: kInvalidInput.
  Result<std::vector<Merge>> Merges() const;

  /// An error at this place: "'path': " + message.
  Status Invalid(std::string_view message, std::vector<std::string> notes = {}) const;
  /// "expected `expected`, got ..." with the JSON type, or the short value, of this node.
  Status Expected(std::string_view expected) const;
  /// The error for a component that is not implemented; `kind` e.g. "normalizer".
  Status UnknownType(std::string_view kind, std::string_view type,
                     const std::vector<std::string>& known) const;

 private:
  friend class ConfigDocument;
  ConfigNode(const std::string* file, std::string path, const void* json)
      : file_(file), path_(std::move(path)), json_(json) {}

  const std::string* file_;
  std::string path_;
  const void* json_;  ///< a Json, or null if not there; opaque to keep json.h out of this header
};

/// A parsed file; without one, an absent node.
class ConfigDocument {
 public:
  ConfigDocument() = default;
  /// Errors: kInvalidInput with line and column; `path` names the text.
  static Result<ConfigDocument> Parse(std::string_view text, std::string_view path);
  /// Takes a file that was put together: `json` is a Json, `path` the file it was made from.
  static ConfigDocument Wrap(std::shared_ptr<const void> json, std::string_view path);
  ConfigNode root() const;

 private:
  std::unique_ptr<std::string> path_ = std::make_unique<std::string>();
  std::shared_ptr<const void> json_;
};

}  // namespace qeff
