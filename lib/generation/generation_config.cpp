// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/generation_config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <system_error>

#include "lib/support/json.h"
#include "lib/support/log.h"

namespace qeff {
namespace {

/// transformers samples among this many tokens when nobody says otherwise.
constexpr int64_t kDefaultTopK = 50;

/// Stands for a vocabulary whose size no file tells.
constexpr int64_t kNoVocabSize = std::numeric_limits<int64_t>::max();

/// The allowed values of one setting; the same for the file and the command line.
struct Range {
  double low;
  double high;
  bool includes_low;
  const char* text;
};
constexpr double kUnbounded = std::numeric_limits<double>::max();
constexpr Range kTemperature = {0.0, kUnbounded, true, "a number not below 0"};
constexpr Range kTopK = {0.0, kUnbounded, true, "a whole number not below 0"};
constexpr Range kProbability = {0.0, 1.0, true, "a number from 0 to 1"};
constexpr Range kPenalty = {0.0, kUnbounded, false, "a number above 0"};

bool Contains(const Range& range, double value) {
  return value <= range.high && (range.includes_low ? value >= range.low : value > range.low);
}

/// One JSON object of the folder, and the place of its keys.
struct Source {
  const Json* object;
  std::string file;
  int64_t vocab_size;  ///< ids must be below it

  Status Wrong(std::string_view key, std::string_view expected, const Json& got) const {
    return InvalidInput(Location::File(file),
                        fmt::format("'{}': expected {}, got {}", key, expected, got.dump()));
  }

  /// Returns the value, or null if it is absent or JSON null.
  const Json* Get(std::string_view key) const {
    const Json* value = Find(*object, key);
    return value != nullptr && value->is_null() ? nullptr : value;
  }

  /// Nothing for an id beyond the vocabulary, which defaults of config classes may be: no text has
  /// it.
  Result<std::optional<int64_t>> Id(std::string_view key, const Json& value) const {
    const bool is_whole = value.is_number_integer();
    const bool fits = is_whole && (!value.is_number_unsigned() ||
                                   value.get<uint64_t>() <= uint64_t{kNoVocabSize});
    if (!fits || value.get<int64_t>() < 0) return Wrong(key, "a token id not below 0", value);
    const auto id = value.get<int64_t>();
    if (id < vocab_size) return std::optional<int64_t>(id);
    LogInfo("{}: '{}' is {}, the vocabulary ends at {}: no text has this token", file, key, id,
            vocab_size - 1);
    return std::optional<int64_t>();
  }

  Status AddIds(std::string_view key, std::vector<int64_t>& ids) const {
    const Json* value = Get(key);
    if (value == nullptr) return Status::Ok();
    if (!value->is_array()) {
      QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> id, Id(key, *value));
      if (id) ids.push_back(*id);
      return Status::Ok();
    }
    for (const Json& element : *value) {
      QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> id, Id(key, element));
      if (id) ids.push_back(*id);
    }
    return Status::Ok();
  }

  Status ReadId(std::string_view key, std::optional<int64_t>& id) const {
    const Json* value = Get(key);
    if (value == nullptr || id.has_value()) return Status::Ok();
    if (key == "pad_token_id" && *value == -1)
      return Status::Ok();  // old Llama configs: no padding
    QEFF_ASSIGN_OR_RETURN(id, Id(key, *value));
    return Status::Ok();
  }

  Status ReadNumber(std::string_view key, const Range& range, std::optional<double>& number) const {
    const Json* value = Get(key);
    if (value == nullptr) return Status::Ok();
    if (!value->is_number() || !Contains(range, value->get<double>())) {
      return Wrong(key, range.text, *value);
    }
    number = value->get<double>();
    return Status::Ok();
  }

  Status ReadTopK(std::optional<int64_t>& top_k) const {
    const Json* value = Get("top_k");
    if (value == nullptr) return Status::Ok();
    constexpr double kLimit = 1e15;  // far above any vocabulary, exact in a double
    if (!value->is_number_integer() || !Contains(kTopK, value->get<double>())) {
      return Wrong("top_k", kTopK.text, *value);
    }
    top_k = static_cast<int64_t>(std::min(value->get<double>(), kLimit));
    return Status::Ok();
  }
};

/// Reads `name` of the folder; JSON null if there is no such file.
Result<Json> ReadOptional(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::status(path, error).type() == std::filesystem::file_type::not_found) {
    return Json();
  }
  QEFF_ASSIGN_OR_RETURN(Json value, ReadJsonFile(path));
  if (!value.is_object()) {
    return InvalidInput(Location::File(path.string()),
                        fmt::format("expected an object, got {}", value.type_name()));
  }
  return value;
}

Status ReadTokenIds(const Source& source, GenerationConfig& config) {
  QEFF_RETURN_IF_ERROR(source.AddIds("eos_token_id", config.eos_ids));
  QEFF_RETURN_IF_ERROR(source.ReadId("bos_token_id", config.bos_id));
  return source.ReadId("pad_token_id", config.pad_id);
}

Status ReadSampling(const Source& source, GenerationConfig& config) {
  if (const Json* value = source.Get("do_sample"); value != nullptr) {
    if (!value->is_boolean()) return source.Wrong("do_sample", "true or false", *value);
    config.do_sample = value->get<bool>();
  }
  SamplingSettings& sampling = config.sampling;
  QEFF_RETURN_IF_ERROR(source.ReadNumber("temperature", kTemperature, sampling.temperature));
  QEFF_RETURN_IF_ERROR(source.ReadTopK(sampling.top_k));
  QEFF_RETURN_IF_ERROR(source.ReadNumber("top_p", kProbability, sampling.top_p));
  QEFF_RETURN_IF_ERROR(source.ReadNumber("min_p", kProbability, sampling.min_p));
  return source.ReadNumber("repetition_penalty", kPenalty, sampling.repetition_penalty);
}

Status AskTokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder,
                    int64_t vocab_size, GenerationConfig& config) {
  for (const int64_t id : tokenizer.eos_ids()) {
    if (id >= vocab_size) {
      return InvalidInput(
          Location::File((folder / "tokenizer_config.json").string()),
          fmt::format("'eos_token': expected a token id from 0 to {}, got {}", vocab_size - 1, id),
          {"the tokenizer may belong to another model"});
    }
    config.eos_ids.push_back(id);
  }
  if (!config.bos_id) config.bos_id = tokenizer.bos_id();
  // A padding token that was added for training may have no embedding; the program must not look it
  // up.
  if (const auto id = tokenizer.pad_id(); id && *id < vocab_size && !config.pad_id)
    config.pad_id = id;
  return Status::Ok();
}

/// Picks the user's value, else the checkpoint's, else the default; names the checkpoint's in
/// `note`.
template <typename T>
T Choose(std::string_view name, const std::optional<T>& user, const std::optional<T>& file,
         T fallback, std::string& note) {
  if (user.has_value()) return *user;
  if (!file.has_value()) return fallback;
  if (*file != fallback) {
    fmt::format_to(std::back_inserter(note), "{}{} {}", note.empty() ? "" : ", ", name, *file);
  }
  return *file;
}

Status CheckFlag(const char* flag, const Range& range, std::optional<double> value) {
  if (!value.has_value() || Contains(range, *value)) return Status::Ok();
  return UsageError(Location::Flag(flag), fmt::format("expected {}, got {}", range.text, *value));
}

Status CheckFlags(const SamplingSettings& settings) {
  QEFF_RETURN_IF_ERROR(CheckFlag("--temperature", kTemperature, settings.temperature));
  QEFF_RETURN_IF_ERROR(CheckFlag("--top-k", kTopK, settings.top_k));
  QEFF_RETURN_IF_ERROR(CheckFlag("--top-p", kProbability, settings.top_p));
  QEFF_RETURN_IF_ERROR(CheckFlag("--min-p", kProbability, settings.min_p));
  return CheckFlag("--repetition-penalty", kPenalty, settings.repetition_penalty);
}

Result<int64_t> ReadAddedVocabulary(const Source& source) {
  const Json* value = source.Get("additional_vocab_size");
  if (value == nullptr) return 0;
  constexpr uint64_t kMost = uint64_t{1} << 31;
  if (!value->is_number_unsigned() || value->get<uint64_t>() > kMost) {
    return source.Wrong("additional_vocab_size", "a number of tokens", *value);
  }
  return static_cast<int64_t>(value->get<uint64_t>());
}

}  // namespace

Result<GenerationConfig> LoadGenerationConfig(const std::filesystem::path& folder,
                                              const Tokenizer* tokenizer) {
  const std::filesystem::path generation_path = folder / "generation_config.json";
  const std::filesystem::path config_path = folder / "config.json";
  QEFF_ASSIGN_OR_RETURN(const Json generation_json, ReadOptional(generation_path));
  QEFF_ASSIGN_OR_RETURN(const Json config_json, ReadOptional(config_path));

  const Json* text_json = Find(config_json, "text_config");
  if (text_json == nullptr) text_json = Find(config_json, "llm_config");
  const Json no_text_config;
  if (text_json == nullptr) text_json = &no_text_config;
  int64_t vocab_size = kNoVocabSize;
  for (const Json* object : {&config_json, text_json}) {
    const Source source = {object, config_path.string(), vocab_size};
    if (const Json* value = source.Get("vocab_size"); value != nullptr) {
      if (!value->is_number_unsigned()) {
        return source.Wrong("vocab_size", "a number of tokens", *value);
      }
      vocab_size = static_cast<int64_t>(std::min<uint64_t>(value->get<uint64_t>(), kNoVocabSize));
    }
  }

  GenerationConfig config;
  QEFF_ASSIGN_OR_RETURN(config.added_vocab_size,
                        ReadAddedVocabulary({&config_json, config_path.string(), vocab_size}));
  const Source generation = {&generation_json, generation_path.string(), vocab_size};
  QEFF_RETURN_IF_ERROR(ReadTokenIds(generation, config));
  QEFF_RETURN_IF_ERROR(ReadSampling(generation, config));
  for (const Json* object : {&config_json, text_json}) {
    QEFF_RETURN_IF_ERROR(ReadTokenIds({object, config_path.string(), vocab_size}, config));
  }
  if (tokenizer != nullptr) {
    QEFF_RETURN_IF_ERROR(AskTokenizer(*tokenizer, folder, vocab_size, config));
  }
  std::ranges::sort(config.eos_ids);
  const auto duplicates = std::ranges::unique(config.eos_ids);
  config.eos_ids.erase(duplicates.begin(), duplicates.end());
  return config;
}

Result<ResolvedSampling> ResolveSampling(const GenerationConfig& config,
                                         const SamplingRequest& request) {
  const SamplingSettings& user = request.settings;
  const SamplingSettings& file = config.sampling;
  QEFF_RETURN_IF_ERROR(CheckFlags(user));

  ResolvedSampling result;
  SamplingOptions& options = result.options;
  options.seed = request.seed;
  const bool user_samples = user.temperature || user.top_k || user.top_p || user.min_p;
  options.sample = user_samples || config.do_sample.value_or(false);
  std::string from_file;
  if (options.sample) {
    options.temperature = Choose("temperature", user.temperature, file.temperature, 1.0, from_file);
    options.sample = options.temperature > 0.0;
  }
  if (options.sample) {
    options.top_k = Choose("top-k", user.top_k, file.top_k, kDefaultTopK, from_file);
    options.top_p = Choose("top-p", user.top_p, file.top_p, 1.0, from_file);
    options.min_p = Choose("min-p", user.min_p, file.min_p, 0.0, from_file);
  } else {
    options.temperature = 1.0;
  }
  options.repetition_penalty = Choose("repetition-penalty", user.repetition_penalty,
                                      file.repetition_penalty, 1.0, from_file);

  if (options.sample && !user_samples) {
    from_file = "sampling" + (from_file.empty() ? "" : ", " + from_file);
  }
  if (!from_file.empty()) result.note = "from generation_config.json: " + from_file;
  if (options.sample && !user.top_k && !file.top_k) {
    result.note +=
        fmt::format("{}top-k {} (default)", result.note.empty() ? "" : "; ", kDefaultTopK);
  }
  return result;
}

}  // namespace qeff
