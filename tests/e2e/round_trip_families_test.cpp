// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// For every family: what its graph is lowered to, in the compiler's ops, is recognized again node
// by node, with every combination of features. So a file that another exporter wrote in these ops
// reaches the fast path, too.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "lib/checkpoint/checkpoint.h"
#include "lib/families/family.h"
#include "lib/ir/equal.h"
#include "lib/support/json.h"
#include "passes/pipelines.h"
#include "passes/retained_state.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

fs::path CasesFolder(const std::string& group) {
  const char* shared = std::getenv("QEFF_SHARED");
  return fs::path(shared != nullptr ? shared : "../shared") / "goldens" / group;
}

ir::Model Build(const fs::path& folder, std::optional<families::Task> task = {}) {
  Result<checkpoint::Checkpoint> opened = checkpoint::Checkpoint::Open(folder);
  if (!opened.ok()) FAIL(opened.diagnostic().ToString());
  Result<families::BuiltModel> built = families::BuildModel(*opened, {.task = task});
  if (!built.ok()) FAIL(built.diagnostic().ToString());
  ir::Model model;
  model.graph = std::move(built->graph);
  return model;
}

void Run(ir::Model& model, const passes::Pipeline& pipeline) {
  const Result<passes::Change> change = passes::RunPipeline(model, pipeline);
  if (!change.ok()) FAIL(change.diagnostic().ToString());
}

/// Returns what lowering and raising has changed; empty if nothing.
std::string RoundTripDifference(ir::Model model, const std::string& layer_function) {
  const ir::Graph original = model.graph.Clone();
  Run(model, passes::LoweringPipeline({.dtype = DType::kF32, .layer_function = layer_function}));
  for (const auto& node : model.graph.nodes()) {
    if (node->domain() == ir::kQeffDomain) return "left by the lowering: " + node->name();
  }
  Run(model, passes::RaisingPipeline());
  return ir::FindDifference(original, model.graph);
}

std::string RoundTripDifference(const fs::path& folder, const passes::Features& features,
                                const std::string& layer_function) {
  ir::Model model = Build(folder);
  Run(model, passes::TransformPipeline(features));
  return RoundTripDifference(std::move(model), layer_function);
}

/// A recurrent state cannot take back tokens.
bool CanBeTarget(const fs::path& folder) {
  ir::Model model = Build(folder);
  Run(model, passes::TransformPipeline({}));
  return passes::FindUnforgetting(model.graph) == nullptr;
}

}  // namespace

TEST_CASE("lowering and raising give back the graph of every family") {
  const fs::path cases = CasesFolder("causal");
  if (!fs::exists(cases / "index.json")) {
    std::cout << "SKIPPED: " << cases.string() << " is not there\n";
    return;
  }
  const Result<Json> index = ReadJsonFile(cases / "index.json");
  REQUIRE(index.ok());
  for (const auto& entry : index->items()) {
    const std::string& name = entry.key();
    DYNAMIC_SECTION(name) {
      CHECK(RoundTripDifference(cases / name, {.kv_cache = false}, "") == "");
      CHECK(RoundTripDifference(cases / name, {}, "") == "");
      CHECK(RoundTripDifference(cases / name, {}, "DecoderLayer") == "");
      CHECK(RoundTripDifference(cases / name,
                                {.compute_context_length = true, .continuous_batching = true},
                                "") == "");
      if (CanBeTarget(cases / name)) {
        CHECK(RoundTripDifference(cases / name, {.speculative_target = true}, "") == "");
      }
      CHECK(RoundTripDifference(cases / name, {.latent_cache = true}, "") == "");
    }
  }
}

TEST_CASE("lowering and raising give back the graph of every encoder") {
  size_t compared = 0;
  for (const char* group : {"encoder", "seqcls"}) {
    const fs::path cases = CasesFolder(group);
    if (!fs::exists(cases / "index.json")) {
      std::cout << "SKIPPED: " << cases.string() << " is not there\n";
      return;
    }
    for (const char* name : {"bert", "bert_mlm_names", "bert_no_pooler", "roberta", "xlm_roberta",
                             "xlm_roberta_reranker", "mpnet", "distilbert", "albert", "electra"}) {
      if (!fs::exists(cases / name)) continue;
      DYNAMIC_SECTION(group << " " << name) {
        const auto task = group == std::string_view("encoder")
                              ? families::Task::kEmbedding
                              : families::Task::kSequenceClassification;
        CHECK(RoundTripDifference(Build(cases / name, task), "") == "");
        CHECK(RoundTripDifference(Build(cases / name, task), "EncoderLayer") == "");
      }
      ++compared;
    }
  }
  CHECK(compared == 13);
}

}  // namespace qeff
