// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the CPU runs: for each specialization a flat list of steps over buffers that were placed
// when the program was compiled. The planner builds it, WriteProgram and ReadProgram carry it
// through a file, CheckProgram proves before the first run that no step can leave its buffers and
// none touches what an earlier one writes on a thread that it has not waited for, whatever the file
// holds. Weights are not in it: they are the constants, one mapped segment that all specializations
// share.
//
// File form, little-endian: magic "qeffcpu\0", u32 version, then the fields in the order of the
// structs; strings and lists start with a u32 count. Versions, of which only the last is read:
//   1  first
//   2  attention with ALiBi, sinks and chunks
//   3  batches without their padding: numbers of rows in steps
//   4  caches in bf16, f16 and MXINT8
//   5  products write rows packed for the next one
//   6  attention without padding in decoders, with first tokens that are padding
//   7  f32 attention in units of 48 rows, or of runs of slots in their order
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/kernels.h"
#include "lib/support/dtype.h"
#include "lib/support/status.h"

namespace qeff::cpu {

inline constexpr uint32_t kProgramVersion = 7;
/// Alignment of every buffer within its area.
inline constexpr uint64_t kBufferAlignment = 64;
/// Readable bytes after the end of each area: kernels load whole vectors of the last row of a value
/// cache.
inline constexpr uint64_t kAreaSlackBytes = 256;

/// Steps of a program, see steps.def.
enum class StepOp : uint16_t {
#define STEP(file, Name) k##Name,
#include "backends/cpu/runtime/steps.def"
#undef STEP
};

enum class Area : uint8_t {
  kArena,      ///< intermediate values; contents do not survive a run
  kIo,         ///< inputs and outputs of the specialization
  kState,      ///< retained state, shared by all specializations
  kConstants,  ///< mapped, read-only
};

struct Buffer {
  Area area = Area::kArena;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

/// What a step reads or writes: from `offset_bytes` of a buffer to the buffer's end.
struct Operand {
  int32_t buffer = -1;  ///< -1: left out
  uint64_t offset_bytes = 0;
};

struct Step {
  StepOp op = StepOp::kLinear;
  std::string name;  ///< of the node it comes from, for messages and profiles
  /// All parts of all earlier steps must be done first; without it, a part waits only for the parts
  /// of the same number.
  bool has_barrier = true;
  std::vector<Operand> operands;
  std::vector<std::byte> params;  ///< the struct that step_params.h gives the op
  /// i64 [1]: how many of the step's `row_total` rows are to be done; the others are nobody's. Left
  /// out: all.
  Operand row_count;
  int64_t row_total = 0;
  std::vector<int64_t> part_begin;  ///< part p does units [part_begin[p], part_begin[p + 1])
};

struct IoTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  uint64_t offset_bytes = 0;  ///< in the io area
};

/// How the elements of a state lie in memory.
enum class StateLayout : uint8_t {
  kPlain,      ///< row-major
  kKeyPanels,  ///< [Bc, K, C, E] as panels of 32 slots, see kernels/kernels.h; C rounded up to 32
};

struct StateTensor {
  std::string name;
  DType dtype = DType::kF32;  ///< of the graph; elements are held as `format` says if it is a float
  std::vector<int64_t> dims;
  StateLayout layout = StateLayout::kPlain;
  CacheFormat format = CacheFormat::kF32;  ///< of caches: [Bc, K, C, E] or [Bc, C, E]
  uint64_t offset_bytes = 0;               ///< in the state area
};

struct SpecializationProgram {
  std::string name;
  std::map<std::string, int64_t> symbols;
  std::vector<IoTensor> inputs;
  std::vector<IoTensor> outputs;
  uint64_t arena_bytes = 0;
  uint64_t io_bytes = 0;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
};

struct Program {
  uint32_t part_count = 1;  ///< threads that the work was divided for
  uint64_t constants_bytes = 0;
  uint64_t state_bytes = 0;
  std::vector<StateTensor> states;
  std::vector<SpecializationProgram> specializations;
};

/// Bytes of a tensor in an io buffer.
int64_t IoBytes(const IoTensor& tensor);
/// Bytes of a tensor in the state area.
int64_t StateBytes(const StateTensor& state);
/// Elements of `dims`, or nothing if a dimension is negative or the product exceeds 2^48.
std::optional<int64_t> CheckedElementCount(std::span<const int64_t> dims);

std::string WriteProgram(const Program& program);
/// Reads and checks. `path` names the file in errors. Errors: kInvalidInput, kVersionMismatch.
Result<Program> ReadProgram(std::span<const std::byte> bytes, std::string_view path,
                            int64_t base_offset_bytes = 0);
/// Checks everything that running relies on: areas, sizes, and each step by its own rule. Errors:
/// kInvalidInput.
Status CheckProgram(const Program& program, std::string_view path);
/// Bytes of scratch that each thread needs to run `program`, which has been checked.
uint64_t ScratchBytes(const Program& program);

}  // namespace qeff::cpu
