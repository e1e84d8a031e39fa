// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How near the kernels of Linear come to what the machine can do. Each line is measured between two
// runs of the probe that limits it (fused multiply-adds, bf16 dot products, or reading), and gives
// the share of the better of the two:
//   cpu_kernel_bench [THREADS [VARIANT]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/memory.h"
#include "backends/cpu/runtime/thread_pool.h"

namespace qeff::cpu {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Best seconds of many short runs on all threads: on a busy machine some of them are left alone.
template <typename Work>
double BestSeconds(ThreadPool& pool, const Work& work) {
  double best = 1e30;
  const double end = Now() + 0.4;
  for (int i = 0; i < 20 || Now() < end; ++i) {
    const double start = Now();
    pool.Run(work);
    best = std::min(best, Now() - start);
  }
  return best;
}

/// The arithmetic peak as a tile of 12 rows whose operands stay in the first-level cache.
double PeakGflops(ThreadPool& pool, void (*linear)(const LinearArgs&)) {
  constexpr int64_t kDepth = 128;
  constexpr int64_t kCalls = 300;
  std::vector<Memory> memory;
  for (int i = 0; i < pool.thread_count(); ++i) {
    auto piece = Memory::Allocate(1 << 20, "probe");
    if (!piece.ok()) std::exit(3);
    memory.push_back(std::move(*piece));
  }
  const double seconds = BestSeconds(pool, [&](int thread) {
    std::byte* base = memory[thread].data();
    for (int64_t call = 0; call < kCalls; ++call) {
      linear({.x = base,
              .weights = base + 65536,
              .rows = kTileRows,
              .depth = kDepth,
              .columns = kPanelColumns,
              .panel_begin = 0,
              .panel_end = 1,
              .out = reinterpret_cast<float*>(base + 131072),
              .out_stride = kPanelColumns,
              .scratch = reinterpret_cast<float*>(base + 196608)});
    }
  });
  return 2.0 * kTileRows * kPanelColumns * kDepth * kCalls * pool.thread_count() / seconds / 1e9;
}

#if defined(__x86_64__)
constexpr int64_t kDotProductsPerRound = 16;
/// Independent vpdpbusd on registers alone.
[[gnu::noinline]] __attribute__((target("avx512f,avx512vnni"))) void RunDotProducts(
    int64_t rounds) {
  for (int64_t i = 0; i < rounds; ++i) {
    asm volatile(
        "vpdpbusd %%zmm30, %%zmm31, %%zmm0\n vpdpbusd %%zmm30, %%zmm31, %%zmm1\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm2\n vpdpbusd %%zmm30, %%zmm31, %%zmm3\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm4\n vpdpbusd %%zmm30, %%zmm31, %%zmm5\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm6\n vpdpbusd %%zmm30, %%zmm31, %%zmm7\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm8\n vpdpbusd %%zmm30, %%zmm31, %%zmm9\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm10\n vpdpbusd %%zmm30, %%zmm31, %%zmm11\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm12\n vpdpbusd %%zmm30, %%zmm31, %%zmm13\n"
        "vpdpbusd %%zmm30, %%zmm31, %%zmm14\n vpdpbusd %%zmm30, %%zmm31, %%zmm15\n" ::
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
              "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
  }
}
#endif

/// Gigabytes per second of all threads reading their part of `data`.
double ReadGigabytes(ThreadPool& pool, const Memory& data) {
  std::vector<uint64_t> sums(static_cast<size_t>(pool.thread_count()) * 8);
  const size_t words = data.size_bytes() / 8 / static_cast<size_t>(pool.thread_count());
  const double seconds = BestSeconds(pool, [&](int thread) {
    const auto* from = reinterpret_cast<const uint64_t*>(data.data()) + words * thread;
    uint64_t lanes[32] = {};
    for (size_t i = 0; i + 32 <= words; i += 32) {
      for (size_t lane = 0; lane < 32; ++lane) lanes[lane] += from[i + lane];
    }
    for (const uint64_t lane : lanes) sums[static_cast<size_t>(thread) * 8] += lane;
  });
  volatile uint64_t keep = sums[0];
  (void)keep;
  return static_cast<double>(words * 8 * static_cast<size_t>(pool.thread_count())) / seconds / 1e9;
}

/// Billions of operations per second of vpdpbusd on all threads; 0 if the machine has none.
double PeakInt8Gops(ThreadPool& pool) {
#if defined(__x86_64__)
  if (MachineIsa() < Isa::avx512_vnni) return 0;
  constexpr int64_t kRounds = 20000;
  const double seconds = BestSeconds(pool, [](int) { RunDotProducts(kRounds); });
  return 2.0 * 64 * kDotProductsPerRound * kRounds * pool.thread_count() / seconds / 1e9;
#else
  return 0;
#endif
}

struct Shape {
  const char* name;
  int64_t rows;
  int64_t depth;
  int64_t columns;
};

struct Variant {
  const char* name;
  void (*linear)(const LinearArgs&);
  int64_t weight_bits;  ///< 0: as `layout` says
  int64_t row_bytes;
  QuantLayout layout = {};

  int64_t PanelBytes(int64_t depth) const {
    return weight_bits == 0 ? layout.panel_bytes(depth) : kPanelColumns * depth * weight_bits / 8;
  }
  int64_t RowBytes(int64_t depth) const {
    return weight_bits == 0 ? std::max(layout.row_bytes(depth), Bf16RowDepth(depth) * 2)
                            : depth * row_bytes;
  }
};

double LinearSeconds(ThreadPool& pool, const Variant& variant, const Shape& shape, const Memory& x,
                     const Memory& weights, const Memory& out, std::vector<Memory>& scratch) {
  const int64_t panels = PanelCount(shape.columns);
  return BestSeconds(pool, [&](int thread) {
    variant.linear(
        {.x = x.data(),
         .weights = weights.data(),
         .rows = shape.rows,
         .depth = shape.depth,
         .columns = shape.columns,
         .panel_begin = panels * thread / pool.thread_count(),
         .panel_end = panels * (thread + 1) / pool.thread_count(),
         .out = reinterpret_cast<float*>(out.data()),
         .out_stride = shape.columns,
         .scratch = reinterpret_cast<float*>(scratch[static_cast<size_t>(thread)].data())});
  });
}

Memory MustAllocate(int64_t bytes) {
  auto memory = Memory::Allocate(static_cast<size_t>(bytes), "benchmark");
  if (!memory.ok()) std::exit(3);
  std::fill_n(memory->data(), bytes, std::byte{0});  // pages of its own, not the shared zero page
  return std::move(*memory);
}

void RunShape(ThreadPool& pool, const Variant& variant, const Shape& shape) {
  const int64_t weight_bytes = PanelCount(shape.columns) * variant.PanelBytes(shape.depth);
  const Memory x = MustAllocate(shape.rows * variant.RowBytes(shape.depth));
  const Memory weights = MustAllocate(weight_bytes);
  const Memory out = MustAllocate(shape.rows * shape.columns * 4);
  std::vector<Memory> scratch;
  for (int i = 0; i < pool.thread_count(); ++i) {
    scratch.push_back(MustAllocate(LinearScratchFloats(shape.rows) * 4));
  }
  const bool is_decode = shape.rows < 8;
  const auto probe = [&] {
    if (is_decode) return ReadGigabytes(pool, weights);
    return variant.weight_bits == 0 ? PeakInt8Gops(pool) : PeakGflops(pool, variant.linear);
  };
  const double before = probe();
  const double seconds = LinearSeconds(pool, variant, shape, x, weights, out, scratch);
  const double limit = std::max(before, probe());
  const double amount = is_decode ? static_cast<double>(weight_bytes)
                                  : 2.0 * static_cast<double>(shape.rows * shape.depth) *
                                        static_cast<double>(shape.columns);
  const double rate = amount / seconds / 1e9;
  fmt::print("{:<28} {:<8} {:>8.1f} {:<8} {:>5.1f} % of {:.1f}\n", shape.name, variant.name, rate,
             is_decode ? "GB/s" : "GFLOP/s", 100 * rate / limit, limit);
}

}  // namespace
}  // namespace qeff::cpu

int main(int argc, char** argv) {
  using namespace qeff::cpu;
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : UsableProcessors();
  ThreadPool pool(threads);
  const Kernels& kernels = KernelsFor(MachineIsa());
  fmt::print("{} threads, {}\n", threads, IsaName(MachineIsa()));
  const Variant variants[] = {{"f32", kernels.linear_f32, 32, 4},
                              {"bf16", kernels.linear_bf16, 16, 4},
                              {"bf16 dot", kernels.linear_bf16_dot, 16, 2},
                              {"int8", kernels.linear_int8, 0, 0, kInt8Layout},
                              {"int4", kernels.linear_int4, 0, 0, kInt4Layout},
                              {"mxfp6", kernels.linear_mxfp6, 0, 0, kMxfp6Layout}};
  // Few columns for prompts: panels are the outermost loop, and a run should be shorter than a time
  // slice.
  const Shape shapes[] = {{"prompt [512,2048]x[2048,256]", 512, 2048, 256},
                          {"prompt [512,576]x[576,512]", 512, 576, 512},
                          {"batch [16,2048]x[2048,5632]", 16, 2048, 5632},
                          {"decode [1,2048]x[2048,16384]", 1, 2048, 16384}};
  for (const Shape& shape : shapes) {
    for (const Variant& variant : variants) {
      if (argc > 2 && std::string_view(argv[2]) != variant.name) continue;
      RunShape(pool, variant, shape);
    }
  }
  return 0;
}
