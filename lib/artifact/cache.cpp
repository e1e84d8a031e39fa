// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/cache.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/support/hash.h"

namespace qeff::artifact {
namespace {

constexpr size_t kKeyDigits = 16;

const char* NonEmptyVariable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

}  // namespace

std::string CacheKey(const Manifest& manifest) {
  Manifest recipe = manifest;
  recipe.files.clear();
  recipe.modules.clear();
  return Sha256Hex(WriteManifest(recipe)).substr(0, kKeyDigits);
}

Result<std::filesystem::path> DefaultCacheRoot() {
  if (const char* root = NonEmptyVariable("QEFF_HOME")) return std::filesystem::path(root);
  if (const char* cache = NonEmptyVariable("XDG_CACHE_HOME")) {
    return std::filesystem::path(cache) / "qeff_models";
  }
  const char* home = NonEmptyVariable("HOME");
  if (home == nullptr) {
    const passwd* user = ::getpwuid(::getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  if (home == nullptr) {
    return IoError(Location::File("~/.cache/qeff_models"), "the user has no home folder", 0,
                   {"set HOME or QEFF_HOME, or give the output folder with -o"});
  }
  return std::filesystem::path(home) / ".cache" / "qeff_models";
}

}  // namespace qeff::artifact
