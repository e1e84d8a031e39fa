// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The readers of qeff-inspect, one for each kind of file: each adds what it found to a report.
// Headers are read, weights are not. All errors are those of the library that reads the format.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "lib/artifact/manifest.h"
#include "lib/checkpoint/checkpoint.h"
#include "lib/support/status.h"
#include "tools/common/options.h"
#include "tools/inspect/report.h"
#include "tools/inspect/subject.h"

namespace qeff::inspect {

struct ReadOptions {
  bool list_tensors = false;  ///< every tensor of a checkpoint or of a graph
};

Status ReadCheckpoint(const std::filesystem::path& folder, const ReadOptions& options,
                      Report& report);
/// Whether the checkpoint can be exported and what it needs, for contexts up to `max_positions`.
Status ReadSupport(const checkpoint::Checkpoint& checkpoint, int64_t max_positions, Report& report);
Status ReadSafetensors(const std::filesystem::path& file, Report& report);
/// Without its checkpoint, a graph whose weights are kept by reference is shown with a field
/// "weights_problem".
Status ReadOnnxModel(const std::filesystem::path& file, const ReadOptions& options, Report& report);
/// The container and, if `folder` is not empty, the files beside it.
Status ReadQpc(const std::filesystem::path& file, const std::filesystem::path& folder,
               Report& report);
/// The ELF file in `bytes`, which starts at `offset_bytes` of file `path`. Errors: kInvalidInput
/// (not 32 bits, a table outside of it).
Status ReadElf(std::span<const std::byte> bytes, const std::string& path, int64_t offset_bytes,
               Report& report);
/// The program of the CPU backend in `bytes`, of which the formats of its matrices are reported.
/// Errors: those of cpu::ReadProgram.
Status ReadCpuProgram(std::span<const std::byte> bytes, const std::string& path,
                      int64_t offset_bytes, Report& report);
Status ReadTokenizer(const std::filesystem::path& file, Report& report);
void AddManifest(const artifact::Manifest& manifest, Report& report);

struct DeviceRequest {
  std::filesystem::path sdk = "/opt/qti-aic";  ///< the vendor's software
  std::filesystem::path system_root = "/";     ///< below it are sys and dev
  std::filesystem::path plugin;                ///< the session's library; empty: the installed one
};
struct DeviceReport {
  Report report;
  int failed_checks = 0;
};
/// What this machine has of a Cloud AI card and its software: what works, and what is missing with
/// what to do.
DeviceReport ReadDevice(const DeviceRequest& request);

/// Everything about `subject`.
Result<Report> MakeReport(const Subject& subject, const ReadOptions& options);

/// Hashes all files of an artifact, or those of a Hugging Face snapshot whose hashes their cache
/// knows, and returns what was checked. Errors: kInvalidInput (names each file that is missing or
/// differs); kUsage if no hash is known.
Result<Fields> VerifyContent(const Subject& subject);

/// The main graph in Graphviz's language: a cluster for each "layers.N" of the node names, no
/// constants, values with their shapes. Errors: as ReadOnnxModel.
Result<std::string> DrawGraph(const std::filesystem::path& file);

struct TemplateRequest {
  std::string messages_file;
  std::optional<bool> add_generation_prompt;  ///< none: as the file says, else no
  tools::TemplateArguments arguments;
};
/// Returns the text that the chat template in `folder` (a checkpoint or any artifact of one) makes
/// of the messages in a JSON file. Errors: kUsage for the arguments; those of ReadChatRequest and
/// ChatTemplates.
Result<std::string> ApplyTemplate(const std::filesystem::path& folder,
                                  const TemplateRequest& request);

}  // namespace qeff::inspect
