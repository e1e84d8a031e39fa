// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The simulated card behind tests/standins/inc/QAicApi.hpp: programs of the stand-in compiler run
// on the CPU backend, with the rules of buffers and dims that the vendor's runtime is documented to
// have.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "QAicApi.hpp"
#include "backends/backend.h"
#include "backends/program_file.h"
#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"

namespace qaic::rt {
namespace {

/// True if the environment asks for `fault`.
bool Fails(const char* fault) {
  const char* wanted = std::getenv("QEFF_STANDIN_RUNTIME");
  return wanted != nullptr && std::strcmp(wanted, fault) == 0;
}

/// True if no more calls succeed: QEFF_STANDIN_CALLS says how many did, else none.
bool LosesDevice(int64_t call) {
  const char* calls = std::getenv("QEFF_STANDIN_CALLS");
  return Fails("device_lost") && call >= (calls != nullptr ? std::atoll(calls) : 0);
}

/// The stand-in has the devices 0 to 3.
constexpr QID kDevices = 4;

}  // namespace

struct SimulatedProgram {
  qeff::artifact::NetworkDesc network;
  std::unique_ptr<qeff::Session> session;

  size_t count() const { return network.inputs.size() + network.outputs.size(); }
  bool is_partial(size_t index) const {
    return index < network.inputs.size()
               ? network.inputs[index].is_partial_allowed
               : network.outputs[index - network.inputs.size()].is_partial_allowed;
  }

  /// The specialization with exactly these dims, skipped states aside; -1: none.
  int Choose(const DimensionPairs& dims) const {
    if (dims.size() != count()) return -1;
    for (size_t s = 0; s < network.allowed_shapes.size(); ++s) {
      bool fits = true;
      for (size_t i = 0; i < count() && fits; ++i) {
        const std::vector<uint32_t> skipped = {0};
        if (dims[i].second == skipped && is_partial(i)) continue;
        const auto& allowed = network.allowed_shapes[s][i].dims;
        fits =
            std::equal(allowed.begin(), allowed.end(), dims[i].second.begin(), dims[i].second.end(),
                       [](int32_t a, uint32_t b) { return static_cast<uint32_t>(a) == b; });
      }
      if (fits) return static_cast<int>(s);
    }
    return -1;
  }
};

std::shared_ptr<Context> Context::Factory(QAicContextProperties_t*, const std::vector<QID>& ids) {
  if (Fails("no_device")) throw std::runtime_error("Failed to create context: no device");
  if (const char* node = std::getenv("QEFF_STANDIN_DEVICE")) {
    const int file = ::open(node, O_RDWR | O_CLOEXEC);
    if (file < 0)
      throw std::runtime_error(std::string("Failed to open ") + node + ": " + std::strerror(errno));
    ::close(file);
  }
  for (const QID id : ids) {
    if (id < 0 || id >= kDevices) throw std::runtime_error("Invalid device:" + std::to_string(id));
  }
  return std::make_shared<Context>();
}

std::shared_ptr<Qpc> Qpc::Factory(const std::string& folder) {
  const auto file = qeff::artifact::QpcFile::Open(folder + "/programqpc.bin");
  if (!file.ok()) throw std::runtime_error(file.diagnostic().ToString());
  const auto segment = file->Get(qeff::artifact::kNetworkDesc);
  auto network = qeff::artifact::DecodeNetworkDesc(segment->data, folder);
  if (!network.ok()) throw std::runtime_error(network.diagnostic().ToString());
  const auto cpu = qeff::FindBackend("cpu");
  auto session = (*cpu)->Open(folder, {});
  if (!session.ok()) throw std::runtime_error(session.diagnostic().ToString());
  auto qpc = std::make_shared<Qpc>();
  for (const auto* list : {&network->inputs, &network->outputs}) {
    for (const auto& binding : *list) {
      const auto& tensor = list == &network->inputs ? binding.initial : binding.transformed;
      const auto bytes = qeff::artifact::TensorBytes(tensor, folder, binding.name);
      qpc->mappings_.push_back(
          {.bufferName = binding.name,
           .index = static_cast<uint32_t>(qpc->mappings_.size()),
           .ioType = list == &network->inputs ? BUFFER_IO_TYPE_INPUT : BUFFER_IO_TYPE_OUTPUT,
           .size = static_cast<uint32_t>(*bytes),
           .isPartialBufferAllowed = binding.is_partial_allowed});
    }
  }
  qpc->program_ = std::make_shared<SimulatedProgram>(SimulatedProgram{
      .network = std::move(network).value(), .session = std::move(session).value()});
  return qpc;
}

std::shared_ptr<InferenceSet> InferenceSet::Factory(std::shared_ptr<Context>,
                                                    std::shared_ptr<Qpc> qpc, QID, uint32_t,
                                                    uint32_t) {
  if (Fails("no_memory")) throw std::runtime_error("Failed to load program: QS_NOMEM");
  auto set = std::make_shared<InferenceSet>();
  set->qpc_ = std::move(qpc);
  return set;
}

QStatus InferenceSet::getAvailable(shInferenceHandle& handle) {
  // The real one would wait forever for a handle that nobody puts back.
  if (!is_available_) return QS_BUSY;
  is_available_ = false;
  handle = handle_;
  return QS_SUCCESS;
}

QStatus InferenceSet::submit(const shInferenceHandle& handle, uint32_t) {
  if (LosesDevice(submitted_++)) return QS_DEV_ERROR;
  if (Fails("buffer_size")) return QS_INVAL;
  SimulatedProgram& program = qpc_->program();
  const int specialization = program.Choose(handle->dims);
  if (specialization < 0 || Fails("no_shape"))
    throw std::runtime_error("No matching dimension found");
  const size_t inputs = program.network.inputs.size();
  for (size_t i = 0; i < program.count(); ++i) {
    const QBuffer& buffer = i < inputs ? handle->inputs.at(i) : handle->outputs.at(i - inputs);
    size_t wanted = handle->dims[i].first;
    for (const uint32_t dim : handle->dims[i].second) wanted *= dim;
    if (buffer.size != wanted) return QS_INVAL;
    if (i >= inputs || wanted == 0) continue;
    const auto target = program.session->Input(specialization, program.network.inputs[i].name);
    if (target.size() != wanted) continue;  // state that is set from outside
    std::memcpy(target.data(), buffer.buf, wanted);
  }
  const qeff::Status run = program.session->Run(specialization);
  if (!run.ok()) throw std::runtime_error(run.diagnostic().ToString());
  for (size_t i = 0; i < program.network.outputs.size(); ++i) {
    const QBuffer& buffer = handle->outputs.at(i);
    const auto source = program.session->Output(specialization, program.network.outputs[i].name);
    if (buffer.size > 0 && source.size() == buffer.size)
      std::memcpy(buffer.buf, source.data(), buffer.size);
  }
  return QS_SUCCESS;
}

QStatus InferenceSet::getCompletedId(shInferenceHandle& handle, uint32_t) {
  if (Fails("timeout")) return QS_TIMEDOUT;
  handle = handle_;
  return QS_SUCCESS;
}

QStatus InferenceSet::putCompleted(shInferenceHandle&& handle) {
  handle.reset();
  is_available_ = true;
  return QS_SUCCESS;
}

}  // namespace qaic::rt
