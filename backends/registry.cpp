// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/backend.h"

namespace qeff {

#define BACKEND(folder, factory) std::unique_ptr<Backend> factory();
#include "backends/backends.def"
#undef BACKEND

const std::vector<const Backend*>& AllBackends() {
  static const std::vector<std::unique_ptr<Backend>> owned = [] {
    std::vector<std::unique_ptr<Backend>> made;
#define BACKEND(folder, factory) made.push_back(factory());
#include "backends/backends.def"
#undef BACKEND
    return made;
  }();
  static const std::vector<const Backend*> backends = [] {
    std::vector<const Backend*> all;
    for (const auto& backend : owned) all.push_back(backend.get());
    return all;
  }();
  return backends;
}

Result<std::map<std::string, artifact::OptionValue>> Backend::ResolveOptions(
    BackendCompileOptions& options) const {
  if (!(options.card == CardCompileOptions{})) {
    return UsageError(Location::Flag("--backend"),
                      fmt::format("options of a card were given, but the target is '{}'", name()),
                      {"name the card: --backend aic100, or leave out the options of its group"});
  }
  return std::map<std::string, artifact::OptionValue>{};
}

Result<OnnxCompilePlan> Backend::PlanOnnx(const OnnxProgram&, const BackendCompileOptions&,
                                          const std::filesystem::path&) const {
  return Unsupported(Location::Flag("--dry-run"),
                     fmt::format("'{}' runs no compiler that could be shown", name()),
                     {"name a target that does: --backend aic100"});
}

Status Backend::CompileOnnx(const OnnxProgram&, const BackendCompileOptions&,
                            const std::filesystem::path&, artifact::ArtifactWriter&) const {
  QEFF_CHECK(false, "backend '{}' compiles graphs, not ONNX files", name());
}

Result<const Backend*> FindBackend(std::string_view name) {
  std::vector<std::string> names;
  for (const Backend* backend : AllBackends()) {
    if (backend->name() == name) return backend;
    names.emplace_back(backend->name());
  }
  return UsageError(Location::Flag("--backend"), fmt::format("unknown backend '{}'", name),
                    {fmt::format("there are: {}", fmt::join(names, ", "))});
}

}  // namespace qeff
