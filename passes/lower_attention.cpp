// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out attention in the ops of the compiler contract.
//   Before:  o, past_key.0_RetainedState, past_value.0_RetainedState =
//                qeff.Attention<num_heads = H, num_kv_heads = K, scale = s>(q, k, v, position_ids,
//                past_key.0, past_value.0)
//   After:   qh = Transpose(Reshape(q, [0, 0, H, E]))                  kh, vh the same with K heads
//            past_key.0_RetainedState = CtxScatter(past_key.0, position_ids, kh)        the same
//            for the value keys = CtxGather(past_key.0_RetainedState, indices, ctx_len)   values =
//            Where(invalid, 0, CtxGather(...)) scores = Mul(MatMul(qh, Transpose(repeat(keys))), s)
//            o = Reshape(Transpose(MatMul(Softmax(Where(mask, -inf, scores)), repeat(values))), [0,
//            0, H * E])
// With ALiBi: scores = Add(scores, Mul(Cast(slots), slopes)), slots and product cast to bf16 and
// back and the product multiplied by alibi_scale where asked for. With sinks: the softmax runs over
// Concat(scores, Expand(sinks)), and its last column is sliced off.
// A ring_cache has slots of its own: token p in slot p mod C, the position of slot s is the last
// one at or before the row's largest that is s mod C. mask (slot > position, or slot <= position -
// window, or slot < position - position mod chunk), indices (slots up to the largest position of
// the row, the others 2147483647: "do not touch") and their parts are made once and shared by all
// layers. A bias is added to the scores, and so is Where(key_mask == 0, -65504, 0): a number that
// f16 has, so padding weighs nothing beside a token and rows of padding stay finite. Without
// positions the mask is only the window's, slots <= t - window or slots >= t + window, if there is
// one. A batch_index makes the CB forms of the cache ops, comp_ctx_lengths shortens the slots to
// its length. Without a cache the keys are those of the call. The option invalid-index=zero reads
// slot 0 instead of 2147483647, as the original does when layers are functions: the value is masked
// either way. Softmax runs in f32 whatever the dtype. A padding row (position -1) sees nothing: its
// softmax is NaN, as in the contract. Requires: types of q, k, v.
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "lib/ops/attention.h"
#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// What padding's scores are lowered by, as in the original exporter's encoders.
constexpr float kPadding = -65504;
constexpr int64_t kDoNotTouch = std::numeric_limits<int32_t>::max();

/// What all attentions of a graph share, made before the first of them.
struct SharedValues {
  ir::Value* position_column = nullptr;    ///< i64 [B, T, 1]
  ir::Value* scatter_positions = nullptr;  ///< i64 [B, T]
  ir::Value* slot_count = nullptr;         ///< i64 []
  ir::Value* slots = nullptr;              ///< i64 [1, 1, S]
  ir::Value* invalid = nullptr;            ///< bool [B, 1, S]: beyond the row's largest position
  ir::Value* invalid_column = nullptr;     ///< bool [B, 1, S, 1]
  ir::Value* gather_indices = nullptr;     ///< i64 [B, 1, S]
  /// By window and chunk: bool [B, 1, T, S], true = masked.
  std::map<std::pair<int64_t, int64_t>, ir::Value*> masks;
  ir::Value* slot_numbers = nullptr;          ///< f32 [1 or B, 1, 1, S]
  std::map<int64_t, ir::Value*> sink_dims;    ///< by heads: i64 [4] = B, H, T, 1
  std::map<ir::Value*, ir::Value*> paddings;  ///< by key_mask: f32 [B, 1, 1, S], 0 or kPadding
};

class AttentionLowering {
 public:
  AttentionLowering(ir::Graph& graph, int64_t invalid_index, bool is_ring)
      : graph_(graph), invalid_index_(invalid_index), is_ring_(is_ring) {}

  /// `which` is "masked" for attentions of encoders: with a key_mask, a bias or a window without
  /// positions.
  static bool IsWanted(const ir::Node& node, std::string_view which) {
    const bool has_window = node.IntAttribute("window_tokens", 0) > 0;
    return which != "masked" || node.input(9) != nullptr || node.input(10) != nullptr ||
           (node.input(3) == nullptr && has_window);
  }

  Status Lower(ir::Node* node) {
    const ops::AttentionAttributes attributes = ops::ReadAttentionAttributes(*node);
    const int64_t heads = attributes.num_heads;
    const int64_t kv_heads = attributes.num_kv_heads;
    const Emitter emit(graph_, node);
    QEFF_ASSIGN_OR_RETURN(const int64_t key_size, HeadSize(*node, 0, heads));
    QEFF_ASSIGN_OR_RETURN(const int64_t value_size, HeadSize(*node, 2, kv_heads));
    const DType dtype = node->input(0)->type().dtype.value_or(DType::kF32);
    ir::Value* query = SplitHeads(emit, node->input(0), heads, key_size);
    ir::Value* keys = SplitHeads(emit, node->input(1), kv_heads, key_size);
    ir::Value* values = SplitHeads(emit, node->input(2), kv_heads, value_size);
    if (node->input(4) != nullptr) {
      MakeShared(*node);
      keys = ThroughCache(node, emit, keys, 1);
      ir::Value* zero =
          dtype == DType::kF32
              ? emit.Float(0)
              : graph_.AddConstant("zero", ir::Converted(ir::MakeFloatScalar(0), dtype));
      values =
          emit.Op("Where", {shared_.invalid_column, zero, ThroughCache(node, emit, values, 2)});
    } else {
      MakeCacheless(*node);
    }
    keys = Repeat(emit, keys, heads, kv_heads, key_size);
    values = Repeat(emit, values, heads, kv_heads, value_size);

    ir::Value* scores = emit.Op("MatMul", {query, emit.Transpose(keys, {0, 1, 3, 2})});
    if (dtype != DType::kF32) scores = emit.Cast(scores, DType::kF32);
    scores = emit.Op("Mul", {scores, emit.Float(attributes.scale)});
    if (const float cap = attributes.softcap; cap > 0) {
      scores = emit.Op("Div", {scores, emit.Float(cap)});
      scores = emit.Op("Mul", {emit.Op("Tanh", {scores}), emit.Float(cap)});
    }
    if (!attributes.alibi_slopes.empty()) {
      scores = emit.Op("Add", {scores, Alibi(*node, attributes)});
    }
    if (ir::Value* bias = node->input(10)) {
      if (bias->type().dtype.value_or(DType::kF32) != DType::kF32)
        bias = emit.Cast(bias, DType::kF32);
      scores = emit.Op("Add", {scores, bias});
    }
    if (node->input(9) != nullptr) scores = emit.Op("Add", {scores, Padding(*node)});
    if (ir::Value* mask = Mask(*node, attributes.window_tokens, attributes.chunk_tokens)) {
      ir::Value* unseen = emit.Float(-std::numeric_limits<float>::infinity());
      scores = emit.Op("Where", {mask, unseen, scores});
    }
    if (ir::Value* sinks = node->input(8)) {
      sinks = emit.Unsqueeze(sinks, {0, 2, 3});
      if (dtype != DType::kF32) sinks = emit.Cast(sinks, DType::kF32);
      sinks = emit.Op("Expand", {sinks, SinkDims(*node, heads)});
      scores = emit.Concat({scores, sinks}, 3);
    }
    ir::Value* weights = emit.Op("Softmax", {scores}, {{"axis", int64_t{-1}}});
    if (node->input(8) != nullptr) weights = emit.Slice(weights, 3, 0, -1);
    if (dtype != DType::kF32) weights = emit.Cast(weights, dtype);
    ir::Value* mixed = emit.Transpose(emit.Op("MatMul", {weights, values}), {0, 2, 1, 3});
    ir::Value* output = emit.Reshape(mixed, {0, 0, heads * value_size});
    ReplaceNode(graph_, node, output);
    return Status::Ok();
  }

 private:
  static Result<int64_t> HeadSize(const ir::Node& node, size_t input, int64_t heads) {
    const ir::TensorType& type = node.input(input)->type();
    if (!type.shape || type.shape->size() != 3 || !type.shape->back().is_number() || heads <= 0 ||
        type.shape->back().value() % heads != 0) {
      return InvalidInput(Location::Node("", node.name()),
                          fmt::format("expected [B, T, {} * E] with a fixed last dimension, got {}",
                                      heads, type.ToString()));
    }
    return type.shape->back().value() / heads;
  }

  static ir::Value* SplitHeads(const Emitter& emit, ir::Value* x, int64_t heads, int64_t size) {
    return emit.Transpose(emit.Reshape(x, {0, 0, heads, size}), {0, 2, 1, 3});
  }

  /// [B, K, S, E] -> [B, H, S, E]: each kv head is repeated for its group of query heads.
  static ir::Value* Repeat(const Emitter& emit, ir::Value* x, int64_t heads, int64_t kv_heads,
                           int64_t size) {
    if (heads == kv_heads) return x;
    ir::Value* expanded =
        emit.Op("Expand", {emit.Unsqueeze(x, {2}), emit.Ints({1, 1, heads / kv_heads, 1, 1})});
    return emit.Reshape(expanded, {0, heads, -1, size});
  }

  /// Writes k or v into its cache and reads the slots back; `output` 1 or 2 of the attention is the
  /// new cache.
  ir::Value* ThroughCache(ir::Node* node, const Emitter& emit, ir::Value* update, size_t output) {
    ir::Value* batch_index = node->input(6);
    ir::Value* state = node->output(output);
    std::vector<ir::Value*> scatter_inputs = {node->input(3 + output)};
    if (batch_index != nullptr) scatter_inputs.push_back(batch_index);
    scatter_inputs.insert(scatter_inputs.end(), {shared_.scatter_positions, update});
    const std::string name = state->name();
    ir::Value* written =
        emit.Op(batch_index ? "CtxScatterCB" : "CtxScatter", scatter_inputs, {}, ir::kCloudDomain);
    graph_.ReplaceAllUses(state, written);
    graph_.RenameValue(state, name + "_old");
    graph_.RenameValue(written, name);
    std::vector<ir::Value*> gather_inputs = {written};
    if (batch_index != nullptr) gather_inputs.push_back(batch_index);
    gather_inputs.insert(gather_inputs.end(), {shared_.gather_indices, shared_.slot_count});
    return emit.Op(batch_index ? "CtxGatherCB" : "CtxGather", gather_inputs, {}, ir::kCloudDomain);
  }

  /// Makes what depends on the cache and the positions; later calls find it made.
  void MakeShared(const ir::Node& node) {
    if (shared_.slots != nullptr) return;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* positions = node.input(3);
    const bool has_lengths = node.input(7) != nullptr && !is_ring_;
    ir::Value* length_source = has_lengths ? node.input(7) : node.input(4);
    const int64_t length_axis = has_lengths ? 0 : 2;
    shared_.slot_count =
        emit.Op("Gather", {emit.Op("Shape", {length_source}), emit.Int(length_axis)});
    ir::Value* range = emit.Op("Range", {emit.Int(0), shared_.slot_count, emit.Int(1)});
    shared_.slots = emit.Unsqueeze(range, {0, 1});
    ir::Value* limit =
        emit.Unsqueeze(emit.Op("ReduceMax", {positions},
                               {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}}),
                       {2});
    ir::Value* indices = shared_.slots;
    if (is_ring_) {
      ir::Value* behind = emit.Op("Mod", {emit.Op("Sub", {limit, indices}), shared_.slot_count});
      shared_.slots = emit.Op("Sub", {limit, behind});
      shared_.invalid = emit.Op("Less", {shared_.slots, emit.Int(0)});
    } else {
      shared_.invalid = emit.Op("Greater", {shared_.slots, limit});
    }
    shared_.invalid_column = emit.Unsqueeze(shared_.invalid, {3});
    shared_.gather_indices = emit.Op("Where", {shared_.invalid, emit.Int(invalid_index_), indices});
    shared_.position_column = emit.Unsqueeze(positions, {2});
    shared_.scatter_positions = positions;
    if (node.input(6) != nullptr || is_ring_) {
      ir::Value* padding = node.input(6) != nullptr ? emit.Int(kDoNotTouch) : emit.Int(-1);
      ir::Value* place = is_ring_ ? emit.Op("Mod", {positions, shared_.slot_count}) : positions;
      shared_.scatter_positions =
          emit.Op("Where", {emit.Op("Less", {positions, emit.Int(0)}), padding, place});
    }
  }

  /// Without a cache the "slots" are the tokens of the call; each stands at its own position,
  /// padding at none.
  void MakeCacheless(const ir::Node& node) {
    if (shared_.slots != nullptr || node.input(3) == nullptr) return;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* positions = node.input(3);
    shared_.slots = emit.Unsqueeze(positions, {1});
    shared_.position_column = emit.Unsqueeze(positions, {2});
    cacheless_ = true;
  }

  /// The window of an encoder: bool [1, 1, T, T]. Null if there is none.
  ir::Value* SymmetricMask(const ir::Node& node, int64_t window) {
    if (window == 0) return nullptr;
    ir::Value*& mask = symmetric_masks_[window];
    if (mask != nullptr) return mask;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* count = emit.Op("Gather", {emit.Op("Shape", {node.input(0)}), emit.Int(1)});
    ir::Value* range = emit.Op("Range", {emit.Int(0), count, emit.Int(1)});
    ir::Value* column = emit.Unsqueeze(range, {1});
    ir::Value* before = emit.Op("Sub", {column, emit.Int(window)});
    ir::Value* after = emit.Op("Add", {column, emit.Int(window)});
    ir::Value* masked = emit.Op(
        "Or", {emit.Op("LessOrEqual", {range, before}), emit.Op("GreaterOrEqual", {range, after})});
    mask = emit.Unsqueeze(masked, {0, 1});
    return mask;
  }

  /// f32 [B, 1, 1, S]: 0 for tokens, kPadding for padding.
  ir::Value* Padding(const ir::Node& node) {
    ir::Value*& padding = shared_.paddings[node.input(9)];
    if (padding != nullptr) return padding;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* is_padding = emit.Op("Equal", {node.input(9), emit.Int(0)});
    padding =
        emit.Unsqueeze(emit.Op("Where", {is_padding, emit.Float(kPadding), emit.Float(0)}), {1, 2});
    return padding;
  }

  ir::Value* Mask(const ir::Node& node, int64_t window, int64_t chunk) {
    if (node.input(3) == nullptr) return SymmetricMask(node, window);
    ir::Value*& mask = shared_.masks[{window, chunk}];
    if (mask != nullptr) return mask;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* position = shared_.position_column;
    ir::Value* masked = emit.Op("Greater", {shared_.slots, position});
    if (cacheless_ || is_ring_)
      masked = emit.Op("Or", {masked, emit.Op("Less", {shared_.slots, emit.Int(0)})});
    if (window > 0) {
      ir::Value* oldest = emit.Op("Sub", {position, emit.Int(window)});
      masked = emit.Op("Or", {masked, emit.Op("LessOrEqual", {shared_.slots, oldest})});
    }
    if (chunk > 0) {
      ir::Value* oldest = emit.Op("Sub", {position, emit.Op("Mod", {position, emit.Int(chunk)})});
      masked = emit.Op("Or", {masked, emit.Op("Less", {shared_.slots, oldest})});
    }
    mask = emit.Unsqueeze(masked, {1});
    return mask;
  }

  /// f32 [1 or B, H, 1, S].
  ir::Value* Alibi(const ir::Node& node, const ops::AttentionAttributes& attributes) {
    const Emitter emit(graph_, &node, kScope);
    if (shared_.slot_numbers == nullptr) {
      shared_.slot_numbers = emit.Cast(emit.Unsqueeze(shared_.slots, {1}), DType::kF32);
    }
    std::string key(reinterpret_cast<const char*>(attributes.alibi_slopes.data()),
                    attributes.alibi_slopes.size() * sizeof(float));
    key += fmt::format(" {} {}", attributes.alibi_scale, attributes.alibi_in_bf16);
    ir::Value*& bias = alibi_[key];
    if (bias != nullptr) return bias;
    ir::Value* slopes = graph_.AddConstant(
        "alibi_slopes", ir::MakeFloats({1, attributes.num_heads, 1, 1}, attributes.alibi_slopes));
    const auto round = [&](ir::Value* value) {
      return attributes.alibi_in_bf16 ? emit.Cast(emit.Cast(value, DType::kBf16), DType::kF32)
                                      : value;
    };
    bias = round(emit.Op("Mul", {round(shared_.slot_numbers), slopes}));
    if (attributes.alibi_scale != 1)
      bias = emit.Op("Mul", {bias, emit.Float(attributes.alibi_scale)});
    return bias;
  }

  ir::Value* SinkDims(const ir::Node& node, int64_t heads) {
    ir::Value*& made = shared_.sink_dims[heads];
    if (made != nullptr) return made;
    const Emitter emit(graph_, &node, kScope);
    ir::Value* dims = emit.Op("Shape", {node.input(node.input(3) != nullptr ? 3 : 0)});
    made = emit.Concat(
        {emit.Slice(dims, 0, 0, 1), emit.Ints({heads}), emit.Slice(dims, 0, 1, 2), emit.Ints({1})},
        0);
    return made;
  }

  static constexpr const char* kScope = "/model";
  ir::Graph& graph_;
  int64_t invalid_index_;
  bool is_ring_;
  SharedValues shared_;
  std::map<std::string, ir::Value*> alibi_;
  std::map<int64_t, ir::Value*> symmetric_masks_;
  bool cacheless_ = false;
};

}  // namespace

Result<Change> LowerAttention(ir::Model& model, const PassContext& context) {
  std::vector<ir::Node*> attentions;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsQeff("Attention") && AttentionLowering::IsWanted(*node, context.Option("only")))
      attentions.push_back(node.get());
  }
  const bool zero = context.Option("invalid-index") == "zero";
  AttentionLowering whole(model.graph, zero ? 0 : kDoNotTouch, /*is_ring=*/false);
  AttentionLowering rings(model.graph, zero ? 0 : kDoNotTouch, /*is_ring=*/true);
  for (ir::Node* node : attentions) {
    const bool is_ring =
        node->input(4) != nullptr && ops::ReadAttentionAttributes(*node).ring_cache;
    QEFF_RETURN_IF_ERROR((is_ring ? rings : whole).Lower(node));
  }
  return attentions.empty() ? Change::kNone : Change::kChanged;
}

}  // namespace qeff::passes
