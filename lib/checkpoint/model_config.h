// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// config.json as typed, checked values. A family reads each key that it knows through a
// ConfigReader; an error names the file and the key with its path. The reader remembers what was
// read, so that keys nobody looked at can be reported instead of being silently ignored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/dtype.h"
#include "lib/support/status.h"

namespace qeff::checkpoint {

/// Allowed values, both ends included.
struct IntRange {
  int64_t minimum = std::numeric_limits<int64_t>::min();
  int64_t maximum = std::numeric_limits<int64_t>::max();
};
/// Sizes and counts. The upper end keeps products of two of them within int64.
inline constexpr IntRange kPositive{.minimum = 1, .maximum = int64_t{1} << 31};
inline constexpr IntRange kNotNegative{.minimum = 0, .maximum = int64_t{1} << 31};

/// Allowed values: at least `minimum`, and more than `above`.
struct FloatRange {
  double minimum = -std::numeric_limits<double>::infinity();
  double above = -std::numeric_limits<double>::infinity();
};
inline constexpr FloatRange kPositiveFloat{.above = 0};

/// Reads one object of a config file. Copies and sections share one record of what was read; the
/// file's content lives as long as any of them. A key that is null counts as absent everywhere.
/// All errors are kInvalidInput and name file, key path, what was expected and what is there.
class ConfigReader {
 public:
  /// Parses a file. Errors: kIo; kInvalidInput if it is not a JSON object.
  static Result<ConfigReader> Read(const std::filesystem::path& path);
  /// Parses `text`; `path` names it in errors.
  static Result<ConfigReader> Parse(std::string_view text, std::string_view path);

  /// True if the key is there and not null. Does not count as reading it.
  bool Has(std::string_view key) const;
  /// True if the key is there, null or not. Does not count as reading it.
  bool Contains(std::string_view key) const;
  /// True if the key holds an object.
  bool IsObject(std::string_view key) const;
  /// The keys of this object, in the order of the file.
  std::vector<std::string> Keys() const;

  // A value that must be there.
  Result<int64_t> Int(std::string_view key, IntRange range = {}) const;
  Result<double> Float(std::string_view key, FloatRange range = {}) const;
  Result<bool> Bool(std::string_view key) const;
  Result<std::string> String(std::string_view key) const;
  Result<ConfigReader> Section(std::string_view key) const;

  // A value that may be absent. A number with a fraction of zero (1e6) is an integer, too.
  Result<std::optional<int64_t>> OptionalInt(std::string_view key, IntRange range = {}) const;
  Result<std::optional<double>> OptionalFloat(std::string_view key, FloatRange range = {}) const;
  Result<std::optional<bool>> OptionalBool(std::string_view key) const;
  Result<std::optional<std::string>> OptionalString(std::string_view key) const;
  Result<int64_t> IntOr(std::string_view key, int64_t fallback, IntRange range = {}) const;
  Result<double> FloatOr(std::string_view key, double fallback, FloatRange range = {}) const;
  Result<bool> BoolOr(std::string_view key, bool fallback) const;
  Result<std::string> StringOr(std::string_view key, std::string fallback) const;

  // Lists; empty if absent. A single value is a list of one (eos_token_id is written both ways).
  Result<std::vector<int64_t>> Ints(std::string_view key, IntRange range = {}) const;
  Result<std::vector<double>> Floats(std::string_view key, FloatRange range = {}) const;
  Result<std::vector<bool>> Bools(std::string_view key) const;
  Result<std::vector<std::string>> Strings(std::string_view key) const;

  /// Returns the section "text_config" of a multimodal config if there is one, else this object.
  Result<ConfigReader> TextConfig() const;

  /// Records that the caller has dealt with the key in another way.
  void MarkRead(std::string_view key) const;
  /// Paths of the keys of the whole file that were neither read nor are known to have no effect on
  /// what the model computes, in the order of the file. A section nobody opened is one path.
  std::vector<std::string> UnreadKeys() const;
  /// Adds one warning that names UnreadKeys(), if there are any.
  void ReportUnread(Diagnostics& diagnostics) const;

  /// Returns the path of a key from the top of the file, e.g. "text_config.rope_scaling.factor".
  std::string KeyPath(std::string_view key) const;
  /// Returns an error "key '<path>': <message>" of this file, for checks that only the caller can
  /// make.
  Status ErrorAt(ErrorCode code, std::string_view key, std::string_view message,
                 std::vector<std::string> notes = {}) const;
  const std::string& file() const;

 private:
  struct Document;
  ConfigReader(std::shared_ptr<Document> document, const void* object, std::string prefix);
  const void* Value(std::string_view key) const;  // null if absent or null; counts as read
  Status WrongType(std::string_view key, std::string_view expected, const void* value) const;
  Status Missing(std::string_view key) const;
  template <typename T, typename Convert>
  Result<std::vector<T>> List(std::string_view key, Convert convert) const;

  std::shared_ptr<Document> document_;
  const void* object_;  // a Json object of *document_
  std::string prefix_;  // "" or "text_config."
};

/// Returns the dtype that the checkpoint was saved in: "dtype" (transformers 5), else "torch_dtype"
/// (4), both also with the prefix "torch."; nullopt if neither is given. Errors: kInvalidInput.
Result<std::optional<DType>> ReadDType(const ConfigReader& config);

/// What a key that no family reads can do to the results.
enum class KeyEffect { kUnknown, kNoneIfFalse, kNone };

/// Returns the effect of a key of this name, at any level of a config.
KeyEffect EffectOfKey(std::string_view key);

}  // namespace qeff::checkpoint
