// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// libqeff_aic_session.so: our C interface on the vendor's C++ runtime API, QAicApi.hpp, which finds
// libQAic.so by itself. Built where that header is. One program, one activation, one call at a
// time. Uses of the API follow the vendor's public samples.
#include <QAicApi.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/aic100/session_abi.h"

struct QeffAicSession {
  std::shared_ptr<qaic::rt::Context> context;
  std::shared_ptr<qaic::rt::Qpc> qpc;
  std::shared_ptr<qaic::rt::InferenceSet> inferences;
  std::vector<std::string> names;
  std::vector<QeffAicBinding> bindings;
};

namespace {

void SetMessage(char* message, size_t message_bytes, const std::string& text) {
  if (message_bytes > 0) std::snprintf(message, message_bytes, "%s", text.c_str());
}

void ListBindings(QeffAicSession& session) {
  const auto& mappings = session.qpc->getBufferMappings();
  session.names.resize(mappings.size());
  session.bindings.resize(mappings.size());
  for (const auto& mapping : mappings) {
    session.names[mapping.index] = mapping.bufferName;
    session.bindings[mapping.index] = {.name = session.names[mapping.index].c_str(),
                                       .is_input = mapping.ioType == BUFFER_IO_TYPE_INPUT ? 1 : 0,
                                       .is_partial_allowed = mapping.isPartialBufferAllowed ? 1 : 0,
                                       .size_bytes = mapping.size};
  }
}

int32_t Open(const QeffAicOpenOptions* options, QeffAicSession** session, char* message,
             size_t message_bytes) try {
  auto opened = std::make_unique<QeffAicSession>();
  const std::vector<QID> ids(options->device_ids, options->device_ids + options->device_count);
  constexpr QAicContextProperties_t* kDefaultContext = nullptr;
  opened->context = qaic::rt::Context::Factory(kDefaultContext, ids);
  opened->qpc = qaic::rt::Qpc::Factory(options->folder);
  constexpr uint32_t kSetSize = 1;
  constexpr uint32_t kActivations = 1;
  opened->inferences = qaic::rt::InferenceSet::Factory(opened->context, opened->qpc, ids.at(0),
                                                       kSetSize, kActivations);
  ListBindings(*opened);
  *session = opened.release();
  return QEFF_AIC_OK;
} catch (const std::exception& exception) {
  SetMessage(message, message_bytes, exception.what());
  return QEFF_AIC_EXCEPTION;
}

uint32_t Bindings(const QeffAicSession* session, const QeffAicBinding** bindings) {
  *bindings = session->bindings.data();
  return static_cast<uint32_t>(session->bindings.size());
}

int32_t Run(QeffAicSession* session, const QeffAicBuffer* buffers, char* message,
            size_t message_bytes) try {
  const auto failed = [&](auto status, const char* step) {
    SetMessage(message, message_bytes, step);
    return static_cast<int32_t>(status);
  };
  std::vector<QBuffer> inputs;
  std::vector<QBuffer> outputs;
  std::vector<std::pair<uint32_t, std::vector<uint32_t>>> dims;
  for (size_t i = 0; i < session->bindings.size(); ++i) {
    const QeffAicBuffer& given = buffers[i];
    QBuffer buffer{static_cast<size_t>(given.size_bytes), static_cast<uint8_t*>(given.data)};
    (session->bindings[i].is_input ? inputs : outputs).push_back(buffer);
    dims.emplace_back(given.element_bytes,
                      std::vector<uint32_t>(given.dims, given.dims + given.rank));
  }
  qaic::rt::shInferenceHandle handle;
  auto status = session->inferences->getAvailable(handle);
  if (status != QS_SUCCESS) return failed(status, "getAvailable");
  handle->setBufferDimensions(dims);
  handle->setInputBuffers(inputs);
  handle->setOutputBuffers(outputs);
  constexpr uint32_t kInferenceId = 0;
  status = session->inferences->submit(handle, kInferenceId);
  if (status != QS_SUCCESS) return failed(status, "submit");
  qaic::rt::shInferenceHandle completed;
  status = session->inferences->getCompletedId(completed, kInferenceId);
  if (status != QS_SUCCESS) return failed(status, "getCompletedId");
  // Without this the only handle would never be available again.
  status = session->inferences->putCompleted(std::move(completed));
  return status == QS_SUCCESS ? QEFF_AIC_OK : failed(status, "putCompleted");
} catch (const std::exception& exception) {
  SetMessage(message, message_bytes, exception.what());
  return QEFF_AIC_EXCEPTION;
}

/// Members go in reverse order of their making: inferences, program, context.
void Close(QeffAicSession* session) {
  session->inferences.reset();
  session->qpc.reset();
  session->context.reset();
  delete session;
}

}  // namespace

#define QEFF_TEXT_INNER(value) #value
#define QEFF_TEXT(value) QEFF_TEXT_INNER(value)

extern "C" __attribute__((visibility("default"))) const QeffAicSessionApi* qeff_aic_session_api(
    void) {
  static const QeffAicSessionApi api = {
      .abi_version = QEFF_AIC_SESSION_ABI,
#ifdef LRT_LIB_MAJOR_VERSION
      .built_for = QEFF_TEXT(LRT_LIB_MAJOR_VERSION) "." QEFF_TEXT(LRT_LIB_MINOR_VERSION),
#else
      .built_for = "unknown",
#endif
      .open = Open,
      .bindings = Bindings,
      .run = Run,
      .close = Close};
  return &api;
}
