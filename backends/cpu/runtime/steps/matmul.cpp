// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kA, kB, kOut, kOperandCount };

int64_t Batches(const StepDims& dims) { return Product({RunCount(dims), RunLength(dims)}); }

int64_t BatchOffset(const StepDims& dims, const StepStrides& strides, int64_t batch) {
  const int64_t length = RunLength(dims);
  return RunOffset(dims, strides, batch / length) + batch % length * RunStride(strides);
}

/// Elements of one matrix from its first to its last, saturating.
int64_t MatrixExtent(int64_t rows, int64_t row_stride, int64_t columns, int64_t column_stride) {
  if (rows == 0 || columns == 0) return 0;
  return StridedExtent(rows, row_stride, StridedExtent(columns, column_stride, 1));
}

/// Rows that are packed and multiplied at a time.
constexpr int64_t kRowBlock = 4 * kTileRows;

int64_t ScratchFloats(const MatMulParams& p) {
  const int64_t rows = std::min(kRowBlock, p.rows);
  return Product({kPanelColumns + kTileRows + rows, p.depth}) + LinearScratchFloats(rows) + 64;
}

void Check(StepCheck& check) {
  const auto p = check.params_as<MatMulParams>();
  RequireStrided(check, p.dims, p.a_strides);
  RequireStrided(check, p.dims, p.b_strides);
  RequireStrided(check, p.dims, p.out_strides);
  check.RequireSizes({p.rows, p.depth, p.columns, p.a_row_stride, p.a_depth_stride,
                      p.b_depth_stride, p.b_column_stride, p.out_row_stride});
  const auto read = [&](int operand, const StepStrides& strides, int64_t matrix) {
    const int64_t batches = StridedElements(p.dims, strides);
    check.Read(operand, batches == 0 || matrix == 0 ? 0 : batches + matrix - 1, 4);
  };
  read(kA, p.a_strides, MatrixExtent(p.rows, p.a_row_stride, p.depth, p.a_depth_stride));
  read(kB, p.b_strides, MatrixExtent(p.depth, p.b_depth_stride, p.columns, p.b_column_stride));
  const int64_t out = MatrixExtent(p.rows, p.out_row_stride, p.columns, 1);
  const int64_t batches = StridedElements(p.dims, p.out_strides);
  check.Write(kOut, batches == 0 || out == 0 ? 0 : batches + out - 1, 4);
  check.Done(Product({Batches(p.dims), PanelCount(p.columns)}), Product({ScratchFloats(p), 4}));
}

void PackPanel(const MatMulParams& p, const float* b, int64_t columns, float* panel) {
  for (int64_t k = 0; k < p.depth; ++k) {
    for (int64_t c = 0; c < columns; ++c) {
      panel[k * kPanelColumns + c] = b[k * p.b_depth_stride + c * p.b_column_stride];
    }
    for (int64_t c = columns; c < kPanelColumns; ++c) panel[k * kPanelColumns + c] = 0;
  }
}

/// Rows as linear_f32 of these kernels expects them. `dense` has room for kTileRows of them.
void PackRows(const Kernels& kernels, const MatMulParams& p, const float* a, int64_t rows,
              float* dense, float* packed) {
  const bool is_dense = p.a_depth_stride == 1;
  for (int64_t first = 0; first < rows; first += kTileRows) {
    const float* from = a + first * p.a_row_stride;
    const int64_t count = std::min(kTileRows, rows - first);
    for (int64_t r = 0; r < count && !is_dense; ++r) {
      for (int64_t k = 0; k < p.depth; ++k) {
        dense[r * p.depth + k] = from[r * p.a_row_stride + k * p.a_depth_stride];
      }
    }
    kernels.pack_rows_f32({.x = is_dense ? from : dense,
                           .x_stride = is_dense ? p.a_row_stride : p.depth,
                           .row_begin = first,
                           .rows = count,
                           .total_rows = rows,
                           .depth = p.depth,
                           .out = packed});
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<MatMulParams>();
  const int64_t panels = PanelCount(p.columns);
  auto* panel = reinterpret_cast<float*>(run.scratch);
  float* dense = panel + kPanelColumns * p.depth;
  float* rows_scratch = dense + kTileRows * p.depth;
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / panels;
    const int64_t column = unit % panels * kPanelColumns;
    const int64_t columns = std::min(kPanelColumns, p.columns - column);
    const float* a = run.operand<float>(kA) + BatchOffset(p.dims, p.a_strides, batch);
    const float* b = run.operand<float>(kB) + BatchOffset(p.dims, p.b_strides, batch);
    float* out = run.operand<float>(kOut) + BatchOffset(p.dims, p.out_strides, batch);
    PackPanel(p, b + column * p.b_column_stride, columns, panel);
    for (int64_t row = 0; row < p.rows; row += kRowBlock) {
      const int64_t rows = std::min(kRowBlock, p.rows - row);
      PackRows(run.kernels, p, a + row * p.a_row_stride, rows, dense, rows_scratch);
      run.kernels.linear_f32({.x = rows_scratch,
                              .weights = panel,
                              .rows = rows,
                              .depth = p.depth,
                              .columns = columns,
                              .panel_begin = 0,
                              .panel_end = 1,
                              .out = out + row * p.out_row_stride + column,
                              .out_stride = p.out_row_stride,
                              .scratch = rows_scratch + rows * p.depth});
    }
  }
}

}  // namespace

extern constexpr StepDefinition kMatMulStep = {"matmul", sizeof(MatMulParams), kOperandCount, Check,
                                               Run};

}  // namespace qeff::cpu
