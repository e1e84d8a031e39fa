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
