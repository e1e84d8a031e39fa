// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Our products of a Linear beside oneDNN's (Debian's libdnnl-dev), in turns in one process: rows
// [M, K] in f32 by constant weights [N, K], both in the order that each library wants. Ours include
// packing (and rounding or quantising) the rows; oneDNN gets them in the dtype of its weights, with
// no scales, so its figures are a little too good. Medians of ROUNDS. Its idle threads must not
// spin:
//   OMP_WAIT_POLICY=passive onednn_bench [THREADS [ROUNDS]]
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/memory.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/thread_pool.h"

namespace qeff::cpu {
namespace {

struct Shape {
  int64_t rows;
  int64_t depth;
  int64_t columns;
};

struct Variant {
  RowFormat rows;
  WeightFormat weights;
  dnnl::memory::data_type dtype;
};

Memory Zeros(int64_t bytes) {
  auto memory = Memory::Allocate(static_cast<size_t>(bytes), "benchmark");
  if (!memory.ok()) std::exit(3);
  std::fill_n(memory->data(), bytes, std::byte{0});
  return std::move(*memory);
}

class Ours {
 public:
  Ours(ThreadPool& pool, const Kernels& kernels, const Variant& variant, const Shape& shape)
      : pool_(pool),
        kernels_(kernels),
        variant_(variant),
        shape_(shape),
        x_(Zeros(shape.rows * shape.depth * 4)),
        rows_(Zeros(shape.rows * PackedRowBytes(variant.rows, shape.depth))),
        weights_(Zeros(PanelCount(shape.columns) * PanelBytes(variant.weights, shape.depth))),
        out_(Zeros(shape.rows * shape.columns * 4)) {
    for (int i = 0; i < pool.thread_count(); ++i) {
      scratch_.push_back(Zeros(LinearScratchFloats(shape.rows) * 4));
    }
  }

  void Run() {
    pool_.Run([&](int thread) {
      for (int64_t row = kTileRows * thread; row < shape_.rows;
           row += kTileRows * pool_.thread_count()) {
        PackTile(kernels_, variant_.rows,
                 {.x = reinterpret_cast<const float*>(x_.data()) + row * shape_.depth,
                  .x_stride = shape_.depth,
                  .row_begin = row,
                  .rows = std::min(kTileRows, shape_.rows - row),
                  .total_rows = shape_.rows,
                  .depth = shape_.depth,
                  .out = rows_.data()});
      }
    });
    const int64_t panels = PanelCount(shape_.columns);
    pool_.Run([&](int thread) {
      RunLinear(
          kernels_, variant_.rows, variant_.weights,
          {.x = rows_.data(),
           .weights = weights_.data(),
           .rows = shape_.rows,
           .depth = shape_.depth,
           .columns = shape_.columns,
           .panel_begin = panels * thread / pool_.thread_count(),
           .panel_end = panels * (thread + 1) / pool_.thread_count(),
           .out = reinterpret_cast<float*>(out_.data()),
           .out_stride = shape_.columns,
           .scratch = reinterpret_cast<float*>(scratch_[static_cast<size_t>(thread)].data())});
    });
  }

 private:
  ThreadPool& pool_;
  const Kernels& kernels_;
  const Variant& variant_;
  const Shape& shape_;
  Memory x_;
  Memory rows_;
  Memory weights_;
  Memory out_;
  std::vector<Memory> scratch_;
};

class Theirs {
 public:
  Theirs(const Variant& variant, const Shape& shape) {
    using dnnl::memory;
    const memory::data_type x_type =
        variant.dtype == memory::data_type::s8 ? memory::data_type::u8 : variant.dtype;
    const memory::desc x({shape.rows, shape.depth}, x_type, memory::format_tag::ab);
    const memory::desc w({shape.columns, shape.depth}, variant.dtype, memory::format_tag::any);
    const memory::desc out({shape.rows, shape.columns}, memory::data_type::f32,
                           memory::format_tag::ab);
    const dnnl::inner_product_forward::primitive_desc chosen(
        {dnnl::prop_kind::forward_inference, x, w, out}, engine_);
    product_ = dnnl::inner_product_forward(chosen);
    for (const memory::desc& desc : {chosen.src_desc(), chosen.weights_desc(), chosen.dst_desc()}) {
      memory_.emplace_back(desc, engine_);
      std::fill_n(static_cast<char*>(memory_.back().get_data_handle()), desc.get_size(), 0);
    }
  }

  void Run() {
    product_.execute(
        stream_,
        {{DNNL_ARG_SRC, memory_[0]}, {DNNL_ARG_WEIGHTS, memory_[1]}, {DNNL_ARG_DST, memory_[2]}});
    stream_.wait();
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::inner_product_forward product_;
  std::vector<dnnl::memory> memory_;
};

template <typename Work>
double Seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void Compare(ThreadPool& pool, const Kernels& kernels, const Variant& variant, const Shape& shape,
             int rounds) {
  Ours ours(pool, kernels, variant, shape);
  Theirs theirs(variant, shape);
  std::vector<double> our_seconds, their_seconds, ratios;
  for (int i = -2; i < rounds; ++i) {
    const double our = Seconds([&] { ours.Run(); });
    const double their = Seconds([&] { theirs.Run(); });
    if (i < 0) continue;  // warm-up
    our_seconds.push_back(our);
    their_seconds.push_back(their);
    ratios.push_back(their / our);
  }
  const double operations = 2e-9 * static_cast<double>(shape.rows * shape.depth * shape.columns);
  fmt::print("| {} | {} x {} x {} | {:.0f} | {:.0f} | {:.2f} |\n",
             WeightFormatName(variant.weights), shape.rows, shape.depth, shape.columns,
             operations / Median(our_seconds), operations / Median(their_seconds), Median(ratios));
}

}  // namespace
}  // namespace qeff::cpu

int main(int argc, char** argv) {
  using namespace qeff::cpu;
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : UsableProcessors();
  const int rounds = argc > 2 ? std::max(1, std::atoi(argv[2])) : 21;
  omp_set_num_threads(threads);
  ThreadPool pool(threads);
  const Kernels& kernels = KernelsFor(MachineIsa());
  const dnnl_version_t* version = dnnl_version();
  fmt::print("{} threads, {}, oneDNN {}.{}.{}\n\n", threads, IsaName(MachineIsa()), version->major,
             version->minor, version->patch);
  fmt::print("| weights | rows x K x N | ours, GOP/s | oneDNN, GOP/s | ours over it |\n");
  fmt::print("|---|---|---|---|---|\n");
  using dtype = dnnl::memory::data_type;
  const Variant variants[] = {{RowFormat::kF32, WeightFormat::kF32, dtype::f32},
                              {RowFormat::kBf16, WeightFormat::kBf16, dtype::bf16},
                              {RowFormat::kInt8, WeightFormat::kInt8, dtype::s8}};
  for (const Variant& variant : variants) {
    for (const Shape& shape :
         {Shape{512, 2048, 5632}, Shape{512, 5632, 2048}, Shape{512, 576, 1536},
          Shape{16, 2048, 5632}, Shape{1, 2048, 16384}}) {
      Compare(pool, kernels, variant, shape, rounds);
    }
  }
  return 0;
}
