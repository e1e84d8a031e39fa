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
#include <string>
#include <string_view>
#include <vector>

#include "lib/artifact/artifact_folder.h"
#include "lib/generation/session.h"
#include "lib/ir/graph.h"
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
  kAuto,  ///< as the checkpoint has them if that loses nothing (bf16 stays bf16), else f32
  kF32,
  kBf16,
};

struct BackendCompileOptions {
  int num_cores = 1;  ///< threads on a CPU, NSP cores on a card
  WeightStorage weight_storage = WeightStorage::kAuto;
};

struct BackendOpenOptions {
  int num_threads = 0;  ///< 0: as compiled
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;

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
