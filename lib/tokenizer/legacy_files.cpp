// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/legacy_files.h"

#include <algorithm>

#include "lib/support/file.h"
#include "lib/tokenizer/legacy_settings.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSentencePieceNames[] = {"tokenizer.model", "spiece.model",
                                                    "sentencepiece.bpe.model", "spm.model"};

bool UsesSentencePiece(LegacyStyle style) { return style <= LegacyStyle::kDebertaV2; }

/// Returns the first of the names that is in the folder; empty if none is.
fs::path FirstFile(const fs::path& folder, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (fs::exists(folder / name)) return folder / name;
  }
  return {};
}

/// Returns the folder's *.tiktoken file; empty if there is none. Errors: kInvalidInput for several.
Result<fs::path> TiktokenFile(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".tiktoken") files.push_back(it->path());
  }
  if (files.size() > 1) {
    return InvalidInput(Location::File(folder.string()),
                        "expected one .tiktoken file, got several");
  }
  return files.empty() ? fs::path() : files[0];
}

/// A tokenizer.model is SentencePiece's, or (Llama 3) lines of tiktoken.
Result<Json> ConvertModelFile(const LegacySettings& settings, const fs::path& file,
                              LegacyStyle& style) {
  QEFF_ASSIGN_OR_RETURN(const std::string content, ReadSmallFile(file));
  constexpr char kFirstPiece = 0x0A;  // the key of field 1, which every SentencePiece model has
  if (!content.starts_with(kFirstPiece)) {
    style = LegacyStyle::kTiktoken;
    return ConvertTiktoken(settings, file, content);
  }
  return ConvertSentencePiece(settings, style, file, content);
}

/// Picks the files by the class, or the class by the files; `style` and `file` become what was
/// picked.
Result<Json> Convert(const LegacySettings& settings, LegacyStyle& style, fs::path& file) {
  const fs::path& folder = settings.folder();
  const auto named = settings.style();
  const fs::path model = FirstFile(folder, kSentencePieceNames);
  if (!model.empty() && UsesSentencePiece(named.value_or(LegacyStyle::kSentencePiece))) {
    style = named.value_or(LegacyStyle::kSentencePiece);
    file = model;
    return ConvertModelFile(settings, model, style);
  }
  const bool wants_bpe =
      !named.has_value() || (!UsesSentencePiece(*named) && *named != LegacyStyle::kBert);
  if (wants_bpe && fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    file = folder / "vocab.json";
    return ConvertBpeFiles(settings, style);
  }
  if (named.value_or(LegacyStyle::kBert) == LegacyStyle::kBert &&
      fs::exists(folder / "vocab.txt")) {
    style = LegacyStyle::kBert;
    file = folder / "vocab.txt";
    return ConvertBertFiles(settings);
  }
  QEFF_ASSIGN_OR_RETURN(file, TiktokenFile(folder));
  if (!file.empty()) {
    style = LegacyStyle::kTiktoken;
    QEFF_ASSIGN_OR_RETURN(const std::string content, ReadSmallFile(file));
    return ConvertTiktoken(settings, file, content);
  }
  return IoError(Location::File((folder / "tokenizer.json").string()), "there is no such file", 0,
                 {"nor are there files of an older tokenizer of the class of this model: "
                  "tokenizer.model, vocab.json with merges.txt, vocab.txt or *.tiktoken"});
}

}  // namespace

Result<LegacyTokenizer> ReadLegacyTokenizer(const fs::path& folder) {
  QEFF_ASSIGN_OR_RETURN(const LegacySettings settings, LegacySettings::Read(folder));
  LegacyStyle style = LegacyStyle::kSentencePiece;
  fs::path file;
  QEFF_ASSIGN_OR_RETURN(Json json, Convert(settings, style, file));
  return LegacyTokenizer{
      .file = ConfigDocument::Wrap(std::make_shared<const Json>(std::move(json)), file.string()),
      .roles = settings.ClassRoles(style)};
}

}  // namespace qeff
