// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/contract_functions.h"

#include <onnx/defs/parser.h>

#include <algorithm>

namespace qeff::onnx_io {
namespace {

struct Entry {
  ContractFunctionName key;
  /// ONNX text from the attribute names on; names of values as QEfficient's tracing gives them.
  const char* text;
};

// hidden_states [B, T, D], weight [D]; the sum of squares is left to the runtime's ReduceMean.
constexpr const char* kCustomRmsNorm = R"(<epsilon> (hidden_states, weight) => (return_val) {
  weight_0 = Cast <to = 1> (weight)
  int64_2 = Constant <value = int64 {2}> ()
  tmp = Pow (hidden_states, int64_2)
  variance = ReduceMean <axes = [-1], keepdims = 1> (tmp)
  epsilon = Constant <value_float: float = @epsilon> ()
  tmp_1 = Shape (variance)
  epsilon_2 = Expand (epsilon, tmp_1)
  tmp_3 = Add (variance, epsilon_2)
  tmp_4 = Sqrt (tmp_3)
  tmp_5 = Reciprocal (tmp_4)
  hidden_states_6 = Mul (hidden_states, tmp_5)
  return_val = Mul (weight_0, hidden_states_6)
})";

// weight_packed [..., n] u8 to u4 [..., 2 n], low nibble first. 21 is UINT4.
constexpr const char* kCastToUInt4 = R"((weight_packed) => (return_val) {
  int64_16 = Constant <value = int64 {16}> ()
  sixteen = CastLike (int64_16, weight_packed)
  int64_4 = Constant <value = int64 {4}> ()
  four = CastLike (int64_4, weight_packed)
  low = Mod (weight_packed, sixteen)
  tmp = BitShift <direction = "RIGHT"> (weight_packed, four)
  high = Mod (tmp, sixteen)
  int64_m1_1d = Constant <value = int64[1] {-1}> ()
  tmp_0 = Unsqueeze (low, int64_m1_1d)
  int64_m1_1d_1 = Constant <value = int64[1] {-1}> ()
  tmp_2 = Unsqueeze (high, int64_m1_1d_1)
  pairs = Concat <axis = -1> (tmp_0, tmp_2)
  tmp_3 = Shape (weight_packed)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  int64_m1_1d_4 = Constant <value = int64[1] {-1}> ()
  leading = Slice (tmp_3, int64_0_1d, int64_m1_1d_4)
  int64_m1_1d_5 = Constant <value = int64[1] {-1}> ()
  shape = Concat <axis = 0> (leading, int64_m1_1d_5)
  tmp_6 = Reshape (pairs, shape)
  return_val = Cast <to = 21> (tmp_6)
})";

// data [B, K, S, E]; position_ids [B, T]; updates [B, K, T, E].
constexpr const char* kCtxScatter = R"((data, position_ids, updates) => (return_val) {
  tmp = Shape (data)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (data)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  num_heads = Gather (tmp_0, int64_1_1d)
  tmp_1 = Shape (position_ids)
  int64_1_1d_2 = Constant <value = int64[1] {1}> ()
  seq_len = Gather (tmp_1, int64_1_1d_2)
  zero = Constant <value_ints: ints = [0]> ()
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, num_heads, seq_len, one)
  tmp_3 = Range (zero, batch_size, one)
  const = Constant <value = int64[3] {1, 2, 3}> ()
  tmp_4 = Unsqueeze (tmp_3, const)
  batch_idx = Expand (tmp_4, exp_shape)
  tmp_5 = Range (zero, num_heads, one)
  const_6 = Constant <value = int64[3] {0, 2, 3}> ()
  tmp_7 = Unsqueeze (tmp_5, const_6)
  head_idx = Expand (tmp_7, exp_shape)
  const_8 = Constant <value = int64[2] {1, 3}> ()
  tmp_9 = Unsqueeze (position_ids, const_8)
  ctx_idx = Expand (tmp_9, exp_shape)
  indices = Concat <axis = 3> (batch_idx, head_idx, ctx_idx)
  return_val = ScatterND (data, indices, updates)
})";

// As CtxScatter, the rows of data chosen by batch_index [B, 1].
constexpr const char* kCtxScatterCb =
    R"((data, batch_index, position_ids, updates) => (return_val) {
  tmp = Shape (batch_index)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (data)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  num_heads = Gather (tmp_0, int64_1_1d)
  tmp_1 = Shape (position_ids)
  int64_1_1d_2 = Constant <value = int64[1] {1}> ()
  seq_len = Gather (tmp_1, int64_1_1d_2)
  zero = Constant <value_ints: ints = [0]> ()
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, num_heads, seq_len, one)
  const = Constant <value = int64[2] {2, 3}> ()
  tmp_3 = Unsqueeze (batch_index, const)
  batch_idx = Expand (tmp_3, exp_shape)
  tmp_4 = Range (zero, num_heads, one)
  const_5 = Constant <value = int64[3] {0, 2, 3}> ()
  tmp_6 = Unsqueeze (tmp_4, const_5)
  head_idx = Expand (tmp_6, exp_shape)
  const_7 = Constant <value = int64[2] {1, 3}> ()
  tmp_8 = Unsqueeze (position_ids, const_7)
  ctx_idx = Expand (tmp_8, exp_shape)
  indices = Concat <axis = 3> (batch_idx, head_idx, ctx_idx)
  return_val = ScatterND (data, indices, updates)
})";

// data [B, S, E]; position_ids i32 [B, T]; updates [B, T, E]. 6 is INT32.
constexpr const char* kCtxScatter3D = R"((data, position_ids, updates) => (return_val) {
  tmp = Shape (data)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (position_ids)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  seq_len = Gather (tmp_0, int64_1_1d)
  zero = Constant <value_ints: ints = [0]> ()
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, seq_len, one)
  tmp_1 = Range (zero, batch_size, one)
  const = Constant <value = int64[2] {1, 2}> ()
  tmp_2 = Unsqueeze (tmp_1, const)
  tmp_3 = Expand (tmp_2, exp_shape)
  batch_idx = Cast <to = 6> (tmp_3)
  int64_2_1d = Constant <value = int64[1] {2}> ()
  tmp_4 = Unsqueeze (position_ids, int64_2_1d)
  ctx_idx = Expand (tmp_4, exp_shape)
  indices = Concat <axis = 2> (batch_idx, ctx_idx)
  return_val = ScatterND (data, indices, updates)
})";

// data [B, S, E], rows chosen by batch_index [B, 1]; position_ids i64 [B, T]; updates [B, T, E].
constexpr const char* kCtxScatterCb3D =
    R"((data, batch_index, position_ids, updates) => (return_val) {
  tmp = Shape (batch_index)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (position_ids)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  seq_len = Gather (tmp_0, int64_1_1d)
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, seq_len, one)
  int64_2_1d = Constant <value = int64[1] {2}> ()
  tmp_1 = Unsqueeze (batch_index, int64_2_1d)
  batch_idx = Expand (tmp_1, exp_shape)
  int64_2_1d_2 = Constant <value = int64[1] {2}> ()
  tmp_3 = Unsqueeze (position_ids, int64_2_1d_2)
  ctx_idx = Expand (tmp_3, exp_shape)
  indices = Concat <axis = 2> (batch_idx, ctx_idx)
  return_val = ScatterND (data, indices, updates)
})";

// data [B, K, S, E]; ctx_indices [1, 1, n], expanded to [B, K, comp_ctx_len].
constexpr const char* kCtxGather = R"((data, ctx_indices, comp_ctx_len) => (return_val) {
  tmp = Shape (data)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  int64_1_1d = Constant <value = int64[1] {1}> ()
  int64_2_1d = Constant <value = int64[1] {2}> ()
  tmp_subscripted = Slice (tmp, int64_0_1d, int64_2_1d, int64_0_1d, int64_1_1d)
  int64_1_1d_0 = Constant <value = int64[1] {1}> ()
  tmp_1 = Reshape (comp_ctx_len, int64_1_1d_0)
  shape_tensor = Concat <axis = 0> (tmp_subscripted, tmp_1)
  ctx_indices_2 = Expand (ctx_indices, shape_tensor)
  int64_m1_1d = Constant <value = int64[1] {-1}> ()
  ctx_indices_3 = Unsqueeze (ctx_indices_2, int64_m1_1d)
  return_val = GatherND <batch_dims = 2> (data, ctx_indices_3)
})";

// data [B, S, E]; ctx_indices [B, n].
constexpr const char* kCtxGather3D = R"((data, ctx_indices) => (return_val) {
  tmp = Shape (data)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  int64_1_1d = Constant <value = int64[1] {1}> ()
  int64_0_1d_0 = Constant <value = int64[1] {0}> ()
  batch_size = Slice (tmp, int64_0_1d, int64_1_1d, int64_0_1d_0)
  tmp_1 = Shape (ctx_indices)
  int64_1_1d_2 = Constant <value = int64[1] {1}> ()
  int64_2_1d = Constant <value = int64[1] {2}> ()
  int64_0_1d_3 = Constant <value = int64[1] {0}> ()
  ctx_len = Slice (tmp_1, int64_1_1d_2, int64_2_1d, int64_0_1d_3)
  shape_tensor = Concat <axis = 0> (batch_size, ctx_len)
  ctx_indices_4 = Expand (ctx_indices, shape_tensor)
  int64_m1_1d = Constant <value = int64[1] {-1}> ()
  ctx_indices_5 = Unsqueeze (ctx_indices_4, int64_m1_1d)
  return_val = GatherND <batch_dims = 1> (data, ctx_indices_5)
})";

// data [B, K, S, E]; ctx_indices [B, K, n].
constexpr const char* kCtxGatherBlockedKv = R"((data, ctx_indices) => (return_val) {
  int64_m1_1d = Constant <value = int64[1] {-1}> ()
  ctx_indices_0 = Unsqueeze (ctx_indices, int64_m1_1d)
  return_val = GatherND <batch_dims = 2> (data, ctx_indices_0)
})";

// As CtxGather, the rows of data chosen by batch_index [B, 1].
constexpr const char* kCtxGatherCb =
    R"((data, batch_index, ctx_indices, comp_ctx_len) => (return_val) {
  tmp = Shape (batch_index)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (data)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  num_heads = Gather (tmp_0, int64_1_1d)
  tmp_1 = Shape (ctx_indices)
  int64_2_1d = Constant <value = int64[1] {2}> ()
  ctx_len = Gather (tmp_1, int64_2_1d)
  zero = Constant <value_ints: ints = [0]> ()
  one = Constant <value_ints: ints = [1]> ()
  int64_1_1d_2 = Constant <value = int64[1] {1}> ()
  tmp_3 = Reshape (batch_size, int64_1_1d_2)
  int64_1_1d_4 = Constant <value = int64[1] {1}> ()
  tmp_5 = Reshape (num_heads, int64_1_1d_4)
  int64_1_1d_6 = Constant <value = int64[1] {1}> ()
  tmp_7 = Reshape (ctx_len, int64_1_1d_6)
  exp_shape = Concat <axis = 0> (tmp_3, tmp_5, tmp_7, one)
  const = Constant <value = int64[2] {2, 3}> ()
  tmp_8 = Unsqueeze (batch_index, const)
  batch_idx = Expand (tmp_8, exp_shape)
  tmp_9 = Range (zero, num_heads, one)
  const_10 = Constant <value = int64[3] {0, 2, 3}> ()
  tmp_11 = Unsqueeze (tmp_9, const_10)
  head_idx = Expand (tmp_11, exp_shape)
  int64_3_1d = Constant <value = int64[1] {3}> ()
  tmp_12 = Unsqueeze (ctx_indices, int64_3_1d)
  ctx_idx = Expand (tmp_12, exp_shape)
  indices = Concat <axis = 3> (batch_idx, head_idx, ctx_idx)
  return_val = GatherND (data, indices)
})";

// data [B, K, S, E], rows chosen by batch_index [B, 1]; ctx_indices [1, 1, n].
constexpr const char* kCtxGatherBlockedKvCb =
    R"((data, batch_index, ctx_indices) => (return_val) {
  tmp = Shape (batch_index)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (data)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  num_heads = Gather (tmp_0, int64_1_1d)
  tmp_1 = Shape (ctx_indices)
  int64_2_1d = Constant <value = int64[1] {2}> ()
  ctx_len = Gather (tmp_1, int64_2_1d)
  zero = Constant <value_ints: ints = [0]> ()
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, num_heads, ctx_len, one)
  const = Constant <value = int64[2] {2, 3}> ()
  tmp_2 = Unsqueeze (batch_index, const)
  batch_idx = Expand (tmp_2, exp_shape)
  tmp_3 = Range (zero, num_heads, one)
  const_4 = Constant <value = int64[3] {0, 2, 3}> ()
  tmp_5 = Unsqueeze (tmp_3, const_4)
  head_idx = Expand (tmp_5, exp_shape)
  int64_3_1d = Constant <value = int64[1] {3}> ()
  tmp_6 = Unsqueeze (ctx_indices, int64_3_1d)
  ctx_idx = Expand (tmp_6, exp_shape)
  indices = Concat <axis = 3> (batch_idx, head_idx, ctx_idx)
  return_val = GatherND (data, indices)
})";

// data [B, S, E], rows chosen by batch_index [B, 1]; ctx_indices [B, n].
constexpr const char* kCtxGatherCb3D = R"((data, batch_index, ctx_indices) => (return_val) {
  tmp = Shape (batch_index)
  int64_0_1d = Constant <value = int64[1] {0}> ()
  batch_size = Gather (tmp, int64_0_1d)
  tmp_0 = Shape (data)
  int64_1_1d = Constant <value = int64[1] {1}> ()
  ctx_len = Gather (tmp_0, int64_1_1d)
  one = Constant <value_ints: ints = [1]> ()
  exp_shape = Concat <axis = 0> (batch_size, ctx_len, one)
  int64_2_1d = Constant <value = int64[1] {2}> ()
  tmp_1 = Unsqueeze (batch_index, int64_2_1d)
  batch_idx = Expand (tmp_1, exp_shape)
  int64_2_1d_2 = Constant <value = int64[1] {2}> ()
  tmp_3 = Unsqueeze (ctx_indices, int64_2_1d_2)
  ctx_idx = Expand (tmp_3, exp_shape)
  indices = Concat <axis = 2> (batch_idx, ctx_idx)
  return_val = GatherND (data, indices)
})";

constexpr Entry kEntries[] = {
    {{ir::kAiswDomain, "CastToUInt4"}, kCastToUInt4},
    {{ir::kAiswDomain, "CustomRMSNorm"}, kCustomRmsNorm},
    {{ir::kCloudDomain, "CtxGather"}, kCtxGather},
    {{ir::kCloudDomain, "CtxGather3D"}, kCtxGather3D},
    {{ir::kCloudDomain, "CtxGatherBlockedKV"}, kCtxGatherBlockedKv},
    {{ir::kCloudDomain, "CtxGatherBlockedKVCB"}, kCtxGatherBlockedKvCb},
    {{ir::kCloudDomain, "CtxGatherCB"}, kCtxGatherCb},
    {{ir::kCloudDomain, "CtxGatherCB3D"}, kCtxGatherCb3D},
    {{ir::kCloudDomain, "CtxScatter"}, kCtxScatter},
    {{ir::kCloudDomain, "CtxScatter3D"}, kCtxScatter3D},
    {{ir::kCloudDomain, "CtxScatter3DInt"}, kCtxScatter3D},
    {{ir::kCloudDomain, "CtxScatterCB"}, kCtxScatterCb},
    {{ir::kCloudDomain, "CtxScatterCB3D"}, kCtxScatterCb3D},
};

const Entry* FindEntry(std::string_view domain, std::string_view name) {
  const auto* found = std::find_if(
      std::begin(kEntries), std::end(kEntries),
      [&](const Entry& entry) { return entry.key.domain == domain && entry.key.name == name; });
  return found == std::end(kEntries) ? nullptr : found;
}

}  // namespace

const std::vector<ContractFunctionName>& ContractFunctions() {
  static const std::vector<ContractFunctionName> kNames = [] {
    std::vector<ContractFunctionName> names;
    for (const Entry& entry : kEntries) names.push_back(entry.key);
    return names;
  }();
  return kNames;
}

bool IsContractFunction(std::string_view domain, std::string_view name) {
  return FindEntry(domain, name) != nullptr;
}

void WriteContractFunction(std::string_view domain, std::string_view name,
                           onnx::FunctionProto* proto) {
  const Entry* entry = FindEntry(domain, name);
  QEFF_CHECK(entry != nullptr, "no contract function '{}.{}'", domain, name);
  const std::string text =
      fmt::format("<domain: \"{}\", opset_import: [\"\" : 17]>\n{} {}", domain, name, entry->text);
  const auto status = onnx::OnnxParser::Parse(*proto, text.c_str());
  QEFF_CHECK(status.IsOK(), "body of '{}': {}", name, status.ErrorMessage());
  for (int i = 0; i < proto->node_size(); ++i) {
    onnx::NodeProto* node = proto->mutable_node(i);
    node->set_name(fmt::format("n{}", i));
    for (onnx::AttributeProto& attribute : *node->mutable_attribute()) {
      if (attribute.has_t()) attribute.mutable_t()->set_name(node->output(0));
    }
  }
}

}  // namespace qeff::onnx_io
