// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/seeds.h"

#include "lib/artifact/network_desc.h"
#include "lib/ops/op.h"
#include "tests/unit/backends/cpu/tiny_model.h"
#include "tests/unit/lib/artifact/hand_made_qpc.h"

namespace qeff::fuzz {
namespace {

artifact::NetworkDesc SmallNetwork() {
  const artifact::TensorDesc ids{.type = artifact::NetworkType::kInt64I, .dims = {1, 32}};
  const artifact::TensorDesc cache{.type = artifact::NetworkType::kFloat16,
                                   .quantization_scale = 0.5F,
                                   .quantization_offset = -3,
                                   .dims = {1, 2, 128, 16}};
  artifact::NetworkDesc network{.network_name = "model", .num_cores = 16, .num_threads = 4};
  network.dma_buffers = {{.size_bytes = 4096}};
  const artifact::TensorTransform copy{.kind = artifact::TensorTransform::kCopyDmaBuffer,
                                       .buffer_offset_bytes = 64};
  network.inputs = {{.name = "input_ids", .initial = ids, .transformed = ids, .transforms = {copy}},
                    {.name = "past_key.0",
                     .initial = cache,
                     .transformed = cache,
                     .is_partial_allowed = true,
                     .alignment_bytes = 64}};
  network.outputs = {{.name = "past_key.0_RetainedState",
                      .initial = cache,
                      .transformed = cache,
                      .is_partial_allowed = true}};
  for (const int32_t tokens : {32, 1}) {
    network.allowed_shapes.push_back({{artifact::NetworkType::kInt64I, {1, tokens}},
                                      {artifact::NetworkType::kFloat16, cache.dims},
                                      {artifact::NetworkType::kFloat16, cache.dims}});
  }
  return network;
}

std::vector<std::string> NetworkDescriptions() {
  return {artifact::EncodeNetworkDesc(SmallNetwork())};
}

std::vector<std::string> Containers() {
  artifact::HandMade inner;
  inner.segments[1].data = NetworkDescriptions().front();
  artifact::HandMade outer = inner;
  outer.alignment = 8;
  outer.base = 0x55c0d24001e0;
  outer.segments.push_back({"QAicGraph_slice00", inner.Bytes()});
  return {inner.Bytes(), outer.Bytes()};
}

/// A batch without padding through each of its steps, with a sum over the tokens. Its mask is
/// computed, so that zeros as inputs give tokens.
SpecializedGraph WithoutPadding(bool is_causal) {
  SpecializedGraph graph = {is_causal ? "Causal" : "Bidirectional", {}, {}};
  ir::Graph& g = graph.graph;
  const auto op = [&g](std::string_view type, std::vector<ir::Value*> inputs,
                       ir::AttributeMap attributes = {}) {
    return g.Add({.domain = ir::kQeffDomain,
                  .op_type = type,
                  .inputs = std::move(inputs),
                  .attributes = std::move(attributes)});
  };
  ir::Value* x = g.AddInput("x", {DType::kF32, ir::Shape{2, 3, 8}});
  ir::Value* ones =
      g.Add({.op_type = "Exp", .inputs = {g.AddInput("w", {DType::kF32, ir::Shape{2, 3}})}});
  constexpr int64_t kOnnxInt64 = 7;
  ir::Value* mask =
      g.Add({.op_type = "Cast", .inputs = {ones}, .attributes = {{"to", kOnnxInt64}}});
  const ir::Node* index = g.AddNode({.domain = ir::kQeffDomain,
                                     .op_type = "TokenIndex",
                                     .inputs = {mask},
                                     .attributes = {{"keeps_first", int64_t{1}}},
                                     .output_names = {"", "", ""}});
  ir::Value* rows = op("RemovePadding", {x, index->output(0)});
  ir::Value* mixed =
      op("PackedAttention",
         {rows, rows, rows, index->output(0), index->output(1), nullptr, index->output(2)},
         {{"num_heads", int64_t{2}},
          {"num_kv_heads", int64_t{2}},
          {"scale", 0.5F},
          {"is_causal", int64_t{is_causal}}});
  const ir::AttributeMap keeps_first = {{"keeps_first", int64_t{1}}};
  g.AddOutput("states", op("RestorePadding", {mixed, index->output(1), mask}, keeps_first));
  const int64_t tokens = 1;
  ir::Value* axes = g.AddConstant("axes", ir::MakeIntVector({&tokens, 1}));
  ir::Value* summed = op("RestorePadding", {rows, index->output(1), mask}, keeps_first);
  g.AddOutput("sum", g.Add({.op_type = "ReduceSum", .inputs = {summed, axes}}));
  QEFF_CHECK(ops::InferTypes(g).ok(), "the graph has types");
  return graph;
}

std::string ProgramOf(const std::vector<SpecializedGraph>& graphs, int part_count) {
  const std::vector<std::byte> bytes = cpu::BuildPlan(graphs, {.part_count = part_count}).program;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Decoders, without experts and with them.
std::vector<std::string> Decoders(int64_t tokens, int64_t context, int part_count) {
  std::vector<std::string> seeds;
  for (const int64_t experts : {0, 3}) {
    std::vector<SpecializedGraph> graphs;
    graphs.push_back(cpu::MakeTinyModel(
        {.batch = 1, .tokens = tokens, .context = context, .layers = 1, .experts = experts}));
    seeds.push_back(ProgramOf(graphs, part_count));
  }
  return seeds;
}

std::vector<std::string> CpuPrograms() {
  std::vector<std::string> seeds = Decoders(3, 8, 1);
  std::vector<SpecializedGraph> graphs;
  for (const bool is_causal : {false, true}) graphs.push_back(WithoutPadding(is_causal));
  seeds.push_back(ProgramOf(graphs, 2));
  return seeds;
}

}  // namespace

std::vector<std::string> SeedsOf(std::string_view target) {
  if (target == "container") return Containers();
  if (target == "network_description") return NetworkDescriptions();
  // With steps that are large enough to be divided.
  if (target == "cpu_program_on_two_threads") return Decoders(64, 70, 2);
  return CpuPrograms();
}

}  // namespace qeff::fuzz
