// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// JSON as nlohmann's value type, read strictly: duplicate keys, invalid UTF-8, nesting deeper than
// 100 and trailing bytes are errors with line and column. Object order is kept as in the file. The
// only header that includes the JSON library.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff {

/// Keeps the order of keys of the file.
using Json = nlohmann::ordered_json;

/// Parses `text`; `path` names it in errors. Errors: kInvalidInput with line and column.
Result<Json> ParseJson(std::string_view text, std::string_view path);

/// Reads and parses a file of at most 256 MiB. Errors: kIo, kInvalidInput.
Result<Json> ReadJsonFile(const std::filesystem::path& path);

/// Writes `value` as Python's json.dumps(indent=4, sort_keys=True, separators=(",", ":"),
/// ensure_ascii=True) does: the style of every JSON file next to a QPC. Floats are written in the
/// shortest form that reads back to the same double.
std::string DumpPythonStyle(const Json& value);

/// Writes `value` with indent 2 and a final newline: the style of our own files.
std::string DumpPretty(const Json& value);

/// Returns `text` as a JSON string, with its quotes; bytes that are not UTF-8 become U+FFFD.
std::string DumpText(std::string_view text);

/// Returns `object[key]`, or null if it is absent or `object` is not an object.
const Json* Find(const Json& object, std::string_view key);

}  // namespace qeff
