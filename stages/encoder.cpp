// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/artifact/manifest.h"
#include "lib/checkpoint/model_config.h"
#include "lib/onnx_io/header.h"
#include "lib/tokenizer/unicode.h"
#include "stages/produce.h"

namespace qeff::stages {
namespace {

using checkpoint::ConfigReader;

// Texts of like length run together, so a window should be many batches; its rows are in memory.
constexpr size_t kWindowTexts = 1024;
constexpr size_t kWindowTextsPerToken = 32;  // of programs with a row for each token
constexpr size_t kWindowBytes = size_t{8} << 20;

/// The most tokens that a call should have: programs for the CPU compute no padding, and their
/// values between steps should stay in its caches. Measured with all-MiniLM-L6-v2 on a Xeon: texts
/// of 256 tokens ran 10 % faster in calls of 1,024 tokens than of 4,096, and 30 % than of 8,192.
Result<int64_t> CallTokens(const std::filesystem::path& qpc) {
  constexpr int64_t kCpuTokens = 1024;
  QEFF_ASSIGN_OR_RETURN(const artifact::Manifest manifest,
                        artifact::ReadManifest(qpc, artifact::kQpcFormat));
  const auto backend = manifest.options.find("backend");
  const auto* name =
      backend == manifest.options.end() ? nullptr : std::get_if<std::string>(&backend->second);
  return name != nullptr && *name == "cpu" ? kCpuTokens : std::numeric_limits<int64_t>::max();
}

/// Lower case as the normalizer "Lowercase" of tokenizers has it.
std::string LowerCase(std::string_view text) {
  std::string lower;
  for (size_t position = 0; position < text.size();)
    AppendLowerCase(NextCharacter(text, position), lower);
  return lower;
}

Result<std::optional<int64_t>> TokenizerLimit(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer_config.json";
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::optional<int64_t>();
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  QEFF_ASSIGN_OR_RETURN(const std::optional<double> limit,
                        config.OptionalFloat("model_max_length"));
  // Tokenizers without a limit have a number beyond all others, 1e30.
  constexpr double kNoLimit = 1e9;
  if (!limit || *limit < 1 || *limit > kNoLimit) return std::optional<int64_t>();
  return std::optional(static_cast<int64_t>(*limit));
}

/// Whether the checkpoint's tokenizer tells the parts of a pair apart for the model, as
/// transformers 5 decides it: by `model_input_names`, else by the class, of which the general ones
/// do not.
Result<bool> ReadHasTokenTypes(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer_config.json";
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return true;
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  if (config.Has("model_input_names")) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                          config.Strings("model_input_names"));
    return std::ranges::find(names, "token_type_ids") != names.end();
  }
  QEFF_ASSIGN_OR_RETURN(const std::string name, config.StringOr("tokenizer_class", ""));
  return name != "TokenizersBackend" && name != "PreTrainedTokenizerFast";
}

/// "torch.nn.modules.linear.Identity" -> kNone. Errors: kUnsupported.
Result<ScoreFunction> FunctionOfTorch(const ConfigReader& config, std::string_view key,
                                      std::string_view name) {
  const std::string_view kind = name.substr(name.rfind('.') + 1);
  if (kind == "Identity") return ScoreFunction::kNone;
  if (kind == "Sigmoid") return ScoreFunction::kSigmoid;
  return config.ErrorAt(ErrorCode::kUnsupported, key,
                        fmt::format("expected Identity or Sigmoid, got '{}'", name));
}

Result<ScoreFunction> ReadRerankFunction(const ConfigReader& config) {
  constexpr std::string_view kSection = "sentence_transformers";
  constexpr std::string_view kOldKey = "sbert_ce_default_activation_function";
  if (config.IsObject(kSection)) {
    QEFF_ASSIGN_OR_RETURN(const ConfigReader section, config.Section(kSection));
    QEFF_ASSIGN_OR_RETURN(const auto name, section.OptionalString("activation_fn"));
    if (name) return FunctionOfTorch(section, "activation_fn", *name);
  }
  QEFF_ASSIGN_OR_RETURN(const auto name, config.OptionalString(kOldKey));
  if (name) return FunctionOfTorch(config, kOldKey, *name);
  return ScoreFunction::kSigmoid;
}

Result<ScoreFunction> ReadScoreFunction(const ConfigReader& config, size_t label_count) {
  QEFF_ASSIGN_OR_RETURN(const auto problem, config.OptionalString("problem_type"));
  if (problem == "regression") return ScoreFunction::kNone;
  if (problem == "multi_label_classification" || label_count == 1) return ScoreFunction::kSigmoid;
  if (!problem || problem == "single_label_classification") return ScoreFunction::kSoftmax;
  return config.ErrorAt(ErrorCode::kUnsupported, "problem_type",
                        fmt::format("unknown problem type '{}'", *problem));
}

/// The names of `count` labels. Errors: kInvalidInput if the config names another number.
Result<std::vector<std::string>> ReadLabels(const ConfigReader& config, size_t count) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < count; ++i) labels.push_back(fmt::format("LABEL_{}", i));
  if (!config.IsObject("id2label")) return labels;
  QEFF_ASSIGN_OR_RETURN(const ConfigReader names, config.Section("id2label"));
  if (names.Keys().size() != count) {
    return config.ErrorAt(
        ErrorCode::kInvalidInput, "id2label",
        fmt::format("expected {} labels, as many as the model has outputs, got {}", count,
                    names.Keys().size()));
  }
  for (size_t i = 0; i < count; ++i) {
    QEFF_ASSIGN_OR_RETURN(labels[i], names.String(std::to_string(i)));
  }
  return labels;
}

/// The id that fills rows behind their tokens: the config's, as models that look for the end of a
/// text among its ids look for this one, else `of_tokenizer`. Errors: kInvalidInput.
Result<int64_t> ReadPadId(const ConfigReader& config, std::optional<int64_t> vocabulary,
                          int64_t of_tokenizer) {
  QEFF_ASSIGN_OR_RETURN(const int64_t pad_id, config.IntOr("pad_token_id", -1));
  if (pad_id < 0) return of_tokenizer;  // files of some decoders have -1 for none
  if (!vocabulary || pad_id < *vocabulary) return pad_id;
  return config.ErrorAt(
      ErrorCode::kInvalidInput, "pad_token_id",
      fmt::format("expected less than vocab_size ({}), got {}", *vocabulary, pad_id));
}

Status CheckVocabulary(const ConfigReader& config, const Tokenizer& tokenizer,
                       const std::filesystem::path& folder) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader text, config.TextConfig());
  QEFF_ASSIGN_OR_RETURN(const auto size, text.OptionalInt("vocab_size"));
  if (!size || tokenizer.vocab_size() <= *size) return Status::Ok();
  return InvalidInput(Location::File((folder / "tokenizer.json").string()),
                      fmt::format("the tokenizer has ids up to {}, the model embeddings for {}",
                                  tokenizer.vocab_size() - 1, *size),
                      {"tokenizer and weights are not of the same model"});
}

/// Of the rows [T, V] of a text's tokens, those of its masks.
void KeepMasks(std::span<const float> rows, std::span<const int64_t> ids, int64_t mask,
               std::vector<float>& kept) {
  const size_t vocabulary = rows.size() / ids.size();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != mask) continue;
    const auto row = rows.subspan(i * vocabulary, vocabulary);
    kept.insert(kept.end(), row.begin(), row.end());
  }
}

}  // namespace

void ApplyScoreFunction(ScoreFunction function, std::span<float> logits) {
  if (function == ScoreFunction::kNone || logits.empty()) return;
  if (function == ScoreFunction::kSigmoid) {
    for (float& x : logits) x = 1 / (1 + std::exp(-x));
    return;
  }
  const float largest = *std::ranges::max_element(logits);
  float sum = 0;
  for (float& x : logits) sum += x = std::exp(x - largest);
  for (float& x : logits) x /= sum;
}

Result<std::optional<int64_t>> MaxTextTokens(const std::filesystem::path& folder) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::SentenceTexts texts,
                        checkpoint::ReadSentenceTexts(folder));
  if (texts.max_tokens) return texts.max_tokens;
  return TokenizerLimit(folder);
}

Result<std::vector<int64_t>> DefaultSeqLens(const std::filesystem::path& onnx) {
  constexpr int64_t kLongest = 512;
  QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> of_texts, MaxTextTokens(onnx));
  QEFF_ASSIGN_OR_RETURN(const onnx_io::OnnxHeader header,
                        onnx_io::ReadOnnxHeader(onnx / "model.onnx"));
  QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> of_positions,
                        MaxSeqLen(header.metadata, (onnx / "model.onnx").string()));
  const int64_t longest =
      std::min({of_texts.value_or(kLongest), of_positions.value_or(kLongest), kLongest});
  std::vector<int64_t> lengths;
  for (const int64_t length : {32, 128}) {
    if (length < longest) lengths.push_back(length);
  }
  lengths.push_back(longest);
  return lengths;
}

Result<EncoderModel> EncoderModel::Open(const std::filesystem::path& qpc,
                                        const BackendOpenOptions& options) {
  EncoderModel model;
  model.folder_ = qpc;
  QEFF_ASSIGN_OR_RETURN(model.session_, OpenProgram(qpc, options));
  QEFF_ASSIGN_OR_RETURN(model.call_tokens_, CallTokens(qpc));
  QEFF_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Load(qpc));
  model.tokenizer_ = std::make_unique<Tokenizer>(std::move(tokenizer));
  QEFF_RETURN_IF_ERROR(model.ReadSettings());
  return model;
}

Status EncoderModel::ReadSettings() {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(folder_ / "config.json"));
  QEFF_RETURN_IF_ERROR(CheckVocabulary(config, *tokenizer_, folder_));
  QEFF_ASSIGN_OR_RETURN(const ConfigReader text_config, config.TextConfig());
  QEFF_ASSIGN_OR_RETURN(const auto vocabulary, text_config.OptionalInt("vocab_size"));
  QEFF_ASSIGN_OR_RETURN(const int64_t pad_id,
                        ReadPadId(config, vocabulary, tokenizer_->pad_id().value_or(0)));
  QEFF_ASSIGN_OR_RETURN(EncoderProgram program, EncoderProgram::Open(*session_, pad_id));
  program_ = std::make_unique<EncoderProgram>(std::move(program));
  predicts_tokens_ = output() == EncoderOutput::kTokenLogits && vocabulary == features();
  if (output() == EncoderOutput::kClassLogits ||
      (output() == EncoderOutput::kTokenLogits && !predicts_tokens_)) {
    const auto count = static_cast<size_t>(features());
    QEFF_ASSIGN_OR_RETURN(labels_, stages::ReadLabels(config, count));
    QEFF_ASSIGN_OR_RETURN(score_function_, ReadScoreFunction(config, count));
    QEFF_ASSIGN_OR_RETURN(rerank_function_, ReadRerankFunction(config));
  }
  QEFF_ASSIGN_OR_RETURN(texts_, checkpoint::ReadSentenceTexts(folder_));
  QEFF_ASSIGN_OR_RETURN(has_token_types_, ReadHasTokenTypes(folder_));
  similarity_ = SimilarityFromName(texts_.similarity).value_or(Similarity::kCosine);
  QEFF_ASSIGN_OR_RETURN(const auto modules, checkpoint::ReadSentenceModules(folder_));
  pools_prompt_ = output() != EncoderOutput::kEmbedding || !modules || !modules->pooling ||
                  modules->pooling->includes_prompt;
  QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> limit, MaxTextTokens(folder_));
  max_tokens_ = std::min(limit.value_or(program_->max_tokens()), program_->max_tokens());
  return Status::Ok();
}

Result<std::string> EncoderModel::Prompt(const std::string& name) const {
  QEFF_ASSIGN_OR_RETURN(std::string prompt, texts_.Prompt(name));
  if (prompt.empty() || pools_prompt_) return prompt;
  return Unsupported(
      Location::File((folder_ / "modules.json").string()),
      "the prompt's tokens must be left out of pooling ('include_prompt' is false), "
      "which is not supported",
      {"with --pooling none, export makes a program that gives a vector for each "
       "token: pool those after the prompt",
       "a prompt typed in front of the texts counts, also in sentence-transformers"});
}

Result<Encoding> EncoderModel::EncodeOne(const TextPair& text, const EncodeSettings& settings,
                                         const Location& where) {
  std::string first = settings.prompt + std::string(text.first);
  std::string second(text.second.value_or(""));
  if (texts_.lowercases) {
    first = LowerCase(first);
    second = LowerCase(second);
  }
  TextPair prepared{.first = first, .second = {}};
  if (text.second) prepared.second = second;
  BatchOptions options;
  // As sentence-transformers and pipelines read texts.
  options.encode = {.parse_special = true, .doubles_start = true};
  // Spaces around a text stay, as sentence-transformers leaves them since 5.4; 5.1 took them away.
  QEFF_ASSIGN_OR_RETURN(std::vector<Encoding> encoded,
                        tokenizer_->EncodeBatch(std::span(&prepared, 1), options));
  const auto tokens = static_cast<int64_t>(encoded[0].ids.size());
  if (tokens == 0) return InvalidInput(where, "the tokenizer makes no token of this text");
  if (tokens > max_tokens_) {
    if (!settings.truncates) {
      return InvalidInput(
          where,
          fmt::format("the text has {} tokens, the model takes at most {}", tokens, max_tokens_),
          {"without --no-truncate it is cut, or compile for a longer --seq-len"});
    }
    ++cut_texts_;
    options.truncation = Truncation{.max_tokens = max_tokens_};
    QEFF_ASSIGN_OR_RETURN(encoded, tokenizer_->EncodeBatch(std::span(&prepared, 1), options));
  }
  const auto& ids = encoded[0].ids;
  if (settings.keeps_only_masks && std::ranges::find(ids, tokenizer_->mask_id()) == ids.end()) {
    const std::optional<int64_t> mask = tokenizer_->mask_id();
    if (!mask) return Unsupported(Location::File(folder_.string()), "the tokenizer has no mask");
    return InvalidInput(where, fmt::format("expected a text with a mask, '{}'",
                                           tokenizer_->IdToToken(*mask).value_or("")));
  }
  if (!has_token_types_) std::ranges::fill(encoded[0].type_ids, 0);
  return std::move(encoded[0]);
}

Status EncoderModel::Encode(std::span<const TextPair> texts, const EncodeSettings& settings,
                            const TextOrigin& origin, std::vector<Encoding>& encodings) {
  for (size_t i = 0; i < texts.size(); ++i) {
    const Location where =
        Location::Line(origin.name, origin.first_line + static_cast<int64_t>(i), 0);
    QEFF_ASSIGN_OR_RETURN(Encoding encoding, EncodeOne(texts[i], settings, where));
    encodings.push_back(std::move(encoding));
  }
  return Status::Ok();
}

BatchRun EncoderModel::RunEncoded(std::span<const Encoding> encodings,
                                  const EncodeSettings& settings, const TextOrigin& origin) {
  const bool is_per_token =
      output() == EncoderOutput::kTokenStates || output() == EncoderOutput::kTokenLogits;
  const auto keep = [&](const Encoding& encoding, std::span<const float> row,
                        std::vector<float>& kept) {
    if (is_per_token) row = row.first(encoding.ids.size() * static_cast<size_t>(features()));
    if (settings.keeps_only_masks) {
      KeepMasks(row, encoding.ids, *tokenizer_->mask_id(), kept);
    } else {
      kept.assign(row.begin(), row.end());
    }
  };
  BatchRun run = RunInBatches(*program_, encodings, call_tokens_, keep);
  if (run.refused) {
    const int64_t line = origin.first_line + static_cast<int64_t>(*run.refused);
    run.status = std::move(run.status)
                     .WithNote(fmt::format("the text is {}",
                                           Location::Line(origin.name, line, 0).ToString()));
  }
  return run;
}

Status EncoderModel::Run(std::span<const TextPair> texts, const EncodeSettings& settings,
                         const TextOrigin& origin, const OnRow& on_row) {
  std::vector<Encoding> encodings;
  Status encoded = Encode(texts, settings, origin, encodings);
  BatchRun run = RunEncoded(encodings, settings, origin);
  for (size_t i = 0; i < run.rows.size(); ++i) {
    if (!std::ranges::all_of(run.rows[i], [](float value) { return std::isfinite(value); })) {
      return InvalidInput(
          Location::Line(origin.name, origin.first_line + static_cast<int64_t>(i), 0),
          "the model gives something for this text that is not a finite number",
          {"weights may be damaged, or numbers beyond the range of a float type of the program"});
    }
    QEFF_RETURN_IF_ERROR(on_row({.text = texts[i].second.value_or(texts[i].first),
                                 .encoding = encodings[i],
                                 .values = run.rows[i]}));
  }
  return run.status.ok() ? std::move(encoded) : std::move(run.status);
}

Status EncoderModel::RunAll(TextSource& source, const EncodeSettings& settings, const OnRow& on_row,
                            const std::function<Status()>& on_window) {
  const bool is_per_token =
      output() == EncoderOutput::kTokenStates || output() == EncoderOutput::kTokenLogits;
  const size_t most_texts = is_per_token ? kWindowTextsPerToken : kWindowTexts;
  std::vector<std::string> window;
  Status status = Status::Ok();
  for (bool has_more = true; has_more && status.ok();) {
    window.clear();
    const TextOrigin origin{source.name(), source.line() + 1};
    size_t bytes = 0;
    while (window.size() < most_texts && bytes < kWindowBytes) {
      std::string text;
      Result<bool> next = source.Next(text);
      has_more = next.ok() && *next;
      if (!has_more) {
        status = std::move(next).status();
        break;
      }
      bytes += text.size();
      window.push_back(std::move(text));
    }
    std::vector<TextPair> texts;
    for (const std::string& text : window) {
      TextPair pair{.first = text, .second = {}};
      if (settings.query) pair = {.first = *settings.query, .second = text};
      texts.push_back(pair);
    }
    Status run = Run(texts, settings, origin, on_row);
    QEFF_RETURN_IF_ERROR(on_window());
    if (!run.ok()) return run;
  }
  return status;
}

}  // namespace qeff::stages
