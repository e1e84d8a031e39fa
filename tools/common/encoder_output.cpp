// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/encoder_output.h"

#include "tools/common/run_tool.h"

namespace qeff::tools {

Result<EncoderOutputFile> EncoderOutputFile::Open(const std::string& path, int64_t columns,
                                                  std::string settings, bool resumes) {
  EncoderOutputFile output;
  if (path.empty()) return output;
  output.is_npy_ = path.ends_with(".npy");
  QEFF_ASSIGN_OR_RETURN(
      ResultFile file,
      ResultFile::Open({.path = path,
                        .format = output.is_npy_ ? ResultFormat::kNpy : ResultFormat::kLines,
                        .columns = columns,
                        .settings = std::move(settings),
                        .resumes = resumes}));
  output.rows_ = file.resumed_rows();
  output.file_.emplace(std::move(file));
  return output;
}

void EncoderOutputFile::AddLine(std::string_view text, std::string line) {
  ++rows_;
  line += '\n';
  if (file_) {
    file_->AppendRow(text, std::as_bytes(std::span(line)));
  } else {
    lines_ += line;
  }
}

void EncoderOutputFile::AddRow(std::string_view text, std::span<const float> row) {
  ++rows_;
  file_->AppendRow(text, std::as_bytes(row));
}

Status EncoderOutputFile::EndWindow() {
  if (file_) return file_->Save();
  PrintText(lines_);
  lines_.clear();
  return Status::Ok();
}

Status EncoderOutputFile::Finish() {
  if (!file_) return EndWindow();
  return file_->Finish();
}

}  // namespace qeff::tools
