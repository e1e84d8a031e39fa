// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/lowering.h"

#include "backends/cpu/plan/strided_params.h"
#include "backends/cpu/runtime/packed_formats.h"

namespace qeff::cpu {

#define LOWERING(domain, op, Function) Status Function(GraphLowering&, const ir::Node&);
#include "backends/cpu/plan/lowerings.def"
#undef LOWERING

namespace {

uint64_t RoundUp(uint64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

Result<DType> DTypeOf(const ir::Value& value) {
  if (value.type().dtype) return *value.type().dtype;
  return InvalidInput(Location::Tensor("", value.name()), "the value has no dtype");
}

}  // namespace

LowerFunction FindLowering(std::string_view domain, std::string_view op_type) {
  struct Entry {
    std::string_view domain;
    std::string_view op_type;
    LowerFunction function;
  };
  static constexpr Entry kEntries[] = {
#define LOWERING(domain, op, Function) {domain, op, Function},
#include "backends/cpu/plan/lowerings.def"
#undef LOWERING
  };
  for (const Entry& entry : kEntries) {
    if (entry.domain == domain && entry.op_type == op_type) return entry.function;
  }
  return nullptr;
}

Result<std::vector<int64_t>> DimsOf(const ir::Value& value) {
  if (value.type().shape) {
    if (auto dims = ir::StaticDims(*value.type().shape)) return *std::move(dims);
  }
  return InvalidInput(
      Location::Tensor("", value.name()),
      fmt::format("expected a shape of numbers, got {}", value.type().ToString()),
      {"the shape depends on input data, or a symbol has no number in a specialization"});
}

Rows RowsOrDie(const View& view) {
  const std::optional<Rows> rows = RowsOf(view);
  QEFF_CHECK(rows.has_value(), "GetRows returned a view without even rows");
  return *rows;
}

GraphLowering::GraphLowering(const SpecializedGraph& specialized, const CpuCompileOptions& options,
                             ConstantPool& constants, std::vector<StateTensor>& states,
                             SpecializationProgram& program)
    : specialized_(specialized),
      graph_(specialized.graph),
      options_(options),
      constants_(constants),
      states_(states),
      program_(program),
      builder_(static_cast<uint32_t>(options.part_count)) {}

Status GraphLowering::Unsupported(const ir::Node& node, std::string message) const {
  return qeff::Unsupported(Location::Node(options_.path, node.name()),
                           fmt::format("op '{}' on the cpu: {}", node.QualifiedOp(), message),
                           {"compile with --backend reference, which runs any graph"});
}

const StateTensor* GraphLowering::StateOf(const ir::Value* input) const {
  if (!input->is_input()) return nullptr;
  for (const StateTensor& state : states_) {
    if (state.name == input->name()) return &state;
  }
  return nullptr;
}

Status GraphLowering::PlaceInputs() {
  for (const ir::Value* input : graph_.inputs()) {
    QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> dims, DimsOf(*input));
    QEFF_ASSIGN_OR_RETURN(const DType dtype, DTypeOf(*input));
    View view;
    view.dtype = HeldDType(dtype);
    view.dims = dims;
    view.strides = DenseStrides(dims);
    if (const StateTensor* state = StateOf(input)) {
      view.storage = builder_.AddFixed(Area::kState, state->offset_bytes,
                                       static_cast<uint64_t>(StateBytes(*state)));
    } else {
      const IoTensor tensor = {input->name(), dtype, dims, program_.io_bytes};
      const auto bytes = static_cast<uint64_t>(IoBytes(tensor));
      view.dtype = dtype;
      view.storage = builder_.AddFixed(Area::kIo, tensor.offset_bytes, bytes);
      program_.io_bytes += RoundUp(bytes);
      program_.inputs.push_back(tensor);
      if (dtype != HeldDType(dtype)) {
        View held = builder_.NewDense(HeldDType(dtype), dims);
        AddCopy(view, held, input->name());
        view = held;
        view.is_exclusive = false;
      }
    }
    Set(input, std::move(view));
  }
  return Status::Ok();
}

Status GraphLowering::PlaceOutputs() {
  for (const ir::GraphOutput& output : graph_.outputs()) {
    const std::string_view suffix = ir::kRetainedStateSuffix;
    if (output.name.ends_with(suffix)) {
      const ir::Value* input =
          graph_.FindInput(output.name.substr(0, output.name.size() - suffix.size()));
      if (input != nullptr && StateOf(input) != nullptr) continue;
    }
    QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> dims, DimsOf(*output.value));
    QEFF_ASSIGN_OR_RETURN(const DType dtype, DTypeOf(*output.value));
    const IoTensor tensor = {output.name, dtype, dims, program_.io_bytes};
    const auto bytes = static_cast<uint64_t>(IoBytes(tensor));
    View view;
    view.dtype = dtype;
    view.dims = dims;
    view.strides = DenseStrides(dims);
    view.storage = builder_.AddFixed(Area::kIo, tensor.offset_bytes, bytes);
    program_.io_bytes += RoundUp(bytes);
    program_.outputs.push_back(tensor);
    outputs_[output.name] = view;
    if (dtype == HeldDType(dtype)) output_places_.emplace(output.value, view);
  }
  return Status::Ok();
}

Status GraphLowering::FinishOutputs() {
  const std::string_view suffix = ir::kRetainedStateSuffix;
  for (const ir::GraphOutput& output : graph_.outputs()) {
    const auto place = outputs_.find(output.name);
    QEFF_ASSIGN_OR_RETURN(const View view, Get(output.value));
    if (place != outputs_.end()) {
      if (view.storage != place->second.storage) AddCopy(view, place->second, output.name);
      continue;
    }
    const ir::Value* input =
        graph_.FindInput(output.name.substr(0, output.name.size() - suffix.size()));
    QEFF_ASSIGN_OR_RETURN(const View state, Get(input));
    if (view.storage != state.storage) AddCopy(view, state, output.name);
  }
  return Status::Ok();
}

void GraphLowering::FollowTokensIn(const ir::Node& node) {
  const bool follows =
      node.IsQeff("RemovePadding") ||
      (!node.IsQeff("RestorePadding") &&
       std::any_of(node.inputs().begin(), node.inputs().end(),
                   [&](const ir::Value* input) { return without_padding_.contains(input); }));
  if (follows) {
    without_padding_.insert(node.outputs().begin(), node.outputs().end());
    builder_.FollowRows(token_count_, token_total_);
  } else {
    builder_.FollowRows({}, 0);
  }
}

Status GraphLowering::Run() {
  program_.name = specialized_.name;
  program_.symbols = specialized_.symbols;
  QEFF_RETURN_IF_ERROR(PlaceInputs());
  QEFF_RETURN_IF_ERROR(PlaceOutputs());
  for (const auto& node : graph_.nodes()) {
    FollowTokensIn(*node);
    if (IsSkipped(node.get())) continue;
    const LowerFunction lower = FindLowering(node->domain(), node->op_type());
    if (lower == nullptr) return Unsupported(*node, "no such op");
    QEFF_RETURN_IF_ERROR(lower(*this, *node));
  }
  QEFF_RETURN_IF_ERROR(FinishOutputs());
  builder_.Finish(program_);
  return Status::Ok();
}

View GraphLowering::ConstantView(const ConstantPlace& place, DType dtype,
                                 std::vector<int64_t> dims) {
  View view;
  view.storage = builder_.AddFixed(Area::kConstants, place.offset_bytes, place.size_bytes);
  view.dtype = dtype;
  view.dims = std::move(dims);
  view.strides = DenseStrides(view.dims);
  return view;
}

Result<View> GraphLowering::PlainConstant(const ir::Value* value) {
  const ir::WeightPtr& weight = value->constant();
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place, constants_.AddPlain(weight));
  return ConstantView(place, HeldDType(weight->dtype()), weight->dims());
}

Result<View> GraphLowering::Get(const ir::Value* value) {
  const auto found = views_.find(value);
  if (found != views_.end()) return found->second;
  if (value->is_constant()) {
    QEFF_ASSIGN_OR_RETURN(View view, PlainConstant(value));
    Set(value, view);
    return view;
  }
  return InvalidInput(Location::Tensor(options_.path, value->name()),
                      "the value is read before it is made");
}

Result<View> GraphLowering::GetDense(const ir::Value* value) {
  QEFF_ASSIGN_OR_RETURN(View view, Get(value));
  if (IsDense(view)) return view;
  return Copied(view, value->name());
}

Result<View> GraphLowering::GetRows(const ir::Value* value) {
  QEFF_ASSIGN_OR_RETURN(View view, Get(value));
  if (RowsOf(view)) return view;
  return Copied(view, value->name());
}

Result<View> GraphLowering::NewOutput(const ir::Value* value) {
  const auto place = output_places_.find(value);
  if (place != output_places_.end()) {
    Set(value, place->second);
    return place->second;
  }
  QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> dims, DimsOf(*value));
  QEFF_ASSIGN_OR_RETURN(const DType dtype, DTypeOf(*value));
  View view = builder_.NewDense(dtype, std::move(dims));
  Set(value, view);
  return view;
}

void GraphLowering::AddCopy(const View& from, const View& to, std::string_view name) {
  const CopyParams params = {.dims = StepDimsOf(to.dims),
                             .from_strides = StepStridesFor(from, to.dims),
                             .to_strides = StepStridesFor(to, to.dims),
                             .from_dtype = static_cast<StoredDType>(from.dtype),
                             .to_dtype = static_cast<StoredDType>(to.dtype)};
  builder_.AddStep(
      StepOp::kCopy, name, params, {Reads(from), Writes(to)},
      {.units = RunCount(params.dims), .amount = static_cast<double>(ElementCount(to))});
}

View GraphLowering::Copied(const View& view, std::string_view name) {
  View copy = builder_.NewDense(view.dtype, view.dims);
  AddCopy(view, copy, name);
  return copy;
}

RowFormat GraphLowering::RowFormatFor(WeightFormat weights) const {
  // Without a cache every call is one of many rows, whose products take longer than reading the
  // weights; and embeddings are compared, where rows of 8 bits cost several times the error of
  // weights of 8 bits (docs/weight-formats.md).
  if (IsQuantised(weights) && states_.empty()) return RowFormat::kBf16;
  switch (weights) {
    case WeightFormat::kInt8:
      return RowFormat::kInt8;
    case WeightFormat::kInt4:
      return RowFormat::kInt4;
    case WeightFormat::kMxfp6:
      return RowFormat::kMxfp6;
    case WeightFormat::kBf16:
      return options_.compute == ComputeType::kBf16 ? RowFormat::kBf16 : RowFormat::kF32;
    case WeightFormat::kF32:
    case WeightFormat::kF16:
      break;
  }
  return RowFormat::kF32;
}

Result<PackedRows> GraphLowering::Pack(const ir::Value* value, RowFormat format,
                                       std::string_view name) {
  const auto key = std::make_pair(value, format);
  const auto found = packed_.find(key);
  if (found != packed_.end()) return found->second;
  DeferredNorm norm;
  const auto deferred = deferred_.find(value);
  if (deferred != deferred_.end()) {
    norm = deferred->second;
  } else {
    QEFF_ASSIGN_OR_RETURN(norm.x, GetRows(value));
  }
  PackedRows packed = PackNormed(norm, format, name);
  packed_.emplace(key, packed);
  return packed;
}

PackedRows GraphLowering::NewPacked(int64_t rows, int64_t depth, RowFormat format) {
  const int64_t row_floats = PackedRowBytes(format, depth) / 4;
  return {builder_.NewDense(DType::kF32, {rows, row_floats}), rows, depth};
}

PackedRows GraphLowering::PackNormed(const DeferredNorm& norm, RowFormat format,
                                     std::string_view name, const PackedRows* by_product) {
  const Rows rows = RowsOrDie(norm.x);
  PackedRows packed = {norm.x, rows.count, rows.width};
  // One row packed is the row itself.
  if (rows.count != 1 || norm.kind != NormKind::kNone || format != RowFormat::kF32) {
    packed = by_product != nullptr ? *by_product : NewPacked(rows.count, rows.width, format);
    const PackRowsParams params = {.rows = rows.count,
                                   .depth = rows.width,
                                   .x_stride = rows.stride,
                                   .norm = norm.kind,
                                   .epsilon = norm.epsilon,
                                   .format = format,
                                   .after_product = by_product != nullptr ? 1 : 0};
    builder_.AddStep(StepOp::kPackRows, name, params,
                     {Reads(norm.x), Reads(norm.gamma), Reads(norm.beta), Writes(packed.view)},
                     {.units = (rows.count + kTileRows - 1) / kTileRows,
                      .amount = static_cast<double>(rows.count * rows.width)});
  }
  return packed;
}

}  // namespace qeff::cpu
