// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for the vendor's runtime header: the names that libqeff_aic_session.so uses, as public
// programs use them, on the CPU backend (runtime.cpp). Programs that it runs are simulated. The
// environment variable QEFF_STANDIN_RUNTIME injects a fault: no_device, no_memory, device_lost,
// buffer_size, timeout, no_shape; QEFF_STANDIN_DEVICE names a file that is opened as the device node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#define LRT_LIB_MAJOR_VERSION 0
#define LRT_LIB_MINOR_VERSION 0

using QID = int32_t;

enum QStatus {
  QS_SUCCESS = 0,
  QS_PERM = 1,
  QS_AGAIN = 2,
  QS_NOMEM = 3,
  QS_BUSY = 4,
  QS_NODEV = 5,
  QS_INVAL = 6,
  QS_TIMEDOUT = 9,
  QS_DEV_ERROR = 300,
  QS_ERROR = 500,
};

enum QAicBufferIoTypeEnum {
  BUFFER_IO_TYPE_INVALID = 0,
  BUFFER_IO_TYPE_INPUT = 1,
  BUFFER_IO_TYPE_OUTPUT = 2,
};

struct QBuffer {
  size_t size = 0;
  uint8_t* buf = nullptr;
};

struct QAicContextProperties_t;

namespace qaic::rt {

struct BufferMapping {
  std::string bufferName;
  uint32_t index = 0;
  QAicBufferIoTypeEnum ioType = BUFFER_IO_TYPE_INVALID;
  uint32_t size = 0;
  bool isPartialBufferAllowed = false;
};
using BufferMappings = std::vector<BufferMapping>;
using DimensionPairs = std::vector<std::pair<uint32_t, std::vector<uint32_t>>>;

class Context {
 public:
  static std::shared_ptr<Context> Factory(QAicContextProperties_t* properties,
                                          const std::vector<QID>& ids);
};

struct SimulatedProgram;

class Qpc {
 public:
  static std::shared_ptr<Qpc> Factory(const std::string& folder);
  const BufferMappings& getBufferMappings() const { return mappings_; }
  SimulatedProgram& program() { return *program_; }

 private:
  BufferMappings mappings_;
  std::shared_ptr<SimulatedProgram> program_;
};

class InferenceHandle {
 public:
  void setInputBuffers(const std::vector<QBuffer>& buffers) { inputs = buffers; }
  void setOutputBuffers(const std::vector<QBuffer>& buffers) { outputs = buffers; }
  void setBufferDimensions(const DimensionPairs& pairs) { dims = pairs; }

  std::vector<QBuffer> inputs;
  std::vector<QBuffer> outputs;
  DimensionPairs dims;
};
using shInferenceHandle = std::shared_ptr<InferenceHandle>;

class InferenceSet {
 public:
  static std::shared_ptr<InferenceSet> Factory(std::shared_ptr<Context> context,
                                               std::shared_ptr<Qpc> qpc, QID id, uint32_t set_size,
                                               uint32_t activations);
  QStatus getAvailable(shInferenceHandle& handle);
  QStatus submit(const shInferenceHandle& handle, uint32_t id);
  QStatus getCompletedId(shInferenceHandle& handle, uint32_t id);
  QStatus putCompleted(shInferenceHandle&& handle);

 private:
  std::shared_ptr<Qpc> qpc_;
  shInferenceHandle handle_ = std::make_shared<InferenceHandle>();
  bool is_available_ = true;
  int64_t submitted_ = 0;  ///< calls
};

}  // namespace qaic::rt
