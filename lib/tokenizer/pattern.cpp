// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/oniguruma.h"
#include "lib/tokenizer/piece.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr size_t kMaxPatternBytes = size_t{64} << 10;
/// Steps of one match attempt: patterns of real tokenizers need a handful, or a few for each
/// character of a text that is one long run (`\s*[\r\n]+` tries them all).
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kMatchLimitPerByte = 8;
constexpr uint32_t kHeapLimitKib = 64 << 10;
constexpr size_t kJitStackBytes = size_t{8} << 20;
/// PCRE2 does not count the steps of loops over one character, so a search over many start places
/// is cut into windows of this many, with a look at the clock between them.
constexpr size_t kWindowBytes = 256;
constexpr int kMatchesPerClock = 64;
/// Ordinary text takes about 20 ms per megabyte.
constexpr std::chrono::seconds kTimeForAnyText{2};
constexpr std::chrono::seconds kTimePerMegabyte{1};

/// What a thread needs to run expressions; made once per thread.
struct Scratch {
  Scratch()
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        jit_stack(pcre2_jit_stack_create(size_t{32} << 10, kJitStackBytes, nullptr)) {
    QEFF_CHECK(data != nullptr && context != nullptr, "no memory for matching");
    pcre2_set_heap_limit(context, kHeapLimitKib);
    if (jit_stack != nullptr) pcre2_jit_stack_assign(context, nullptr, jit_stack);
  }
  ~Scratch() {
    pcre2_jit_stack_free(jit_stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Scratch(const Scratch&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* jit_stack;
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

std::string ErrorText(int code) {
  PCRE2_UCHAR buffer[128];
  if (pcre2_get_error_message(code, buffer, sizeof(buffer)) < 0) return "unknown error";
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct Pattern::Compiled {
  explicit Compiled(pcre2_code* compiled) : code(compiled) {}
  Compiled(const Compiled&) = delete;
  ~Compiled() { pcre2_code_free(code); }

  Status GaveUp(std::string_view reason) const {
    return InvalidInput(Location::File(file),
                        fmt::format("'{}': gave up on a text: {}", path, reason),
                        {"the expression backtracks without bound on such text"});
  }

  pcre2_code* code;
  std::string file;
  std::string path;
};

Result<Pattern> Pattern::FromConfig(const ConfigNode& node) {
  if (const ConfigNode regex = node.Member("Regex"); !regex.is_absent()) {
    QEFF_ASSIGN_OR_RETURN(const std::string expression, regex.String());
    return FromRegex(expression, regex);
  }
  const ConfigNode literal = node.Member("String");
  if (literal.is_absent()) return node.Expected("{\"String\": ...} or {\"Regex\": ...}");
  Pattern pattern;
  QEFF_ASSIGN_OR_RETURN(pattern.literal_, literal.String());
  // The empty string is found before every character, as the empty expression is.
  if (pattern.literal_.empty()) return FromRegex("", literal);
  return pattern;
}

Result<Pattern> Pattern::FromRegex(std::string_view expression, const ConfigNode& where) {
  if (expression.size() > kMaxPatternBytes) {
    return where.Invalid(fmt::format("expected an expression of at most {} bytes, got {}",
                                     kMaxPatternBytes, expression.size()));
  }
  QEFF_ASSIGN_OR_RETURN(const std::string translated, TranslateOniguruma(expression, where));
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  QEFF_CHECK(context != nullptr, "no memory for an expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  // Oniguruma's ^ and $ are at every line.
  pcre2_code* code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C,
      &error, &error_offset, context.get());
  if (code == nullptr) {
    return Unsupported(
        Location::File(where.file()),
        fmt::format("'{}': expression '{}': {}", where.path(), expression, ErrorText(error)),
        {fmt::format("at byte {} of its PCRE2 form '{}'", error_offset, translated)});
  }
  // Without the just-in-time compiler (not on every machine) the interpreter runs the expression.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  auto compiled = std::make_shared<Compiled>(code);
  compiled->file = where.file();
  compiled->path = where.path();
  Pattern pattern;
  pattern.compiled_ = std::move(compiled);
  return pattern;
}

Result<std::vector<Match>> Pattern::FindAll(std::string_view text) const {
  if (compiled_ != nullptr) return FindExpression(text);
  std::vector<Match> matches;
  size_t from = 0;
  // memmem is linear whatever the text and the literal are; string_view::find is not.
  while (const void* found =
             memmem(text.data() + from, text.size() - from, literal_.data(), literal_.size())) {
    const auto begin = static_cast<size_t>(static_cast<const char*>(found) - text.data());
    from = begin + literal_.size();
    matches.push_back({begin, from});
  }
  return matches;
}

Result<std::vector<Match>> Pattern::FindExpression(std::string_view text) const {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline =
      Clock::now() + kTimeForAnyText + kTimePerMegabyte * static_cast<int64_t>(text.size() >> 20);
  Scratch& scratch = ThreadScratch();
  static_assert(kMaxTextBytes * kMatchLimitPerByte + kMatchLimit <= UINT32_MAX);
  pcre2_set_match_limit(scratch.context,
                        kMatchLimit + kMatchLimitPerByte * static_cast<uint32_t>(text.size()));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data);
  std::vector<Match> matches;
  const auto next_start = [&text](size_t position) {
    return position < text.size() ? position + CharacterBytes(text[position]) : position + 1;
  };
  size_t from = 0;
  while (from <= text.size()) {
    size_t last_start = std::min(from + kWindowBytes, text.size());
    while (last_start < text.size() && (text[last_start] & 0xC0) == 0x80) ++last_start;
    pcre2_set_offset_limit(scratch.context, last_start);
    const int found =
        pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                    PCRE2_NO_UTF_CHECK, scratch.data, scratch.context);
    if (found == PCRE2_ERROR_NOMATCH) {
      from = next_start(last_start);
      if (Clock::now() > deadline) return compiled_->GaveUp("it takes too long");
      continue;
    }
    if (found < 0) return compiled_->GaveUp(ErrorText(found));
    // \K in a lookaround can put the start behind the end.
    const Match match{std::min(ends[0], ends[1]), ends[1]};
    if (match.begin == match.end && !matches.empty() && matches.back().end == match.end) {
      from = next_start(std::max(from, match.end));
      continue;
    }
    if (!matches.empty() && match.begin < matches.back().end) {
      return compiled_->GaveUp("a match starts before the end of the match before it");
    }
    matches.push_back(match);
    // An empty match is found again from here, and then left out by the rule above.
    from = std::max(from, match.end);
    if (matches.size() % kMatchesPerClock == 0 && Clock::now() > deadline) {
      return compiled_->GaveUp("it takes too long");
    }
  }
  return matches;
}

Result<Replacement> Replacement::FromConfig(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(Pattern pattern, Pattern::FromConfig(node.Member("pattern")));
  Replacement replacement(std::move(pattern));
  QEFF_ASSIGN_OR_RETURN(replacement.content_, node.Member("content").String());
  replacement.file_ = node.file();
  replacement.path_ = node.path();
  return replacement;
}

Result<Replacement::Output> Replacement::Apply(std::string_view text) const {
  QEFF_ASSIGN_OR_RETURN(const std::vector<Match> matches, pattern_.FindAll(text));
  size_t size_bytes = text.size() + matches.size() * content_.size();
  for (const Match& match : matches) size_bytes -= match.end - match.begin;
  if (size_bytes > kMaxTextBytes) {
    return InvalidInput(Location::File(file_),
                        fmt::format("'{}': expected a text of at most {} bytes after the "
                                    "replacement, got {}",
                                    path_, kMaxTextBytes, size_bytes));
  }
  Output output;
  output.removed_start = content_.empty() && !matches.empty() && matches[0].begin == 0 &&
                         matches[0].end > matches[0].begin;
  output.text.reserve(size_bytes);
  size_t done = 0;
  for (const Match& match : matches) {
    output.text.append(text, done, match.begin - done).append(content_);
    done = match.end;
  }
  output.text.append(text, done);
  return output;
}

}  // namespace qeff
