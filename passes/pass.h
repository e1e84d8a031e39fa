// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a pass is: a function from model to model in a file of its own, named in passes.def. A pass
// matches graph shapes; it never asks which family or target it is working for. Order lives in
// pipelines.cpp, not here.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::passes {

/// Whether a pass has changed the model.
enum class Change { kNone, kChanged };

inline Change operator|(Change a, Change b) {
  return a == Change::kChanged || b == Change::kChanged ? Change::kChanged : Change::kNone;
}

/// Values of a pass's options, as text. The names that a pass knows stand in passes.def.
using PassOptions = std::map<std::string, std::string, std::less<>>;

class PassContext {
 public:
  explicit PassContext(const PassOptions& options) : options_(options) {}
  /// Empty if not given.
  std::string_view Option(std::string_view name) const {
    const auto found = options_.find(name);
    return found == options_.end() ? std::string_view() : std::string_view(found->second);
  }

 private:
  const PassOptions& options_;
};

using PassFunction = Result<Change> (*)(ir::Model&, const PassContext&);

struct PassInfo {
  std::string_view name;  ///< "fuse-rms-norm"
  PassFunction run;
  std::string_view summary;
  std::string_view options;  ///< names, separated by commas; empty if none
};

/// All passes, in the order of passes.def.
const std::vector<PassInfo>& AllPasses();
/// Errors: kUsage with the nearest name.
Result<const PassInfo*> FindPass(std::string_view name);

}  // namespace qeff::passes
