// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a target has to offer: say what it supports, compile specialised graphs into programqpc.bin,
// and open such a program. The compile and run stages know targets only through this. A new backend
// is a folder with one class and one line in backends.def.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/artifact/artifact_folder.h"
#include "lib/artifact/compile_files.h"
#include "lib/generation/run_profile.h"
#include "lib/generation/session.h"
#include "lib/ir/graph.h"
#include "lib/support/json.h"
#include "lib/support/status.h"
#include "passes/pass_manager.h"

namespace qeff {

/// One way the program will be called: every symbol has its number, every value a static type,
/// shape arithmetic is folded away. Inputs X with an output X_RetainedState are retained state; all
/// graphs of one program share it. The weights of the graphs are the same recipes.
struct SpecializedGraph {
  std::string name;                        ///< "Prefill", "Decode", ...
  std::map<std::string, int64_t> symbols;  ///< {"batch_size": 1, ...}
  ir::Graph graph;
};

/// How weights of matrix products are kept.
enum class WeightStorage {
  kAuto,  ///< as the checkpoint has them if that loses nothing (bf16 and f16 stay), else f32
  kF32,
  kBf16,
  kF16,
  kInt8,   ///< 8 bits, a scale for each 128 of a column
  kInt4,   ///< 4 bits, a scale for each 32 of a column; the head in kInt8
  kMxfp6,  ///< MXFP6 (E2M3) of the OCP MX specification 1.0
};
/// The names of --weights, in the order of WeightStorage.
inline constexpr std::string_view kWeightStorageNames[] = {"auto", "f32",  "bf16", "f16",
                                                           "int8", "int4", "mxfp6"};
inline std::string_view WeightStorageName(WeightStorage storage) {
  return kWeightStorageNames[static_cast<size_t>(storage)];
}

/// How the factors of matrix products with constant weights are rounded. Sums, and everything
/// between the products, are f32 either way.
enum class ComputeType {
  kF32,   ///< not at all: numbers agree with Hugging Face in float32
  kBf16,  ///< rows that meet bf16 weights, and queries, keys, values and weights of attention in
          ///< calls of several tokens, to bf16: relative error 2^-8 each
};

/// How keys and values of earlier tokens are kept.
enum class KvCacheType {
  kF32,
  kBf16,
  kF16,
  kMxint8,  ///< MXINT8 of the OCP MX specification 1.0, a scale for each 32 channels of a head
};
/// The names of --kv-cache, in the order of KvCacheType.
inline constexpr std::string_view kKvCacheNames[] = {"f32", "bf16", "f16", "mxint8"};
inline std::string_view KvCacheName(KvCacheType type) {
  return kKvCacheNames[static_cast<size_t>(type)];
}

/// What only the compiler of a card understands. Named as the options of qeff-compile.
struct CardCompileOptions {
  std::filesystem::path sdk = "/opt/qti-aic";
  std::string hardware_version;  ///< "ai100", "ai200"; empty: that of the card in this machine
  bool mxfp6_matmul = false;     ///< weights of matrix products in MXFP6
  bool mxint8_kv_cache = false;  ///< retained state in MXINT8 instead of f16
  int64_t num_devices = 1;       ///< tensors are sliced over so many; 0 counts as 1
  std::filesystem::path mdp_load_partition_config;  ///< the user's own partition
  std::filesystem::path mdp_dump_partition_config;  ///< where the compiler writes its partition
  /// Stages of a pipeline over the devices, each with the nodes of some layers; 1: none.
  int64_t mdp_partitions = 1;
  /// A partition that the compiler has dumped: stages list only the nodes that it names. Empty:
  /// all.
  std::filesystem::path mdp_compiler_dump;
  std::filesystem::path node_precision_info;  ///< nodes that keep f32
  /// Through the QNN SDK's converter and generator instead of the compiler, with the user's
  /// settings of them if there are any.
  bool enable_qnn = false;
  std::filesystem::path qnn_sdk;
  std::filesystem::path qnn_config;
  /// Further options as the compiler spells them, in the user's order: "-mos=2".
  std::vector<std::string> compiler_options;
  friend bool operator==(const CardCompileOptions&, const CardCompileOptions&) = default;
};

struct BackendCompileOptions {
  int num_cores = 1;  ///< threads on a CPU, NSP cores on a card
  WeightStorage weight_storage = WeightStorage::kAuto;
  ComputeType compute = ComputeType::kF32;
  KvCacheType kv_cache = KvCacheType::kF32;
  CardCompileOptions card;
};

/// A model for a backend whose compiler reads the ONNX file itself.
struct OnnxProgram {
  std::filesystem::path onnx;        ///< absolute
  const ir::Model* model = nullptr;  ///< what is in that file
  std::vector<artifact::Specialization> specializations;
  Json given_specializations = nullptr;  ///< the list of the user's file, as it stands there
  std::vector<int64_t> num_speculative_tokens;
  std::optional<bool> prefill_only;
  std::optional<Json> config;  ///< config.json beside the file
  std::string name_or_path;    ///< of the model, for qconfig.json
};

/// What the compiler of a backend gets: its command lines, one after the other, and the files that
/// it reads or that explain the program, as name and content.
struct OnnxCompilePlan {
  std::vector<std::vector<std::string>> commands;
  std::vector<std::pair<std::string, std::string>> files;
};

struct BackendOpenOptions {
  int num_threads = 0;                ///< 0: as compiled, fewer beside busy programs
  std::string isa;                    ///< instruction set of a CPU; empty: the best one it has
  std::vector<int> devices;           ///< ids of a card's devices; empty: 0, 1, ... as compiled
  std::filesystem::path card_plugin;  ///< libqeff_aic_session.so; empty: beside the program
  /// Filled by backends whose steps are ours (cpu); stays without specializations in others.
  std::shared_ptr<RunProfile> profile;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  /// Cores to compile for if the user does not say.
  virtual int DefaultCores() const = 0;

  /// The passes that bring a raised graph into the form that this backend compiles best; they run
  /// before specialisation.
  virtual passes::Pipeline Pipeline() const = 0;

  /// Adds an error for every node that this backend cannot compile: op, dtype, name.
  virtual void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) const = 0;

  /// Writes programqpc.bin into `out`. Requires: CheckSupport found nothing. Errors: kIo,
  /// kUnsupported.
  virtual Status Compile(const std::vector<SpecializedGraph>& graphs,
                         const BackendCompileOptions& options,
                         artifact::ArtifactWriter& out) const = 0;

  /// True if the program is made from the ONNX file by a compiler of the vendor: then PlanOnnx and
  /// CompileOnnx are called, and neither Pipeline nor Compile; CheckSupport gets the graph as it is
  /// in the file.
  virtual bool CompilesOnnx() const { return false; }

  /// Fills in options that depend on this machine and returns those of this backend alone, with
  /// whatever else makes another program, for the manifest.
  virtual Result<std::map<std::string, artifact::OptionValue>> ResolveOptions(
      BackendCompileOptions& options) const;

  /// Returns what CompileOnnx would run and write, with `folder` as the artifact's path. Starts no
  /// compiler and needs none. Errors: kUsage, kUnsupported, kIo (a file of the user's).
  virtual Result<OnnxCompilePlan> PlanOnnx(const OnnxProgram& program,
                                           const BackendCompileOptions& options,
                                           const std::filesystem::path& folder) const;

  /// Writes the files of the plan and the program into `out`, which will be `final_folder`.
  /// Errors: those of PlanOnnx; kBackend (no compiler, it failed); kIo.
  virtual Status CompileOnnx(const OnnxProgram& program, const BackendCompileOptions& options,
                             const std::filesystem::path& final_folder,
                             artifact::ArtifactWriter& out) const;

  /// Opens the program in `folder`, which Compile of this backend has written; every byte is
  /// checked before it is used. Errors: kIo, kInvalidInput, kVersionMismatch.
  virtual Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                                const BackendOpenOptions& options) const = 0;
};

/// Returns the backends of backends.def, the default first.
const std::vector<const Backend*>& AllBackends();
/// Errors: kUsage with the names there are.
Result<const Backend*> FindBackend(std::string_view name);

}  // namespace qeff
