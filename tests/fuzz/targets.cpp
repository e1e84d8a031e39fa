// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/targets.h"

#include <new>

#include "backends/cpu/runtime/cpu_session.h"
#include "backends/cpu/runtime/program.h"
#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"

namespace qeff::fuzz {
namespace {

using Bytes = std::span<const std::byte>;
constexpr std::string_view kPath = "fuzzed.bin";

/// Reads every byte: one outside of what may be read stops the process.
void Touch(Bytes bytes) {
  volatile std::byte sum{};
  for (const std::byte byte : bytes) sum = sum ^ byte;
}

// ---- networkdesc.bin

bool ReadNetworkDescription(Bytes bytes) {
  const auto network = artifact::DecodeNetworkDesc(bytes, kPath);
  if (!network.ok()) return false;
  for (const auto* list : {&network->inputs, &network->outputs}) {
    for (const artifact::IoBinding& binding : *list)
      (void)artifact::TensorBytes(binding.initial, kPath, binding.name).ok();
  }
  for (const auto& shapes : network->allowed_shapes) {
    QEFF_CHECK(shapes.size() == network->inputs.size() + network->outputs.size(),
               "shapes that belong to no binding");
  }
  // What was understood survives being written.
  const std::string again = artifact::EncodeNetworkDesc(*network);
  QEFF_CHECK(artifact::DecodeNetworkDesc(std::as_bytes(std::span(again)), kPath).ok(),
             "what was read cannot be read again");
  return true;
}

// ---- the container

bool ReadContainer(Bytes bytes, int depth) {
  const auto segments = artifact::ReadQpcSegments(bytes, kPath);
  if (!segments.ok()) return false;
  for (const artifact::QpcSegment& segment : *segments) {
    QEFF_CHECK(segment.data.data() >= bytes.data() &&
                   segment.data.size() <=
                       bytes.size() - static_cast<size_t>(segment.data.data() - bytes.data()),
               "a segment outside of the file");
    Touch(segment.data);
    Touch(std::as_bytes(std::span(segment.name)));
    if (segment.name == artifact::kNetworkDesc) (void)ReadNetworkDescription(segment.data);
    if (segment.name == artifact::kConstantsDesc)
      (void)artifact::DecodeConstantsDesc(segment.data, kPath).ok();
    if (depth > 0 && artifact::IsQpc(segment.data)) (void)ReadContainer(segment.data, depth - 1);
  }
  return true;
}

bool ReadOuterContainer(Bytes bytes) { return ReadContainer(bytes, 2); }

// ---- the program of the CPU backend

/// 64-byte aligned zeros for the constants of a program.
class Constants {
 public:
  explicit Constants(size_t size_bytes)
      : size_bytes_(size_bytes),
        data_(static_cast<std::byte*>(::operator new(size_bytes, kAlignment))) {
    std::memset(data_, 0, size_bytes);
  }
  ~Constants() { ::operator delete(data_, kAlignment); }
  Constants(const Constants&) = delete;
  Bytes bytes() const { return {data_, size_bytes_}; }

 private:
  static constexpr std::align_val_t kAlignment{cpu::kBufferAlignment};
  size_t size_bytes_;
  std::byte* data_;
};

/// Opens and runs it.
template <int kThreads>
bool ReadCpuProgram(Bytes bytes) {
  const auto program = cpu::ReadProgram(bytes, kPath);
  if (!program.ok()) return false;
  // Memory for what a program asks for is no question of this test.
  constexpr uint64_t kMostBytes = uint64_t{16} << 20;
  if (program->state_bytes > kMostBytes || program->constants_bytes > kMostBytes) return true;
  for (const cpu::SpecializationProgram& one : program->specializations)
    if (one.arena_bytes > kMostBytes || one.io_bytes > kMostBytes) return true;
  const Constants constants(program->constants_bytes + cpu::kAreaSlackBytes);
  auto session = cpu::OpenCpuSession(
      {.program = bytes, .constants = constants.bytes(), .path = std::string(kPath)},
      {.thread_count = kThreads});
  if (!session.ok()) return false;
  for (size_t i = 0; i < (*session)->specializations().size(); ++i) (void)(*session)->Run(i).ok();
  return true;
}

}  // namespace

const std::vector<Target>& AllTargets() {
  static const std::vector<Target> targets = {
      {"container", ReadOuterContainer},
      {"network_description", ReadNetworkDescription},
      {"cpu_program", ReadCpuProgram<1>},
      {"cpu_program_on_two_threads", ReadCpuProgram<2>, 1000}};
  return targets;
}

}  // namespace qeff::fuzz
