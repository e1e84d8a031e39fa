// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/seeds.h"

#include "lib/artifact/network_desc.h"
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

std::vector<std::string> CpuPrograms() {
  std::vector<std::string> seeds;
  for (const int64_t experts : {0, 3}) {
    std::vector<SpecializedGraph> graphs;
    graphs.push_back(cpu::MakeTinyModel(
        {.batch = 1, .tokens = 3, .context = 8, .layers = 1, .experts = experts}));
    const std::vector<std::byte> bytes = cpu::BuildPlan(graphs, {}).program;
    seeds.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return seeds;
}

}  // namespace

std::vector<std::string> SeedsOf(std::string_view target) {
  if (target == "container") return Containers();
  if (target == "network_description") return NetworkDescriptions();
  return CpuPrograms();
}

}  // namespace qeff::fuzz
