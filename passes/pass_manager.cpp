// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/pass_manager.h"

#include <algorithm>
#include <chrono>

#include "lib/ops/op.h"

namespace qeff::passes {

#define PASS(file, function, ...) Result<Change> function(ir::Model&, const PassContext&);
#include "passes/passes.def"
#undef PASS

namespace {

/// "fuse_rms_norm" -> "fuse-rms-norm".
std::string CommandLineName(std::string_view file) {
  std::string name(file);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

struct Entry {
  std::string_view file;
  PassFunction run;
  std::string_view summary;
  std::string_view options = "";
};

constexpr Entry kEntries[] = {
#define PASS(file, function, ...) {#file, function, __VA_ARGS__},
#include "passes/passes.def"
#undef PASS
};

std::vector<std::string> SplitNames(std::string_view names) {
  std::vector<std::string> parts;
  while (!names.empty()) {
    const size_t comma = std::min(names.find(','), names.size());
    parts.emplace_back(names.substr(0, comma));
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  return parts;
}

Status CheckOptions(const PassInfo& pass, const PassOptions& options) {
  const std::vector<std::string> known = SplitNames(pass.options);
  for (const auto& [name, value] : options) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::vector<std::string> notes;
    if (const auto nearest = Nearest(name, known))
      notes.push_back(fmt::format("did you mean '{}'?", *nearest));
    return UsageError({}, fmt::format("pass '{}' has no option '{}'", pass.name, name), notes);
  }
  return Status::Ok();
}

Status CheckModel(ir::Model& model) {
  QEFF_RETURN_IF_ERROR(ir::VerifyStructure(model.graph));
  for (const ir::Function& function : model.functions) {
    QEFF_RETURN_IF_ERROR(ir::VerifyStructure(function.body)
                             .WithNote(fmt::format("in function '{}'", function.name)));
  }
  // Calls of functions have no type rule: only a graph without them is inferred.
  if (model.functions.empty()) {
    Result<ops::TypeFacts> facts = ops::InferTypes(model.graph);
    if (!facts.ok()) return std::move(facts).status();
  }
  return Status::Ok();
}

}  // namespace

const std::vector<PassInfo>& AllPasses() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> made;
    for (const Entry& entry : kEntries) made.push_back(CommandLineName(entry.file));
    return made;
  }();
  static const std::vector<PassInfo> passes = [] {
    std::vector<PassInfo> made;
    for (size_t i = 0; i < names.size(); ++i) {
      made.push_back({names[i], kEntries[i].run, kEntries[i].summary, kEntries[i].options});
    }
    return made;
  }();
  return passes;
}

Result<const PassInfo*> FindPass(std::string_view name) {
  std::vector<std::string> names;
  for (const PassInfo& pass : AllPasses()) {
    if (pass.name == name) return &pass;
    names.emplace_back(pass.name);
  }
  std::vector<std::string> notes;
  if (const auto nearest = Nearest(name, names))
    notes.push_back(fmt::format("did you mean '{}'?", *nearest));
  return UsageError({}, fmt::format("unknown pass '{}'", name), notes);
}

Result<Pipeline> ParsePipeline(std::string_view text) {
  Pipeline pipeline;
  while (!text.empty()) {
    const size_t end = text.find_first_of(",{");
    PassStep step{.name = std::string(text.substr(0, end)), .options = {}};
    text.remove_prefix(std::min(end, text.size()));
    if (text.starts_with('{')) {
      const size_t close = text.find('}');
      if (close == std::string_view::npos) {
        return UsageError({}, fmt::format("'{{' without '}}' after pass '{}'", step.name));
      }
      for (const std::string& pair : SplitNames(text.substr(1, close - 1))) {
        const size_t equals = pair.find('=');
        if (equals == std::string::npos) {
          return UsageError({}, fmt::format("expected name=value in the options of '{}', got '{}'",
                                            step.name, pair));
        }
        step.options[pair.substr(0, equals)] = pair.substr(equals + 1);
      }
      text.remove_prefix(close + 1);
    }
    if (text.starts_with(',')) text.remove_prefix(1);
    QEFF_ASSIGN_OR_RETURN(const PassInfo* pass, FindPass(step.name));
    QEFF_RETURN_IF_ERROR(CheckOptions(*pass, step.options));
    pipeline.push_back(std::move(step));
  }
  return pipeline;
}

Result<Change> RunPipeline(ir::Model& model, const Pipeline& pipeline,
                           const PassManagerOptions& options) {
  Change total = Change::kNone;
  QEFF_RETURN_IF_ERROR(CheckModel(model));
  for (const PassStep& step : pipeline) {
    QEFF_ASSIGN_OR_RETURN(const PassInfo* pass, FindPass(step.name));
    QEFF_RETURN_IF_ERROR(CheckOptions(*pass, step.options));
    const auto start = std::chrono::steady_clock::now();
    QEFF_ASSIGN_OR_RETURN(const Change change,
                          pass->run(model, PassContext(step.options))
                              .WithNote(fmt::format("while running pass '{}'", step.name)));
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (change == Change::kChanged) {
      QEFF_RETURN_IF_ERROR(CheckModel(model).WithNote(
          fmt::format("the graph is broken after pass '{}'", step.name)));
    }
    if (options.timings != nullptr) {
      options.timings->push_back({step.name, seconds, change, model.graph.nodes().size()});
    }
    if (options.after_pass) QEFF_RETURN_IF_ERROR(options.after_pass(step.name, model));
    total = total | change;
    if (step.name == options.stop_after) break;
  }
  return total;
}

}  // namespace qeff::passes
