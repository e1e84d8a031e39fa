// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/text_specializations.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace qeff::artifact {
namespace {

// Numbers of QEfficient's list generation, in tokens.
constexpr int64_t kLengthUnit = 1024;
constexpr int64_t kSmallestListContext = 4096;
constexpr int64_t kCollisionStep = 32;
constexpr size_t kMaxLengths = 5;
constexpr size_t kMaxSharedLengths = 10;
constexpr int64_t kLengthLimit = int64_t{1} << 31;

// ---- compute context lengths ----

struct ComputeContext {
  int64_t ctx_len = 0;
  std::vector<int64_t> prefill;  ///< sorted; empty if the graph has none
  std::vector<int64_t> decode;
};

/// Returns start, 2 * start, ... up to `ctx_len`, at most `max_lengths` of them; the last is then
/// `ctx_len`.
std::vector<int64_t> DoublingLengths(int64_t start, int64_t ctx_len, size_t max_lengths) {
  std::vector<int64_t> lengths;
  for (int64_t length = start; length <= ctx_len && lengths.size() < max_lengths; length *= 2) {
    lengths.push_back(length);
  }
  if (lengths.empty()) return {ctx_len};
  lengths.back() = ctx_len;
  return lengths;
}

struct ListStart {
  int64_t prefill;
  int64_t decode;
};

ListStart StartFor(int64_t ctx_len) {
  if (ctx_len <= 32768) return {.prefill = 4000, .decode = 4096};
  if (ctx_len <= 65536) return {.prefill = 8000, .decode = 8192};
  return {.prefill = 16000, .decode = 16384};
}

/// Returns lengths of at least 1024 that end with `ctx_len`, sorted, each once.
std::vector<int64_t> Normalized(std::vector<int64_t> lengths, int64_t ctx_len) {
  for (int64_t& length : lengths) length = std::min(std::max(length, kLengthUnit), ctx_len);
  lengths.push_back(ctx_len);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return lengths;
}

/// Moves prefill lengths that a decode entry has too down to the next free multiple of 32: a
/// compiler takes both apart by their lengths.
std::vector<int64_t> WithoutCollisions(const std::vector<int64_t>& prefill,
                                       const std::vector<int64_t>& decode) {
  std::set<int64_t> taken(decode.begin(), decode.end());
  std::vector<int64_t> moved;
  for (int64_t length : prefill) {
    while (length > kCollisionStep && taken.contains(length))
      length = (length - 1) / kCollisionStep * kCollisionStep;
    taken.insert(length);
    moved.push_back(length);
  }
  std::sort(moved.begin(), moved.end());
  return moved;
}

ComputeContext ComputeContextFor(const TextSpecializationOptions& options) {
  ComputeContext context{.ctx_len = options.ctx_len};
  if (!options.has_compute_context_lengths) return context;
  std::vector<int64_t> prefill = options.comp_ctx_lengths_prefill;
  std::vector<int64_t> decode = options.comp_ctx_lengths_decode;
  if (prefill.empty() && decode.empty() && options.rounds_ctx_len) {
    context.ctx_len = (options.ctx_len + kLengthUnit - 1) / kLengthUnit * kLengthUnit;
  }
  const bool is_shared = options.prefill_seq_len == 1;
  const ListStart start = StartFor(context.ctx_len);
  const auto generate = [&](int64_t first) {
    if (context.ctx_len <= kSmallestListContext) return std::vector<int64_t>{context.ctx_len};
    return is_shared ? DoublingLengths(kSmallestListContext, context.ctx_len, kMaxSharedLengths)
                     : DoublingLengths(first, context.ctx_len, kMaxLengths);
  };
  if (prefill.empty()) prefill = generate(start.prefill);
  if (decode.empty()) decode = generate(start.decode);
  prefill = Normalized(std::move(prefill), context.ctx_len);
  decode = Normalized(std::move(decode), context.ctx_len);
  if (is_shared) {
    prefill.insert(prefill.end(), decode.begin(), decode.end());
    context.prefill = context.decode = Normalized(std::move(prefill), context.ctx_len);
  } else {
    context.prefill = WithoutCollisions(prefill, decode);
    context.decode = std::move(decode);
  }
  return context;
}

// ---- checks ----

Status CheckLength(const char* flag, int64_t value) {
  if (value >= 1 && value <= kLengthLimit) return Status::Ok();
  return UsageError(Location::Flag(flag),
                    fmt::format("expected a number from 1 to {}, got {}", kLengthLimit, value));
}

Status CheckBatches(const TextSpecializationOptions& options) {
  QEFF_RETURN_IF_ERROR(CheckLength("--batch-size", options.batch_size));
  QEFF_RETURN_IF_ERROR(CheckLength("--full-batch-size", options.full_batch_size.value_or(1)));
  QEFF_RETURN_IF_ERROR(
      CheckLength("--kv-cache-batch-size", options.kv_cache_batch_size.value_or(1)));
  if (options.has_continuous_batching && !options.full_batch_size) {
    return UsageError(Location::Flag("--full-batch-size"),
                      "expected a number, got none: the graph has continuous batching",
                      {"give the number of prompts that are decoded together"});
  }
  if (options.kv_cache_batch_size && !options.full_batch_size) {
    return UsageError(Location::Flag("--kv-cache-batch-size"), "needs --full-batch-size",
                      {"export with --continuous-batching and give both"});
  }
  return Status::Ok();
}

Status CheckSpeculation(const TextSpecializationOptions& options) {
  const char* flag = "--num-speculative-tokens";
  if (options.keeps_speculative_logits == !options.num_speculative_tokens.empty()) {
    for (const int64_t tokens : options.num_speculative_tokens) {
      QEFF_RETURN_IF_ERROR(CheckLength(flag, tokens));
      if (options.prefill_seq_len <= tokens) {
        return UsageError(Location::Flag(flag),
                          fmt::format("expected less than the {} tokens of --prefill-seq-len, "
                                      "got {}",
                                      options.prefill_seq_len, tokens));
      }
    }
    return Status::Ok();
  }
  if (options.keeps_speculative_logits) {
    return UsageError(Location::Flag(flag),
                      "expected a number, got none: the graph verifies guessed tokens");
  }
  return UsageError(Location::Flag(flag), "the graph does not verify guessed tokens",
                    {"export it as a target of speculative decoding"});
}

Status CheckOptions(const TextSpecializationOptions& options) {
  QEFF_RETURN_IF_ERROR(CheckLength("--prefill-seq-len", options.prefill_seq_len));
  QEFF_RETURN_IF_ERROR(CheckLength("--ctx-len", options.ctx_len));
  if (options.prefill_seq_len > options.ctx_len) {
    return UsageError(Location::Flag("--prefill-seq-len"),
                      fmt::format("expected at most the {} tokens of --ctx-len, "
                                  "got {}",
                                  options.ctx_len, options.prefill_seq_len));
  }
  QEFF_RETURN_IF_ERROR(CheckBatches(options));
  QEFF_RETURN_IF_ERROR(CheckSpeculation(options));
  for (const auto* lengths :
       {&options.comp_ctx_lengths_prefill, &options.comp_ctx_lengths_decode}) {
    if (lengths->empty()) continue;
    if (!options.has_compute_context_lengths) {
      return UsageError(Location::Flag("--comp-ctx-lengths"),
                        "the graph has no compute context lengths", {"export it with them"});
    }
    for (const int64_t length : *lengths)
      QEFF_RETURN_IF_ERROR(CheckLength("--comp-ctx-lengths", length));
  }
  return Status::Ok();
}

// ---- entries ----

/// Calls `add(length)` for each length, or once with nothing if there are none.
template <typename Add>
void ForEachLength(const std::vector<int64_t>& lengths, const Add& add) {
  if (lengths.empty()) add(std::nullopt);
  for (const int64_t length : lengths) add(std::optional(length));
}

class EntryBuilder {
 public:
  EntryBuilder(const TextSpecializationOptions& options, int64_t ctx_len)
      : options_(options),
        ctx_len_(ctx_len),
        cache_batch_(options.kv_cache_batch_size.value_or(
            options.full_batch_size.value_or(options.batch_size))) {}

  Specialization Prefill(std::optional<int64_t> compute_length) const {
    int64_t batch = options_.batch_size;
    if (options_.has_continuous_batching)
      batch = options_.prefill_seq_len == 1 ? *options_.full_batch_size : 1;
    const bool is_decode = options_.prefill_only.has_value() && !*options_.prefill_only;
    Specialization entry =
        Common(is_decode ? "Decode" : "Prefill", batch, options_.prefill_seq_len, compute_length);
    if (options_.keeps_speculative_logits) entry.symbols.emplace_back("num_logits_to_keep", 1);
    // Also without continuous batching, where nothing reads it: QEfficient writes it.
    if (options_.full_batch_size) entry.symbols.emplace_back("full_batch_exec_size", batch);
    return entry;
  }

  /// `guessed_tokens` is 0 for plain decoding.
  Specialization Decode(int64_t guessed_tokens, std::optional<int64_t> compute_length) const {
    const int64_t batch =
        options_.has_continuous_batching ? *options_.full_batch_size : options_.batch_size;
    Specialization entry = Common("Decode", batch, guessed_tokens + 1, compute_length);
    if (options_.keeps_speculative_logits)
      entry.symbols.emplace_back("num_logits_to_keep", guessed_tokens + 1);
    return entry;
  }

 private:
  Specialization Common(const char* name, int64_t batch, int64_t tokens,
                        std::optional<int64_t> compute_length) const {
    Specialization entry{.graph_name = name};
    // Without continuous batching all sequences of the cache run together.
    entry.symbols = {{"batch_size", options_.has_continuous_batching ? batch : cache_batch_},
                     {"seq_len", tokens},
                     {"ctx_len", ctx_len_}};
    if (options_.has_continuous_batching)
      entry.symbols.emplace_back("full_batch_size", cache_batch_);
    if (compute_length) entry.symbols.emplace_back("comp_ctx_lengths", *compute_length);
    if (options_.sliding_window)
      entry.symbols.emplace_back("sliding_window", *options_.sliding_window);
    return entry;
  }

  const TextSpecializationOptions& options_;
  int64_t ctx_len_;
  int64_t cache_batch_;
};

}  // namespace

Result<std::vector<Specialization>> BuildTextSpecializations(
    const TextSpecializationOptions& options) {
  QEFF_RETURN_IF_ERROR(CheckOptions(options));
  const ComputeContext context = ComputeContextFor(options);
  const EntryBuilder build(options, context.ctx_len);
  std::vector<Specialization> entries;
  const bool is_one_token = options.prefill_seq_len == 1;
  if (options.prefill_only.value_or(true) || is_one_token) {
    ForEachLength(context.prefill, [&](auto length) { entries.push_back(build.Prefill(length)); });
  }
  if (!options.prefill_only.value_or(false) && !is_one_token) {
    std::vector<int64_t> guesses = options.num_speculative_tokens;
    if (guesses.empty()) guesses = {0};
    std::sort(guesses.begin(), guesses.end());
    guesses.erase(std::unique(guesses.begin(), guesses.end()), guesses.end());
    for (const int64_t guessed_tokens : guesses) {
      ForEachLength(context.decode,
                    [&](auto length) { entries.push_back(build.Decode(guessed_tokens, length)); });
    }
  }
  return entries;
}

}  // namespace qeff::artifact
