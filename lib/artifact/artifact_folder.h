// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Writing an artifact folder so that it is whole or not there. Files go into a hidden sibling of
// the final folder and are hashed on their way; Commit adds manifest.json and swaps the sibling
// into place. Whatever stops the process before, the folder of that name is the old one or absent.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/artifact/manifest.h"
#include "lib/support/status.h"

namespace qeff::artifact {

struct WriterState;

/// One file of an artifact that is being written: appended to in large pieces, hashed while
/// written. Used by one thread at a time; must not outlive its ArtifactWriter.
class ArtifactFile {
 public:
  ArtifactFile(ArtifactFile&&) noexcept;
  ~ArtifactFile();

  /// Errors: kIo with the byte offset (full disk included).
  Status Append(std::span<const std::byte> bytes);
  Status Append(std::string_view text) { return Append(std::as_bytes(std::span(text))); }
  /// Appends zero bytes up to the next multiple of `alignment_bytes`.
  Status AlignTo(size_t alignment_bytes);
  int64_t offset_bytes() const;
  /// Ends the file and enters it in the manifest. Required before Commit.
  Status Close();

 private:
  friend class ArtifactWriter;
  struct State;
  explicit ArtifactFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class ArtifactWriter {
 public:
  /// Starts an artifact that will be the folder `final_path`; missing parent folders are made, and
  /// leftovers of earlier processes that were killed while writing this artifact are removed. A
  /// symbolic link to a folder is followed. Errors: kUsage if `final_path` holds anything but an
  /// earlier artifact (a file, a folder without our manifest.json, a folder with files that its
  /// manifest does not name); kIo.
  static Result<ArtifactWriter> Create(const std::filesystem::path& final_path);
  ArtifactWriter(ArtifactWriter&&) noexcept;
  ArtifactWriter& operator=(ArtifactWriter&&) = delete;
  /// Removes everything that was written if Commit has not succeeded.
  ~ArtifactWriter();

  /// Starts the file `relative_path` ('/' between parts; missing folders are made). Several may be
  /// open at a time. Errors: kIo.
  Result<ArtifactFile> NewFile(std::string_view relative_path, HashKind hash_kind);

  /// Writes a whole small file. Errors: kIo.
  Status WriteFile(std::string_view relative_path, std::string_view content);

  /// Copies a file that the stage only carries along (configs, tokenizer). Errors: kIo.
  Status CopyFile(const std::filesystem::path& source, std::string_view relative_path);

  /// The hidden folder, for programs that insist on writing their output themselves; AddWrittenFile
  /// enters such a file.
  const std::filesystem::path& temporary_path() const;
  /// Enters a file that another program wrote into temporary_path(). Errors: kIo.
  Status AddWrittenFile(std::string_view relative_path, HashKind hash_kind);

  /// Writes `manifest` with the files of this writer as its `files`, then puts the folder in place;
  /// an earlier artifact of that name is replaced in one step. Call once. Errors: kIo; the earlier
  /// artifact is then untouched.
  Status Commit(Manifest manifest);

 private:
  explicit ArtifactWriter(std::unique_ptr<WriterState> state);
  std::unique_ptr<WriterState> state_;
};

}  // namespace qeff::artifact
