// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/reference/reference_session.h"

#include <algorithm>

#include "backends/reference/graph_evaluator.h"

namespace qeff::reference {
namespace {

using Bytes = std::vector<std::byte>;
using Buffers = std::map<std::string, Bytes, std::less<>>;

std::string StateOutput(std::string_view input) {
  return std::string(input) + std::string(ir::kRetainedStateSuffix);
}

Result<TensorInfo> InfoOf(const std::string& name, const ir::TensorType& type) {
  const auto dims = type.shape ? ir::StaticDims(*type.shape) : std::nullopt;
  if (!type.dtype || !dims || ops::CheckedElementCount(*dims) < 0) {
    return InvalidInput(Location::Tensor("", name),
                        fmt::format("expected a type without symbols, got {}", type.ToString()));
  }
  return TensorInfo{name, *type.dtype, *dims};
}

size_t BufferBytes(const TensorInfo& info) {
  return static_cast<size_t>(DTypeBytes(info.dtype, ops::CheckedElementCount(info.dims)));
}

std::span<std::byte> FindBuffer(Buffers& buffers, std::string_view name) {
  const auto found = buffers.find(name);
  return found == buffers.end() ? std::span<std::byte>() : found->second;
}

/// A specialization ready to run.
struct Program {
  ir::Graph graph;
  std::unique_ptr<GraphEvaluator> evaluator;
  Buffers inputs;
  Buffers outputs;
};

class ReferenceSession : public Session {
 public:
  Status Add(ReferenceSpecialization specialization) {
    auto program = std::make_unique<Program>();
    program->graph = std::move(specialization.graph);
    QEFF_ASSIGN_OR_RETURN(GraphEvaluator evaluator, GraphEvaluator::Make(program->graph, weights_));
    program->evaluator = std::make_unique<GraphEvaluator>(std::move(evaluator));
    SpecializationInfo info{.name = std::move(specialization.name),
                            .symbols = std::move(specialization.symbols),
                            .inputs = {},
                            .outputs = {}};
    QEFF_RETURN_IF_ERROR(
        Describe(*program, info).WithNote(fmt::format("in specialization '{}'", info.name)));
    infos_.push_back(std::move(info));
    programs_.push_back(std::move(program));
    return Status::Ok();
  }

  const std::vector<SpecializationInfo>& specializations() const override { return infos_; }
  const std::vector<TensorInfo>& retained_state() const override { return state_infos_; }

  std::span<std::byte> Input(size_t specialization, std::string_view name) override {
    if (specialization >= programs_.size()) return {};
    return FindBuffer(programs_[specialization]->inputs, name);
  }

  std::span<const std::byte> Output(size_t specialization, std::string_view name) const override {
    if (specialization >= programs_.size()) return {};
    return FindBuffer(programs_[specialization]->outputs, name);
  }

  Status Run(size_t specialization) override {
    if (specialization >= programs_.size()) {
      return InvalidInput(Location{}, fmt::format("expected a specialization below {}, got {}",
                                                  programs_.size(), specialization));
    }
    Program& program = *programs_[specialization];
    NamedTensors inputs;
    for (const TensorInfo& info : infos_[specialization].inputs) {
      QEFF_ASSIGN_OR_RETURN(
          inputs[info.name],
          ops::TensorFromBytes(info.dtype, info.dims, program.inputs.find(info.name)->second));
    }
    for (const TensorInfo& info : state_infos_) {
      if (program.graph.FindInput(info.name) != nullptr) inputs[info.name] = state_[info.name];
    }
    QEFF_ASSIGN_OR_RETURN(NamedTensors outputs, program.evaluator->Run(inputs));
    for (const TensorInfo& info : infos_[specialization].outputs) {
      QEFF_RETURN_IF_ERROR(
          ops::TensorToBytes(outputs[info.name], program.outputs.find(info.name)->second));
    }
    for (const TensorInfo& info : state_infos_) {
      const auto updated = outputs.find(StateOutput(info.name));
      if (updated != outputs.end()) state_[info.name] = std::move(updated->second);
    }
    return Status::Ok();
  }

  Status ResetState() override {
    for (const TensorInfo& info : state_infos_) {
      state_[info.name] = ops::ZeroTensor(info.dtype, info.dims);
    }
    return Status::Ok();
  }

  Result<std::vector<float>> ReadState(std::string_view name) const override {
    const auto found = state_.find(name);
    if (found == state_.end()) {
      return InvalidInput(Location::Tensor("", name), "no such retained state");
    }
    std::vector<float> elements;
    for (int64_t i = 0; i < found->second.element_count(); ++i) {
      elements.push_back(static_cast<float>(found->second.number(i)));
    }
    return elements;
  }

 private:
  Status Describe(Program& program, SpecializationInfo& info) {
    const ir::Graph& graph = program.graph;
    for (const ir::Value* input : graph.inputs()) {
      QEFF_ASSIGN_OR_RETURN(TensorInfo tensor, InfoOf(input->name(), input->type()));
      if (const ir::Value* output = graph.FindOutput(StateOutput(input->name()))) {
        QEFF_RETURN_IF_ERROR(AddState(std::move(tensor), *output));
      } else {
        program.inputs[tensor.name].resize(BufferBytes(tensor));
        info.inputs.push_back(std::move(tensor));
      }
    }
    for (const ir::GraphOutput& output : graph.outputs()) {
      const std::string_view name = output.name;
      const bool is_state =
          name.ends_with(ir::kRetainedStateSuffix) &&
          graph.FindInput(name.substr(0, name.size() - ir::kRetainedStateSuffix.size())) != nullptr;
      if (is_state) continue;
      QEFF_ASSIGN_OR_RETURN(TensorInfo tensor, InfoOf(output.name, output.value->type()));
      program.outputs[tensor.name].resize(BufferBytes(tensor));
      info.outputs.push_back(std::move(tensor));
    }
    return Status::Ok();
  }

  Status AddState(TensorInfo info, const ir::Value& output) {
    QEFF_ASSIGN_OR_RETURN(const TensorInfo updated, InfoOf(info.name, output.type()));
    const auto known =
        std::find_if(state_infos_.begin(), state_infos_.end(),
                     [&](const TensorInfo& other) { return other.name == info.name; });
    const TensorInfo& expected = known == state_infos_.end() ? info : *known;
    for (const TensorInfo* tensor : {static_cast<const TensorInfo*>(&info), &updated}) {
      if (tensor->dims == expected.dims && tensor->dtype == expected.dtype) continue;
      const auto text = [](const TensorInfo& shown) {
        return ir::TensorType{shown.dtype, ir::Shape(shown.dims.begin(), shown.dims.end())}
            .ToString();
      };
      return InvalidInput(
          Location::Tensor("", info.name),
          fmt::format("expected retained state {}, got {}", text(expected), text(*tensor)));
    }
    if (known == state_infos_.end()) {
      state_[info.name] = ops::ZeroTensor(info.dtype, info.dims);
      state_infos_.push_back(std::move(info));
    }
    return Status::Ok();
  }

  WeightStore weights_;
  std::vector<SpecializationInfo> infos_;
  // Output buffers are handed out by const functions: the pointee is not part of the session's
  // constness.
  std::vector<std::unique_ptr<Program>> programs_;
  std::vector<TensorInfo> state_infos_;
  NamedTensors state_;
};

}  // namespace

Result<std::unique_ptr<Session>> MakeReferenceSession(
    std::vector<ReferenceSpecialization> specializations) {
  if (specializations.empty()) {
    return InvalidInput(Location{}, "a program needs at least one specialization");
  }
  auto session = std::make_unique<ReferenceSession>();
  for (ReferenceSpecialization& specialization : specializations) {
    QEFF_RETURN_IF_ERROR(session->Add(std::move(specialization)));
  }
  return std::unique_ptr<Session>(std::move(session));
}

}  // namespace qeff::reference
