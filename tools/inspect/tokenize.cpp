// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/inspect/tokenize.h"

#include <charconv>

#include "lib/support/file.h"
#include "lib/support/json.h"
#include "lib/tokenizer/tokenizer.h"
#include "tools/common/run_tool.h"

namespace qeff::inspect {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxInputBytes = size_t{256} << 20;

Result<Tokenizer> OpenTokenizer(const fs::path& path) {
  if (fs::is_directory(path)) return Tokenizer::Load(path);
  if (path.extension() == ".json" && path.filename() != "tokenizer.json") {
    QEFF_ASSIGN_OR_RETURN(const std::string json, ReadSmallFile(path, kMaxInputBytes));
    return Tokenizer::FromJson(json, path.string());
  }
  return Tokenizer::Load(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Result<std::string> ReadInput(const std::string& path) {
  if (path == "-") return tools::ReadStandardInput();
  return ReadSmallFile(path, kMaxInputBytes);
}

/// Prints one of several lines in ASCII: what ends a line besides "\n" is then no question.
void PrintLine(const Json& value) { tools::PrintResult(value.dump(-1, ' ', true)); }

/// Calls take(value of a line, number from 1) for each line that is not empty.
template <typename Take>
Status ForEachLine(const std::string& path, Take take) {
  QEFF_ASSIGN_OR_RETURN(const std::string content, ReadInput(path));
  const std::string name = path == "-" ? "standard input" : path;
  std::string_view rest = content;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Location where = Location::Line(name, number, 1);
    const Result<Json> value = ParseJson(line, name);
    if (!value.ok()) {
      Diagnostic diagnostic = value.diagnostic();
      diagnostic.where.line = number;  // the parser has seen this line only
      return Status(std::move(diagnostic));
    }
    Status status = take(*value, where);
    if (status.ok()) continue;
    if (status.diagnostic().where.line == number) return status;
    return std::move(status).WithNote(fmt::format("line {} of {}", number, name));
  }
  return Status::Ok();
}

Json Describe(const Tokenizer& tokenizer, const Encoding& encoding) {
  Json tokens = Json::array();
  for (const int64_t id : encoding.ids) tokens.push_back(tokenizer.IdToToken(id).value_or(""));
  return {{"ids", encoding.ids},
          {"tokens", std::move(tokens)},
          {"type_ids", encoding.type_ids},
          {"attention_mask", encoding.attention_mask}};
}

Status EncodeOne(const Tokenizer& tokenizer, const TextPair& text, const TokenizeOptions& options) {
  BatchOptions batch{.encode = {.add_special_tokens = options.adds_special,
                                .parse_special = options.parses_special}};
  if (options.cuts_and_pads) {
    batch.truncation = tokenizer.truncation();
    batch.padding = tokenizer.padding();
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<Encoding> encodings,
                        tokenizer.EncodeBatch(std::span(&text, 1), batch));
  const Json shown =
      options.prints_json ? Describe(tokenizer, encodings[0]) : Json(encodings[0].ids);
  if (options.text_file.has_value()) {
    PrintLine(shown);
  } else {
    tools::PrintResult(shown.dump());
  }
  return Status::Ok();
}

/// `value`: "text", or ["text", "second text"].
Status EncodeLine(const Tokenizer& tokenizer, const Json& value, const Location& where,
                  const TokenizeOptions& options) {
  if (value.is_string()) {
    return EncodeOne(tokenizer, {.first = value.get_ref<const std::string&>()}, options);
  }
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
    return EncodeOne(tokenizer,
                     {.first = value[0].get_ref<const std::string&>(),
                      .second = value[1].get_ref<const std::string&>()},
                     options);
  }
  return InvalidInput(where, "expected a JSON string, or a list of two strings for a pair");
}

Result<std::string> DecodeIds(const Tokenizer& tokenizer, const std::vector<int64_t>& ids,
                              const TokenizeOptions& options) {
  return tokenizer.Decode(ids, {.skip_special_tokens = !options.adds_special});
}

Status DecodeLine(const Tokenizer& tokenizer, const Json& value, const Location& where,
                  const TokenizeOptions& options) {
  std::vector<int64_t> ids;
  for (const Json& id : value.is_array() ? value : Json::array({nullptr})) {
    const bool fits = id.is_number_integer() &&
                      (!id.is_number_unsigned() || id.get<uint64_t>() <= uint64_t{INT64_MAX});
    if (!fits) return InvalidInput(where, "expected a JSON list of ids");
    ids.push_back(id.get<int64_t>());
  }
  QEFF_ASSIGN_OR_RETURN(const std::string text, DecodeIds(tokenizer, ids, options));
  PrintLine(text);
  return Status::Ok();
}

/// Reads "1,2,3", "1 2 3" or "[1, 2, 3]".
Result<std::vector<int64_t>> ParseIds(std::string_view text) {
  std::vector<int64_t> ids;
  const auto fail = [&] {
    return UsageError(Location::Flag("--decode"),
                      fmt::format("expected ids like 1,2,3, got '{}'", text));
  };
  std::string_view rest = text;
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" ,\t\n"), rest.size()));
    if (rest.empty()) return ids;
    int64_t id = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), id);
    if (parsed.ec != std::errc()) return fail();
    rest.remove_prefix(static_cast<size_t>(parsed.ptr - rest.data()));
    if (!rest.empty() && rest.find_first_of(" ,\t\n") != 0) return fail();
    ids.push_back(id);
  }
}

}  // namespace

Status Tokenize(const fs::path& path, const TokenizeOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const Tokenizer tokenizer, OpenTokenizer(path));
  if (options.text.has_value()) {
    TextPair text{.first = *options.text};
    if (options.second_text.has_value()) text.second = *options.second_text;
    return EncodeOne(tokenizer, text, options);
  }
  if (options.ids.has_value()) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> ids, ParseIds(*options.ids));
    QEFF_ASSIGN_OR_RETURN(const std::string text, DecodeIds(tokenizer, ids, options));
    tools::PrintResult(options.prints_json ? DumpText(text) : text);
    return Status::Ok();
  }
  if (options.text_file.has_value()) {
    return ForEachLine(*options.text_file, [&](const Json& value, const Location& where) {
      return EncodeLine(tokenizer, value, where, options);
    });
  }
  return ForEachLine(*options.ids_file, [&](const Json& value, const Location& where) {
    return DecodeLine(tokenizer, value, where, options);
  });
}

}  // namespace qeff::inspect
