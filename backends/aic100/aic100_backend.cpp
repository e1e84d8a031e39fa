// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cloud AI 100 behind the common interface: the vendor's compiler makes the program from the ONNX
// file, in a process of its own.
#include <unistd.h>

#include <algorithm>

#include "backends/aic100/card_session.h"
#include "backends/aic100/check_support.h"
#include "backends/aic100/compile_plan.h"
#include "backends/aic100/qnn_plan.h"
#include "backends/aic100/run_compiler.h"
#include "backends/backend.h"
#include "backends/program_file.h"
#include "lib/artifact/qpc.h"
#include "lib/support/file.h"
#include "lib/support/log.h"

namespace qeff {
namespace {

// Both from the SDK's documentation: cores of a program per SoC, SoCs of a program.
constexpr int kMostCores = 16;
constexpr int64_t kMostDevices = 16;

class Aic100Backend : public Backend {
 public:
  std::string_view name() const override { return "aic100"; }
  int DefaultCores() const override { return kMostCores; }
  bool CompilesOnnx() const override { return true; }
  passes::Pipeline Pipeline() const override { return {}; }

  void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) const override {
    aic100::CheckSupport(graph, diagnostics);
  }

  Result<std::map<std::string, artifact::OptionValue>> ResolveOptions(
      BackendCompileOptions& options) const override {
    QEFF_RETURN_IF_ERROR(CheckOptions(options));
    CardCompileOptions& card = options.card;
    if (card.hardware_version.empty())
      card.hardware_version = aic100::DetectHardwareVersion(card.sdk);
    return std::map<std::string, artifact::OptionValue>{
        {"aic_hw_version", card.hardware_version},
        {"mxfp6_matmul", card.mxfp6_matmul},
        {"mxint8_kv_cache", card.mxint8_kv_cache},
        {"num_devices", card.num_devices},
        {"mdp_partitions", card.mdp_partitions},
        {"enable_qnn", card.enable_qnn},
        {"qnn_sdk", card.enable_qnn ? card.qnn_sdk.string() : std::string()},
        {"compiler_options", card.compiler_options},
        {"sdk_apps_version", aic100::ReadSdkVersions(card.sdk).apps.value_or("unknown")}};
  }

  Result<OnnxCompilePlan> PlanOnnx(const OnnxProgram& program, const BackendCompileOptions& options,
                                   const std::filesystem::path& folder) const override {
    QEFF_RETURN_IF_ERROR(CheckCalls(program));
    if (options.card.enable_qnn) return aic100::PlanQnnCompile(program, options, folder, folder);
    return aic100::PlanCompile(program, options, ShownCompiler(options.card.sdk), folder, folder);
  }

  Status CompileOnnx(const OnnxProgram& program, const BackendCompileOptions& options,
                     const std::filesystem::path& final_folder,
                     artifact::ArtifactWriter& out) const override {
    QEFF_RETURN_IF_ERROR(CheckCalls(program));
    if (options.card.enable_qnn) return CompileThroughQnn(program, options, final_folder, out);
    QEFF_ASSIGN_OR_RETURN(const aic100::Compiler compiler, aic100::FindCompiler(options.card.sdk));
    const std::filesystem::path folder = std::filesystem::absolute(out.temporary_path());
    QEFF_ASSIGN_OR_RETURN(const OnnxCompilePlan plan,
                          aic100::PlanCompile(program, options, compiler, folder, final_folder));
    for (const auto& [name, content] : plan.files)
      QEFF_RETURN_IF_ERROR(out.WriteFile(name, content));
    const std::filesystem::path log = final_folder.string() + ".compile.log";
    QEFF_RETURN_IF_ERROR(aic100::RunCompiler(plan.commands.front(), log));
    return TakeBinaries(folder, folder / aic100::kBinaryFolder, compiler.path, log, out);
  }

  Status Compile(const std::vector<SpecializedGraph>&, const BackendCompileOptions&,
                 artifact::ArtifactWriter&) const override {
    QEFF_CHECK(false, "the card's compiler takes ONNX files, not graphs");
  }

  Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                        const BackendOpenOptions& options) const override {
    if (!options.isa.empty()) return UsageError(Location::Flag("--isa"), "is for the CPU");
    QEFF_ASSIGN_OR_RETURN(const std::vector<int> devices, ChooseDevices(folder, options.devices));
    return aic100::OpenCardSession(folder, {.devices = devices, .plugin = options.card_plugin});
  }

 private:
  /// Ops of other domains than ONNX's must be functions of the model: seen only in the whole model.
  static Status CheckCalls(const OnnxProgram& program) {
    Diagnostics findings;
    aic100::CheckSupport(*program.model, findings);
    return findings.ToStatus();
  }

  static Status CheckOptions(const BackendCompileOptions& options) {
    const CardCompileOptions& card = options.card;
    Diagnostics findings;
    const auto refuse = [&findings](const char* flag, std::string message, std::string remedy) {
      findings.Add({.code = ErrorCode::kUsage,
                    .where = Location::Flag(flag),
                    .message = std::move(message),
                    .notes = {std::move(remedy)}});
    };
    if (options.num_cores > kMostCores) {
      refuse(
          "--num-cores",
          fmt::format("a card has at most {} cores per SoC, got {}", kMostCores, options.num_cores),
          "16 on Pro and Ultra, 14 on Standard, 8 on AI 080 Ultra");
    }
    if (card.num_devices > kMostDevices) {
      refuse(
          "--num-devices",
          fmt::format("a program spans at most {} devices, got {}", kMostDevices, card.num_devices),
          "an Ultra card has 4 devices");
    }
    if (card.mdp_partitions > 1 && !card.mdp_load_partition_config.empty()) {
      refuse("--mdp-partitions",
             "excludes --mdp-load-partition-config, which says the same by hand",
             "leave one of them out");
    }
    if (card.mdp_partitions > 1 && card.mdp_partitions > card.num_devices) {
      refuse("--mdp-partitions",
             fmt::format("{} stages need at least as many devices, got {}", card.mdp_partitions,
                         card.num_devices),
             "say how many: --num-devices N");
    }
    if (card.enable_qnn && (card.mdp_partitions > 1 || !card.mdp_load_partition_config.empty())) {
      refuse("--enable-qnn", "slices tensors over devices and takes no other partition",
             "leave out --mdp-partitions and --mdp-load-partition-config");
    }
    if (options.weight_storage != WeightStorage::kAuto) {
      refuse("--weights", "is for the CPU",
             "on a card weights are f16, or MXFP6 with --mxfp6-matmul");
    }
    if (options.kv_cache != KvCacheType::kF32) {
      refuse("--kv-cache", "is for the CPU",
             "on a card keys and values are f16, or MXINT8 with --mxint8-kv-cache");
    }
    if (options.compute != ComputeType::kF32)
      refuse("--compute", "is for the CPU", "a card computes in f16");
    return findings.ToStatus();
  }

  /// The devices to run on: `given`, else as many as the program was compiled for, from 0 on.
  /// Errors: kUsage if `given` is another number of devices.
  static Result<std::vector<int>> ChooseDevices(const std::filesystem::path& folder,
                                                std::vector<int> given) {
    QEFF_ASSIGN_OR_RETURN(const artifact::Manifest manifest,
                          artifact::ReadManifest(folder, artifact::kQpcFormat));
    const auto option = manifest.options.find("num_devices");
    const auto* number =
        option == manifest.options.end() ? nullptr : std::get_if<int64_t>(&option->second);
    const int64_t compiled = number == nullptr ? 1 : std::max<int64_t>(*number, 1);
    if (given.empty()) {
      for (int id = 0; id < compiled; ++id) given.push_back(id);
    } else if (compiled > 1 && static_cast<int64_t>(given.size()) != compiled) {
      return UsageError(
          Location::Flag("--devices"),
          fmt::format("the program was compiled for {} devices, got {}", compiled, given.size()));
    }
    return given;
  }

  /// The compiler that is there, else the one that is usually there.
  static aic100::Compiler ShownCompiler(const std::filesystem::path& sdk) {
    const Result<aic100::Compiler> found = aic100::FindCompiler(sdk);
    return found.ok() ? *found : aic100::DefaultCompiler(sdk);
  }

  /// Runs the converter and the generator, each with a log beside the folder. They read files that
  /// name the folder they write to; those that stay name `final_folder`.
  static Status CompileThroughQnn(const OnnxProgram& program, const BackendCompileOptions& options,
                                  const std::filesystem::path& final_folder,
                                  artifact::ArtifactWriter& out) {
    const std::filesystem::path folder = std::filesystem::absolute(out.temporary_path());
    QEFF_ASSIGN_OR_RETURN(const OnnxCompilePlan plan,
                          aic100::PlanQnnCompile(program, options, folder, final_folder));
    QEFF_ASSIGN_OR_RETURN(const OnnxCompilePlan kept,
                          aic100::PlanQnnCompile(program, options, final_folder, final_folder));
    for (const auto& [name, content] : plan.files)
      QEFF_RETURN_IF_ERROR(WriteFileAtomically(folder / name, content));
    std::error_code error;
    if (plan.commands.size() == 1) {  // without the converter: its result of an earlier call
      std::filesystem::copy_file(final_folder / aic100::kDlcName, folder / aic100::kDlcName, error);
      if (error)
        return IoError(Location::File((final_folder / aic100::kDlcName).string()),
                       "SKIP_QNN_CONVERTER_STEP needs the converter's result of an earlier compile",
                       error.value());
    }
    std::filesystem::path log;
    for (const std::vector<std::string>& command : plan.commands) {
      const std::filesystem::path tool = command.front();
      QEFF_RETURN_IF_ERROR(CheckQnnTool(tool));
      log = fmt::format("{}.{}.log", final_folder.string(), tool.filename().string());
      QEFF_RETURN_IF_ERROR(aic100::RunCompiler(command, log));
    }
    for (const auto& [name, content] : plan.files) std::filesystem::remove(folder / name, error);
    QEFF_RETURN_IF_ERROR(TakeBinaries(folder, folder, plan.commands.back().front(), log, out));
    for (const auto& [name, content] : kept.files)
      QEFF_RETURN_IF_ERROR(out.WriteFile(name, content));
    return Status::Ok();
  }

  static Status CheckQnnTool(const std::filesystem::path& tool) {
    if (::access(tool.c_str(), X_OK) == 0) return Status::Ok();
    return Error(ErrorCode::kBackend, Location::File(tool.string()),
                 "there is no such program, or this user may not run it",
                 {"install the QNN SDK (x86-64 only), or say where it is with --qnn-sdk",
                  "--dry-run shows commands and files without it"});
  }

  /// Enters what the compiler wrote to `binaries`, `folder` or in it. Errors: kBackend if it wrote
  /// no program.
  static Status TakeBinaries(const std::filesystem::path& folder,
                             const std::filesystem::path& binaries,
                             const std::filesystem::path& compiler,
                             const std::filesystem::path& log, artifact::ArtifactWriter& out) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(binaries / kProgramFileName, error)) {
      return Error(ErrorCode::kBackend, Location::File(compiler.string()),
                   fmt::format("the compiler succeeded but wrote no {}", kProgramFileName),
                   {fmt::format("all it printed: {}", log.string())});
    }
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(binaries, error)) {
      if (entry.is_regular_file(error))
        names.push_back(std::filesystem::relative(entry.path(), folder, error).string());
    }
    if (error)
      return IoError(Location::File(binaries.string()), "cannot list the folder", error.value());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
      QEFF_RETURN_IF_ERROR(out.AddWrittenFile(name, artifact::HashKind::kXxh3));
    const Result<artifact::QpcFile> program = artifact::QpcFile::Open(binaries / kProgramFileName);
    if (!program.ok()) {
      LogWarning("the compiler's program is not in the container format that qeff knows: {}",
                 program.diagnostic().ToString());
    } else if (program->Find(artifact::kSimulatedSegment) != nullptr) {
      LogWarning("SIMULATED CARD: '{}' is a stand-in of the card's compiler", compiler.string());
    }
    return Status::Ok();
  }
};

}  // namespace

std::unique_ptr<Backend> MakeAic100Backend() { return std::make_unique<Aic100Backend>(); }

}  // namespace qeff
