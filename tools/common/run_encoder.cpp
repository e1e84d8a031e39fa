// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/run_encoder.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <span>

#include "lib/artifact/cache.h"
#include "lib/embedding/npy.h"
#include "lib/support/json.h"
#include "lib/support/log.h"
#include "lib/support/progress.h"
#include "stages/encoder.h"
#include "tools/common/encoder_output.h"
#include "tools/common/run_tool.h"
#include "tools/common/token_output.h"

namespace qeff::tools {
namespace {

using stages::EncodedRow;

/// Results that are sorted or compared with each other are kept in memory.
constexpr size_t kMostKept = 100'000;
constexpr size_t kMostCompared = 2'000;

/// The shortest text that reads back to the same float; JSON has none for what is not finite.
std::string Number(float value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string Numbers(std::span<const float> values) {
  std::string text = "[";
  for (const float value : values) text += (text.size() > 1 ? ", " : "") + Number(value);
  return text + "]";
}

Status TooMany(const char* flag, size_t most) {
  return UsageError(Location::Flag(flag), fmt::format("expected at most {} texts", most),
                    {"write embeddings with --output FILE.npy and search them with --search"});
}

/// One call of a tool: the model, where texts come from, and what is counted.
class EncoderRun {
 public:
  EncoderRun(const EncoderArguments& arguments, stages::EncoderModel& model, TextSource& source,
             stages::EncodeSettings settings)
      : arguments_(arguments), model_(model), source_(source), settings_(std::move(settings)) {}

  Status Embed(const std::string& identity) {
    if (model_.output() == EncoderOutput::kTokenStates) return EmbedTokens();
    return WriteRows(
        identity, [](std::span<float>) {},
        [](int64_t index, const EncodedRow& row) -> Result<std::string> {
          return fmt::format(R"({{"index": {}, "embedding": {}}})", index, Numbers(row.values));
        });
  }

  Status Classify(const std::string& identity) {
    if (model_.output() == EncoderOutput::kTokenLogits) return ClassifyTokens(identity);
    const auto score = [&](std::span<float> row) {
      stages::ApplyScoreFunction(model_.score_function(), row);
    };
    return WriteRows(identity, score,
                     [&](int64_t index, const EncodedRow& row) -> Result<std::string> {
                       return DescribeClasses(index, row.values);
                     });
  }

  Status FillMasks(const std::string& identity, size_t count) {
    settings_.keeps_only_masks = true;
    return WriteRows(
        identity, [](std::span<float>) {},
        [&](int64_t index, const EncodedRow& row) -> Result<std::string> {
          QEFF_ASSIGN_OR_RETURN(const auto masks,
                                stages::FillMasks(model_.tokenizer(), row, count));
          return DescribeMasks(index, masks, style());
        });
  }

  /// Prints how alike the texts are, a row a line.
  Status PrintSimilarity() {
    std::vector<std::vector<float>> vectors;
    QEFF_RETURN_IF_ERROR(Collect("--similarity", kMostCompared, vectors));
    for (const std::vector<float>& a : vectors) {
      std::string line;
      for (const std::vector<float>& b : vectors)
        line +=
            fmt::format("{}{:.6f}", line.empty() ? "" : " ", Compare(model_.similarity(), a, b));
      PrintResult(line);
    }
    return Status::Ok();
  }

  Status Search(size_t count) {
    QEFF_ASSIGN_OR_RETURN(const NpyMatrix matrix, NpyMatrix::Open(arguments_.search));
    if (matrix.columns() != model_.features()) {
      return InvalidInput(Location::File(arguments_.search),
                          fmt::format("expected vectors of {} elements, as the model's, got {}",
                                      model_.features(), matrix.columns()));
    }
    std::vector<std::vector<float>> vectors;
    QEFF_RETURN_IF_ERROR(Collect("--search", kMostCompared, vectors));
    const std::vector<std::span<const float>> queries(vectors.begin(), vectors.end());
    const auto nearest = FindNearest(matrix, model_.similarity(), queries, count);
    std::map<int64_t, std::string> documents;
    for (const auto& neighbors : nearest) {
      for (const Neighbor& neighbor : neighbors) documents[neighbor.row];
    }
    QEFF_RETURN_IF_ERROR(FindDocuments(documents));
    for (size_t i = 0; i < nearest.size(); ++i) PrintNeighbors(i, nearest[i], documents);
    return Status::Ok();
  }

  Status Rerank() {
    struct Scored {
      int64_t index;
      float score;
      std::string text;
    };
    std::vector<Scored> documents;
    Status status = RunAll(
        [&](const EncodedRow& row) -> Status {
          if (documents.size() == kMostKept) return TooMany("--documents", kMostKept);
          float score = row.values[0];
          stages::ApplyScoreFunction(model_.rerank_function(), std::span(&score, 1));
          documents.push_back(
              {static_cast<int64_t>(documents.size()), score, std::string(row.text)});
          return Status::Ok();
        },
        [] { return Status::Ok(); });
    std::ranges::stable_sort(documents, std::greater(), &Scored::score);
    for (const Scored& document : documents) {
      PrintResult(arguments_.is_table
                      ? fmt::format("{:.6f}  {}", document.score, document.text)
                      : fmt::format(R"({{"index": {}, "score": {}, "text": {}}})", document.index,
                                    Number(document.score), DumpText(document.text)));
    }
    // What was computed before an error is not lost.
    if (status.ok() || documents.empty()) return status;
    return std::move(status).WithNote(
        fmt::format("only the {} documents before it were ranked", documents.size()));
  }

  void PrintStatistics() const {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    LogInfo("{} texts in {:.3f} s, {:.1f} texts/s", texts_, seconds,
            static_cast<double>(texts_) / seconds);
    if (model_.cut_texts() == 0) return;
    LogInfo("{} of them had more than {} tokens and were cut", model_.cut_texts(),
            model_.max_tokens());
  }

 private:
  Status RunAll(const stages::OnRow& on_row, const std::function<Status()>& on_window) {
    Progress progress("encoding", 0, "texts");
    const auto count = [&](const EncodedRow& row) {
      ++texts_;
      return on_row(row);
    };
    return model_.RunAll(source_, settings_, count, [&] {
      const double size = static_cast<double>(source_.size_bytes());
      progress.Set(texts_, size > 0 ? static_cast<double>(source_.bytes_read()) / size : 0);
      return on_window();
    });
  }

  Status Collect(const char* flag, size_t most, std::vector<std::vector<float>>& vectors) {
    return RunAll(
        [&](const EncodedRow& row) -> Status {
          if (vectors.size() == most) return TooMany(flag, most);
          vectors.emplace_back(row.values.begin(), row.values.end());
          return Status::Ok();
        },
        [] { return Status::Ok(); });
  }

  /// Reads over the texts whose rows are there already.
  Status SkipResumed(ResultFile& file) {
    std::string text;
    for (int64_t i = 0; i < file.resumed_rows(); ++i) {
      QEFF_ASSIGN_OR_RETURN(const bool has_text, source_.Next(text));
      if (!has_text) break;
      file.SkipInput(text);
    }
    if (file.resumed_rows() > 0)
      LogInfo("going on after {} rows of '{}'", file.resumed_rows(), file.part_path());
    return file.CheckResumed();
  }

  template <typename Score, typename Describe>
  Status WriteRows(const std::string& identity, const Score& score, const Describe& describe) {
    QEFF_ASSIGN_OR_RETURN(EncoderOutputFile output,
                          EncoderOutputFile::Open(arguments_.output, model_.features(), identity,
                                                  arguments_.resumes));
    if (output.file() != nullptr) QEFF_RETURN_IF_ERROR(SkipResumed(*output.file()));
    std::vector<float> scored;
    const auto on_row = [&](const EncodedRow& row) -> Status {
      scored.assign(row.values.begin(), row.values.end());
      score(std::span(scored));
      if (output.is_npy()) {
        output.AddRow(row.text, scored);
        return Status::Ok();
      }
      QEFF_ASSIGN_OR_RETURN(
          std::string line,
          describe(output.rows(), {.text = row.text, .encoding = row.encoding, .values = scored}));
      output.AddLine(row.text, std::move(line));
      return Status::Ok();
    };
    Status status = RunAll(on_row, [&] { return output.EndWindow(); });
    if (status.ok()) status = output.Finish();
    if (status.ok() || output.file() == nullptr || output.file()->saved_rows() == 0) return status;
    return std::move(status).WithNote(
        fmt::format("{} rows are in '{}': --resume goes on after them", output.file()->saved_rows(),
                    output.file()->part_path()));
  }

  LineStyle style() const { return arguments_.is_table ? LineStyle::kTable : LineStyle::kJson; }

  Status ClassifyTokens(const std::string& identity) {
    const auto aggregation = arguments_.aggregation == "simple" ? stages::Aggregation::kSimple
                                                                : stages::Aggregation::kNone;
    return WriteRows(
        identity, [](std::span<float>) {},
        [&](int64_t index, const EncodedRow& row) -> Result<std::string> {
          QEFF_ASSIGN_OR_RETURN(
              const auto entities,
              stages::FindEntities(model_.tokenizer(), model_.labels(), row, aggregation));
          return DescribeEntities(index, entities, aggregation, style());
        });
  }

  Status EmbedTokens() {
    int64_t index = 0;
    const auto features = static_cast<size_t>(model_.features());
    std::string lines;
    return RunAll(
        [&](const EncodedRow& row) {
          std::string tokens;
          for (size_t begin = 0; begin < row.values.size(); begin += features)
            tokens += (begin == 0 ? "" : ", ") + Numbers(row.values.subspan(begin, features));
          lines += fmt::format("{{\"index\": {}, \"embeddings\": [{}]}}\n", index++, tokens);
          return Status::Ok();
        },
        [&] {
          PrintText(lines);
          lines.clear();
          return Status::Ok();
        });
  }

  std::string DescribeClasses(int64_t index, std::span<const float> row) const {
    const auto best = static_cast<size_t>(std::ranges::max_element(row) - row.begin());
    const std::string& label = model_.labels()[best];
    if (arguments_.is_table) {
      return fmt::format("{}  {}  {:.6f}", index, label, row[best]);
    }
    std::string scores;
    for (size_t i = 0; i < row.size(); ++i) {
      scores +=
          fmt::format("{}{}: {}", i == 0 ? "" : ", ", DumpText(model_.labels()[i]), Number(row[i]));
    }
    return fmt::format(R"({{"index": {}, "label": {}, "score": {}, "scores": {{{}}}}})", index,
                       DumpText(label), Number(row[best]), scores);
  }

  /// Fills in the texts of the rows asked for, from --documents.
  Status FindDocuments(std::map<int64_t, std::string>& documents) const {
    if (arguments_.documents.empty()) return Status::Ok();
    QEFF_ASSIGN_OR_RETURN(TextSource source, TextSource::Open(arguments_.documents,
                                                              {.field = arguments_.field,
                                                               .is_lossy = arguments_.is_lossy}));
    std::string text;
    const int64_t last = documents.empty() ? -1 : documents.rbegin()->first;
    for (int64_t row = 0; row <= last; ++row) {
      QEFF_ASSIGN_OR_RETURN(const bool has_text, source.Next(text));
      if (!has_text) {
        return InvalidInput(Location::File(source.name()),
                            fmt::format("expected a text for row {} of '{}', got {} texts", last,
                                        arguments_.search, row));
      }
      if (const auto wanted = documents.find(row); wanted != documents.end()) wanted->second = text;
    }
    return Status::Ok();
  }

  void PrintNeighbors(size_t query, const std::vector<Neighbor>& neighbors,
                      const std::map<int64_t, std::string>& documents) const {
    std::string entries;
    for (const Neighbor& neighbor : neighbors) {
      const std::string& text = documents.at(neighbor.row);
      if (arguments_.is_table) {
        PrintResult(fmt::format("{}  {:.6f}  {}{}{}", query, neighbor.score, neighbor.row,
                                text.empty() ? "" : "  ", text));
        continue;
      }
      entries += fmt::format(R"({}{{"row": {}, "score": {}{}}})", entries.empty() ? "" : ", ",
                             neighbor.row, Number(neighbor.score),
                             arguments_.documents.empty() ? "" : ", \"text\": " + DumpText(text));
    }
    if (!arguments_.is_table)
      PrintResult(fmt::format(R"({{"index": {}, "neighbors": [{}]}})", query, entries));
  }

  const EncoderArguments& arguments_;
  stages::EncoderModel& model_;
  TextSource& source_;
  stages::EncodeSettings settings_;
  int64_t texts_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// The option that asks for something: one of them was given.
const char* WantedOption(const CLI::App& app) {
  for (const char* flag : {"--embed", "--classify", "--fill-mask"}) {
    if (app.count(flag) > 0) return flag;
  }
  return "--rerank";
}

/// The texts that stand behind the wanted option; none for --rerank.
const std::vector<std::string>& GivenTexts(const CLI::App& app, const EncoderArguments& arguments) {
  if (app.count("--embed") > 0) return arguments.embed;
  return app.count("--fill-mask") > 0 ? arguments.fill_mask : arguments.classify;
}

/// Options that only say something together with another one.
Status CheckCombinations(const CLI::App& app, const EncoderArguments& arguments) {
  const auto needs = [&](const char* flag, bool is_there, const char* other) {
    if (app.count(flag) == 0 || is_there) return Status::Ok();
    return UsageError(Location::Flag(flag), fmt::format("expected {} with it", other));
  };
  const bool embeds = app.count("--embed") > 0;
  const bool reranks = app.count("--rerank") > 0;
  QEFF_RETURN_IF_ERROR(needs("--similarity", embeds, "--embed"));
  QEFF_RETURN_IF_ERROR(needs("--search", embeds, "--embed"));
  QEFF_RETURN_IF_ERROR(needs("--prompt-name", embeds, "--embed"));
  const bool fills = app.count("--fill-mask") > 0;
  const auto& texts = GivenTexts(app, arguments);
  const bool names_no_text = !reranks && texts.size() == 1 && texts[0].empty();
  QEFF_RETURN_IF_ERROR(
      needs("--input", names_no_text, "--embed, --classify or --fill-mask without a text"));
  QEFF_RETURN_IF_ERROR(
      needs("--top-k", fills || !arguments.search.empty(), "--search or --fill-mask"));
  QEFF_RETURN_IF_ERROR(needs("--aggregation", app.count("--classify") > 0, "--classify"));
  QEFF_RETURN_IF_ERROR(needs("--resume", !arguments.output.empty(), "--output"));
  QEFF_RETURN_IF_ERROR(needs("--rerank", !arguments.documents.empty(), "--documents"));
  QEFF_RETURN_IF_ERROR(
      needs("--documents", reranks || !arguments.search.empty(), "--rerank or --search"));
  QEFF_RETURN_IF_ERROR(needs("--output",
                             !reranks && !arguments.shows_similarity && arguments.search.empty(),
                             "--embed, --classify or --fill-mask alone"));
  return needs("--table", !embeds || !arguments.search.empty(),
               "--classify, --fill-mask, --rerank or --search");
}

Result<TextSource> OpenSource(const CLI::App& app, const EncoderArguments& arguments) {
  TextSourceOptions options{.field = arguments.field, .is_lossy = arguments.is_lossy};
  if (app.count("--rerank") > 0) return TextSource::Open(arguments.documents, options);
  const auto& texts = GivenTexts(app, arguments);
  const bool names_no_text = texts.size() == 1 && texts[0].empty();
  if (!names_no_text) return TextSource::FromTexts(texts, options);
  if (!arguments.search.empty()) options.field.clear();  // it is that of --documents
  if (arguments.input == "-" && ::isatty(STDIN_FILENO) == 1) {
    return UsageError(Location::Flag("--input"), "no text given",
                      {"name texts after the option, give --input FILE, or pipe lines in"});
  }
  return TextSource::Open(arguments.input, options);
}

/// The query as the documents are read: checked, or mended with --lossy.
Result<std::string> ReadQuery(const EncoderArguments& arguments) {
  TextSource source =
      TextSource::FromTexts({arguments.query}, {.field = {}, .is_lossy = arguments.is_lossy});
  std::string query;
  QEFF_RETURN_IF_ERROR(source.Next(query).status());
  return query;
}

/// What the program gives, for messages.
std::string DescribeOutput(const stages::EncoderModel& model) {
  switch (model.output()) {
    case EncoderOutput::kEmbedding:
    case EncoderOutput::kTokenStates:
      return "embeddings, no logits";
    case EncoderOutput::kClassLogits:
      return fmt::format("logits of {} labels", model.features());
    case EncoderOutput::kTokenLogits:
      break;
  }
  return model.predicts_tokens()
             ? "tokens for masks"
             : fmt::format("logits of {} labels for each token", model.features());
}

/// Whether the program can do what is asked of it.
Status CheckOutput(const CLI::App& app, const EncoderArguments& arguments,
                   const stages::EncoderModel& model) {
  const EncoderOutput output = model.output();
  for (const char* flag : {"--output", "--similarity", "--search"}) {
    if (output != EncoderOutput::kTokenStates || app.count(flag) == 0) continue;
    return UsageError(Location::Flag(flag),
                      "the program gives a vector for each token, not one for a text",
                      {"compile the model with --pooling mean, cls, max or last"});
  }
  const bool has_vectors =
      output == EncoderOutput::kEmbedding || output == EncoderOutput::kTokenStates;
  const bool has_token_labels = output == EncoderOutput::kTokenLogits && !model.predicts_tokens();
  const std::string_view wanted = WantedOption(app);
  const bool can = wanted == "--embed" ? has_vectors
                   : wanted == "--classify"
                       ? output == EncoderOutput::kClassLogits || has_token_labels
                   : wanted == "--rerank" ? output == EncoderOutput::kClassLogits
                                          : model.predicts_tokens();
  if (!can) {
    const std::string remedy = has_vectors               ? "use --embed"
                               : model.predicts_tokens() ? "use --fill-mask"
                               : has_token_labels        ? "use --classify"
                                                         : "use --classify or --rerank";
    return UsageError(Location::Flag(wanted),
                      fmt::format("the program gives {}", DescribeOutput(model)),
                      {wanted == "--embed" && !has_vectors && output == EncoderOutput::kTokenLogits
                           ? remedy + ", or export the model without its head: --pooling mean"
                           : remedy});
  }
  if (wanted == "--rerank" && model.features() != 1) {
    return UsageError(
        Location::Flag(wanted),
        fmt::format("a reranker has one output, this model has {} labels", model.features()));
  }
  if (app.count("--aggregation") > 0 && !has_token_labels) {
    return UsageError(Location::Flag("--aggregation"),
                      "this is for models that label tokens; the program labels texts");
  }
  if (output == EncoderOutput::kTokenLogits && arguments.output.ends_with(".npy")) {
    return UsageError(Location::Flag("--output"),
                      "a .npy file has a row of numbers for each text; the results are for tokens",
                      {"use another name: the file has JSON lines then"});
  }
  return Status::Ok();
}

/// What rows depend on besides texts, so that a file is not resumed with something else.
Result<std::string> Identity(const CLI::App& app, const std::filesystem::path& qpc,
                             const EncoderArguments& arguments, const std::string& prompt,
                             int64_t masks_top_k) {
  QEFF_ASSIGN_OR_RETURN(const artifact::Manifest manifest,
                        artifact::ReadManifest(qpc, artifact::kQpcFormat));
  const std::string kind = app.count("--embed") > 0 ? "embeddings"
                           : app.count("--fill-mask") > 0
                               ? fmt::format("{} tokens a mask", masks_top_k)
                           : arguments.aggregation == "none" ? "classes"
                                                             : "classes, " + arguments.aggregation;
  return fmt::format("program {}, {}, prompt {}", artifact::CacheKey(manifest), kind,
                     DumpText(prompt)) +
         (arguments.is_table ? ", table" : "");
}

}  // namespace

Status RunEncoder(const CLI::App& app, const std::filesystem::path& qpc,
                  const EncoderArguments& arguments, const BackendOpenOptions& options,
                  std::optional<int64_t> top_k) {
  constexpr int64_t kNeighbors = 10;
  constexpr int64_t kFills = 5;  // transformers'
  QEFF_RETURN_IF_ERROR(CheckCombinations(app, arguments));
  if (top_k.value_or(1) < 1) {
    return UsageError(Location::Flag("--top-k"),
                      fmt::format("expected a number from 1 on, got {}", *top_k));
  }
  QEFF_ASSIGN_OR_RETURN(stages::EncoderModel model, stages::EncoderModel::Open(qpc, options));
  QEFF_RETURN_IF_ERROR(CheckOutput(app, arguments, model));
  QEFF_ASSIGN_OR_RETURN(TextSource source, OpenSource(app, arguments));
  stages::EncodeSettings settings{.truncates = !arguments.refuses_long};
  if (app.count("--embed") > 0) {
    QEFF_ASSIGN_OR_RETURN(settings.prompt, model.Prompt(arguments.prompt_name));
  }
  if (app.count("--rerank") > 0) {
    QEFF_ASSIGN_OR_RETURN(settings.query, ReadQuery(arguments));
  }
  const int64_t fills = top_k.value_or(kFills);
  QEFF_ASSIGN_OR_RETURN(const std::string identity,
                        Identity(app, qpc, arguments, settings.prompt, fills));
  EncoderRun run(arguments, model, source, settings);
  const auto run_wanted = [&] {
    if (settings.query) return run.Rerank();
    if (app.count("--classify") > 0) return run.Classify(identity);
    if (app.count("--fill-mask") > 0) return run.FillMasks(identity, static_cast<size_t>(fills));
    if (arguments.shows_similarity) return run.PrintSimilarity();
    if (!arguments.search.empty())
      return run.Search(static_cast<size_t>(top_k.value_or(kNeighbors)));
    return run.Embed(identity);
  };
  QEFF_RETURN_IF_ERROR(run_wanted());
  run.PrintStatistics();
  return Status::Ok();
}

}  // namespace qeff::tools
