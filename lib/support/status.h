// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Errors that the input or the environment is to blame for: one Diagnostic with a place, a message
// and notes, carried by Status and Result<T>. Every library function that can fail returns one of
// them; only tools print them. A fault of ours is QEFF_CHECK, never a Status. Nothing here throws.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qeff {

/// What the caller must change: the input (the first three), the command (kUsage), the machine
/// (kIo: file, network, memory; kBackend: vendor tool, device).
enum class ErrorCode { kInvalidInput, kUnsupported, kVersionMismatch, kUsage, kIo, kBackend };

enum class Severity { kError, kWarning };

/// Where something is wrong. At least one of the fields is set in every error that leaves a reader.
struct Location {
  std::string file;          ///< path as the user knows it; empty if the fault is not in a file
  int64_t line = 0;          ///< 1-based; 0 if unknown
  int64_t column = 0;        ///< 1-based; 0 if unknown
  int64_t byte_offset = -1;  ///< from the start of `file`; -1 if unknown
  std::string node;          ///< graph node, e.g. "layers.3.mlp/MatMul"
  int64_t node_index = -1;   ///< position of the node in its graph; -1 if unknown
  std::string tensor;        ///< tensor name
  std::string flag;          ///< command-line flag, e.g. "--ctx-len"

  static Location File(std::string_view path) { return {.file = std::string(path)}; }
  static Location Byte(std::string_view path, int64_t offset) {
    return {.file = std::string(path), .byte_offset = offset};
  }
  static Location Line(std::string_view path, int64_t line, int64_t column) {
    return {.file = std::string(path), .line = line, .column = column};
  }
  static Location Tensor(std::string_view path, std::string_view name) {
    return {.file = std::string(path), .tensor = std::string(name)};
  }
  static Location Node(std::string_view path, std::string_view name, int64_t index = -1) {
    return {.file = std::string(path), .node = std::string(name), .node_index = index};
  }
  static Location Flag(std::string_view name) { return {.flag = std::string(name)}; }

  /// Returns e.g. "model.onnx: node 'layers.3.mlp/MatMul' (#142)", "a.json:3:7", "m.safetensors:
  /// byte 8"; empty if no field is set.
  std::string ToString() const;
};

/// One finding. `message` is lower case, without full stop: the thing in quotes, expected, then
/// got. `notes` say what to do.
struct Diagnostic {
  Severity severity = Severity::kError;
  ErrorCode code = ErrorCode::kInvalidInput;
  Location where;
  std::string message;
  std::vector<std::string> notes;

  /// Returns "<where>: error: <message>" and a line "note: ..." for each note; no final newline.
  std::string ToString() const;
};

/// Success, or one Diagnostic.
class [[nodiscard]] Status {
 public:
  static Status Ok() { return Status(nullptr); }
  explicit Status(Diagnostic diagnostic)
      : diagnostic_(std::make_unique<Diagnostic>(std::move(diagnostic))) {}

  bool ok() const { return diagnostic_ == nullptr; }
  /// Requires !ok().
  const Diagnostic& diagnostic() const { return *diagnostic_; }
  ErrorCode code() const { return diagnostic_->code; }

  /// Adds a note, e.g. "while running pass 'fuse-rms-norm'"; nothing on success.
  Status WithNote(std::string note) && {
    if (diagnostic_) diagnostic_->notes.push_back(std::move(note));
    return std::move(*this);
  }

 private:
  explicit Status(std::nullptr_t) {}
  std::unique_ptr<Diagnostic> diagnostic_;
};

/// A value, or the Diagnostic that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status)
      : state_(std::in_place_index<1>, std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  /// Requires ok().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  /// Requires !ok().
  const Diagnostic& diagnostic() const { return std::get<1>(state_).diagnostic(); }
  Status status() && { return ok() ? Status::Ok() : std::get<1>(std::move(state_)); }

  Result WithNote(std::string note) && {
    if (!ok()) return std::get<1>(std::move(state_)).WithNote(std::move(note));
    return std::move(*this);
  }

 private:
  std::variant<T, Status> state_;
};

/// Returns an error Status; `notes` come after the message, each one line that says what to do.
Status Error(ErrorCode code, Location where, std::string message,
             std::vector<std::string> notes = {});

inline Status InvalidInput(Location where, std::string message,
                           std::vector<std::string> notes = {}) {
  return Error(ErrorCode::kInvalidInput, std::move(where), std::move(message), std::move(notes));
}
inline Status Unsupported(Location where, std::string message,
                          std::vector<std::string> notes = {}) {
  return Error(ErrorCode::kUnsupported, std::move(where), std::move(message), std::move(notes));
}
inline Status UsageError(Location where, std::string message, std::vector<std::string> notes = {}) {
  return Error(ErrorCode::kUsage, std::move(where), std::move(message), std::move(notes));
}
/// `errno_value` other than 0 appends the system's text for it.
Status IoError(Location where, std::string message, int errno_value = 0,
               std::vector<std::string> notes = {});

/// Collects findings of checks that go on after the first one. After `kLimit` errors further ones
/// are only counted.
class Diagnostics {
 public:
  static constexpr int kLimit = 20;
  void Add(Diagnostic diagnostic);
  void AddError(Location where, std::string message, std::vector<std::string> notes = {});
  void AddWarning(Location where, std::string message, std::vector<std::string> notes = {});
  int error_count() const { return error_count_; }
  const std::vector<Diagnostic>& findings() const { return findings_; }
  /// Ok if no error was added; else the first error, with the others as notes.
  Status ToStatus() const;

 private:
  std::vector<Diagnostic> findings_;
  int error_count_ = 0;
};

/// Returns the entry of `candidates` that is nearest to `word` by edit distance, if one is near
/// enough to be meant.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& message);

}  // namespace qeff

/// Aborts with file and line: for faults of ours, never for input.
#define QEFF_CHECK(condition, ...)                                                     \
  do {                                                                                 \
    if (!(condition))                                                                  \
      ::qeff::CheckFailed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)

#define QEFF_CONCAT_INNER(a, b) a##b
#define QEFF_CONCAT(a, b) QEFF_CONCAT_INNER(a, b)

#define QEFF_RETURN_IF_ERROR(expression)                                                  \
  do {                                                                                    \
    if (::qeff::Status qeff_status = (expression); !qeff_status.ok()) return qeff_status; \
  } while (false)

#define QEFF_ASSIGN_OR_RETURN(declaration, expression) \
  QEFF_ASSIGN_OR_RETURN_INNER(QEFF_CONCAT(qeff_result_, __LINE__), declaration, expression)
#define QEFF_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                        \
  if (!result.ok()) return std::move(result).status();               \
  declaration = std::move(result).value()
