// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a list of passes over a model: infers types and verifies after each pass that changed
// something, times them, shows the graph between them on request, and names the pass that broke a
// graph.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "passes/pass.h"

namespace qeff::passes {

/// One step of a pipeline.
struct PassStep {
  std::string name;  ///< command-line name
  PassOptions options;
};
using Pipeline = std::vector<PassStep>;

/// Parses "fuse-a,convert-float-dtype{dtype=f16}". Errors: kUsage.
Result<Pipeline> ParsePipeline(std::string_view text);

struct PassTiming {
  std::string pass;
  double seconds = 0;
  Change change = Change::kNone;
  size_t node_count = 0;
};

struct PassManagerOptions {
  /// Called after each pass with its name, e.g. to dump the graph.
  std::function<Status(const std::string& pass, const ir::Model&)> after_pass;
  /// Stops after this pass; empty: runs all.
  std::string stop_after;
  /// Filled if not null.
  std::vector<PassTiming>* timings = nullptr;
};

/// Errors carry a note with the pass and, if the pass itself succeeded but left a broken graph, say
/// so.
Result<Change> RunPipeline(ir::Model& model, const Pipeline& pipeline,
                           const PassManagerOptions& options = {});

}  // namespace qeff::passes
