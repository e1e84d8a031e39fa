// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Every loop keeps enough sums in registers to hide the latency of its instruction, and few enough
// that none is spilled. Empty asm statements make operands and first sums unknown to the compiler,
// which would else fold turns, or equal sums, into one.
#include "backends/cpu/limits/probe_loops.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace qeff::cpu {
namespace {

#if defined(__x86_64__)
#define QEFF_OPAQUE(value) asm volatile("" : "+v"(value))
#else
#define QEFF_OPAQUE(value) asm volatile("" : "+w"(value))
#endif

/// What the plainest build has: vectors of 4; multiply and add apart where nothing fuses them.
void GenericF32(int64_t turns) {
  using Vec4 = float __attribute__((vector_size(16)));
  Vec4 sums[8] = {};
  for (Vec4& sum : sums) QEFF_OPAQUE(sum);
  Vec4 a = Vec4{} + 1.0f;
  const Vec4 b = Vec4{} + 1e-3f;
  for (int64_t turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 8
    for (Vec4& sum : sums) {
      QEFF_OPAQUE(a);  // or one product would serve all sums
      sum += a * b;
    }
  }
  for (Vec4& sum : sums) QEFF_OPAQUE(sum);
}

/// Reading goes on at four places side by side and fetches 1 KiB ahead: on a Xeon that was the
/// fastest of what was tried, a tenth above one place and no fetching. A cache line of each at a
/// time.
constexpr size_t kReadPlaces = 4;
constexpr size_t kReadAheadBytes = 1024;
constexpr size_t kLineBytes = 64;

/// Sums of their own, so that loads do not wait for each other.
uint64_t GenericRead(const std::byte* data, size_t size_bytes) {
  using Words = uint64_t __attribute__((vector_size(16)));
  Words sums[2 * kReadPlaces] = {};
  const size_t part = size_bytes / kReadPlaces;
  for (size_t offset = 0; offset < part; offset += kLineBytes) {
#pragma GCC unroll 4
    for (size_t place = 0; place < kReadPlaces; ++place) {
      const std::byte* from = data + place * part + offset;
      __builtin_prefetch(from + kReadAheadBytes);
#pragma GCC unroll 4
      for (size_t i = 0; i < kLineBytes / sizeof(Words); ++i) {
        Words value;
        std::memcpy(&value, from + i * sizeof(value), sizeof(value));
        sums[2 * place + i % 2] ^= value;
      }
    }
  }
  uint64_t result = 0;
  for (const Words& sum : sums) result ^= sum[0] ^ sum[1];
  return result;
}

#if defined(__x86_64__)

constexpr int kWideSums = 24;    // of 32 registers
constexpr int kNarrowSums = 12;  // of 16

[[gnu::target("avx2,fma")]] void Avx2F32(int64_t turns) {
  __m256 sums[kNarrowSums] = {};
  for (__m256& sum : sums) QEFF_OPAQUE(sum);
  __m256 a = _mm256_set1_ps(1.0f);
  const __m256 b = _mm256_set1_ps(1e-3f);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
  for (__m256& sum : sums) QEFF_OPAQUE(sum);
}

/// Products of bytes without VNNI: to pairs in 16 bits, to quads in 32 bits, then the sum.
[[gnu::target("avx2")]] void Avx2Int8(int64_t turns) {
  __m256i sums[kNarrowSums - 2] = {};
  for (__m256i& sum : sums) QEFF_OPAQUE(sum);
  __m256i a = _mm256_set1_epi8(3);
  const __m256i b = _mm256_set1_epi8(1);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 10
    for (__m256i& sum : sums) {
      QEFF_OPAQUE(a);
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
  for (__m256i& sum : sums) QEFF_OPAQUE(sum);
}

[[gnu::target("avx512f")]] void Avx512F32(int64_t turns) {
  __m512 sums[kWideSums] = {};
  for (__m512& sum : sums) QEFF_OPAQUE(sum);
  __m512 a = _mm512_set1_ps(1.0f);
  const __m512 b = _mm512_set1_ps(1e-3f);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
  for (__m512& sum : sums) QEFF_OPAQUE(sum);
}

[[gnu::target("avx512f,avx512bf16")]] void Avx512Bf16(int64_t turns) {
  __m512 sums[kWideSums] = {};
  for (__m512& sum : sums) QEFF_OPAQUE(sum);
  __m512i a = _mm512_set1_epi16(0x3f80);
  const __m512i b = _mm512_set1_epi16(0x3a80);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
  for (__m512& sum : sums) QEFF_OPAQUE(sum);
}

[[gnu::target("avx512f,avx512vnni")]] void Avx512Int8(int64_t turns) {
  __m512i sums[kWideSums] = {};
  for (__m512i& sum : sums) QEFF_OPAQUE(sum);
  __m512i a = _mm512_set1_epi8(3);
  const __m512i b = _mm512_set1_epi8(1);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
  for (__m512i& sum : sums) QEFF_OPAQUE(sum);
}

/// Tiles of 16 rows of 64 bytes in all eight registers.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

/// Sums in tiles 0 to 3 from the four products of tiles 4, 5 with 6, 7.
#define QEFF_TILE_LOOP(product)                        \
  static const TileConfig config;                      \
  alignas(64) static const std::byte zeros[1024] = {}; \
  asm volatile("ldtilecfg %0" : : "m"(config));        \
  _tile_zero(0);                                       \
  _tile_zero(1);                                       \
  _tile_zero(2);                                       \
  _tile_zero(3);                                       \
  _tile_loadd(4, zeros, 64);                           \
  _tile_loadd(5, zeros, 64);                           \
  _tile_loadd(6, zeros, 64);                           \
  _tile_loadd(7, zeros, 64);                           \
  for (int64_t turn = 0; turn < turns; ++turn) {       \
    product(0, 4, 6);                                  \
    product(1, 4, 7);                                  \
    product(2, 5, 6);                                  \
    product(3, 5, 7);                                  \
  }                                                    \
  _tile_release()

[[gnu::target("amx-tile,amx-bf16")]] void AmxBf16(int64_t turns) { QEFF_TILE_LOOP(_tile_dpbf16ps); }
[[gnu::target("amx-tile,amx-int8")]] void AmxInt8(int64_t turns) { QEFF_TILE_LOOP(_tile_dpbusd); }

[[gnu::target("avx512f")]] uint64_t Avx512Read(const std::byte* data, size_t size_bytes) {
  __m512i sums[kReadPlaces] = {};
  const size_t part = size_bytes / kReadPlaces;
  for (size_t offset = 0; offset < part; offset += kLineBytes) {
#pragma GCC unroll 4
    for (size_t place = 0; place < kReadPlaces; ++place) {
      const std::byte* from = data + place * part + offset;
      __builtin_prefetch(from + kReadAheadBytes);
      sums[place] = _mm512_xor_si512(sums[place], _mm512_load_si512(from));
    }
  }
  uint64_t words[32];
  std::memcpy(words, sums, sizeof(words));
  uint64_t result = 0;
  for (const uint64_t word : words) result ^= word;
  return result;
}

[[gnu::target("avx2")]] uint64_t Avx2Read(const std::byte* data, size_t size_bytes) {
  __m256i sums[2 * kReadPlaces] = {};
  const size_t part = size_bytes / kReadPlaces;
  for (size_t offset = 0; offset < part; offset += kLineBytes) {
#pragma GCC unroll 4
    for (size_t place = 0; place < kReadPlaces; ++place) {
      const std::byte* from = data + place * part + offset;
      __builtin_prefetch(from + kReadAheadBytes);
#pragma GCC unroll 2
      for (size_t i = 0; i < 2; ++i) {
        const auto* half = reinterpret_cast<const __m256i*>(from + i * 32);
        sums[2 * place + i] = _mm256_xor_si256(sums[2 * place + i], _mm256_load_si256(half));
      }
    }
  }
  uint64_t words[32];
  std::memcpy(words, sums, sizeof(words));
  uint64_t result = 0;
  for (const uint64_t word : words) result ^= word;
  return result;
}

#elif defined(__aarch64__)

constexpr int kNeonSums = 24;  // of 32 registers

template <typename Vector>
[[gnu::always_inline]] inline void MakeOpaque(Vector (&sums)[kNeonSums]) {
#pragma GCC unroll 24
  for (Vector& sum : sums) QEFF_OPAQUE(sum);
}

void NeonF32(int64_t turns) {
  float32x4_t sums[kNeonSums] = {};
  MakeOpaque(sums);
  float32x4_t a = vdupq_n_f32(1.0f);
  const float32x4_t b = vdupq_n_f32(1e-3f);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (float32x4_t& sum : sums) sum = vfmaq_f32(sum, a, b);
  }
  MakeOpaque(sums);
}

/// Products of bytes without dotprod: to 16 bits, to pairs in 16 bits, to the sum of quads.
void NeonInt8(int64_t turns) {
  int32x4_t sums[kNeonSums] = {};
  MakeOpaque(sums);
  int8x16_t a = vdupq_n_s8(3);
  const int8x16_t b = vdupq_n_s8(1);
  for (int64_t turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 24
    for (int32x4_t& sum : sums) {
      QEFF_OPAQUE(a);
      const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
      sum = vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(a, b)));
    }
  }
  MakeOpaque(sums);
}

[[gnu::target("arch=armv8.2-a+dotprod")]] void NeonDotInt8(int64_t turns) {
  int32x4_t sums[kNeonSums] = {};
  MakeOpaque(sums);
  int8x16_t a = vdupq_n_s8(3);
  const int8x16_t b = vdupq_n_s8(1);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (int32x4_t& sum : sums) sum = vdotq_s32(sum, a, b);
  }
  MakeOpaque(sums);
}

[[gnu::target("arch=armv8.2-a+i8mm")]] void NeonMatrixInt8(int64_t turns) {
  int32x4_t sums[kNeonSums] = {};
  MakeOpaque(sums);
  int8x16_t a = vdupq_n_s8(3);
  const int8x16_t b = vdupq_n_s8(1);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (int32x4_t& sum : sums) sum = vmmlaq_s32(sum, a, b);
  }
  MakeOpaque(sums);
}

[[gnu::target("arch=armv8.2-a+bf16")]] void NeonMatrixBf16(int64_t turns) {
  float32x4_t sums[kNeonSums] = {};
  MakeOpaque(sums);
  uint16x8_t a = vdupq_n_u16(0x3f80);
  const uint16x8_t b = vdupq_n_u16(0x3a80);
  for (int64_t turn = 0; turn < turns; ++turn) {
    QEFF_OPAQUE(a);
#pragma GCC unroll 24
    for (float32x4_t& sum : sums) {
      sum = vbfmmlaq_f32(sum, vreinterpretq_bf16_u16(a), vreinterpretq_bf16_u16(b));
    }
  }
  MakeOpaque(sums);
}

#endif

std::vector<ArithmeticLoop> FindLoops() {
  std::vector<ArithmeticLoop> loops = {
      {Arithmetic::kF32, "4 x f32, multiply and add", Isa::scalar, true, 8 * 4 * 2, GenericF32}};
#if defined(__x86_64__)
  constexpr double kTileOperations = 4.0 * 16 * 16 * 2;  // of one turn for each k
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    loops.push_back(
        {Arithmetic::kF32, "vfmadd ymm", Isa::avx2, true, kNarrowSums * 8 * 2, Avx2F32});
    loops.push_back({Arithmetic::kInt8, "vpmaddubsw, vpmaddwd, vpaddd ymm", Isa::avx2, true,
                     (kNarrowSums - 2) * 32 * 2, Avx2Int8});
  }
  if (__builtin_cpu_supports("avx512f")) {
    loops.push_back(
        {Arithmetic::kF32, "vfmadd zmm", Isa::avx512, true, kWideSums * 16 * 2, Avx512F32});
  }
  if (__builtin_cpu_supports("avx512vnni")) {
    loops.push_back({Arithmetic::kInt8, "vpdpbusd zmm", Isa::avx512_vnni, true, kWideSums * 64 * 2,
                     Avx512Int8});
  }
  if (__builtin_cpu_supports("avx512bf16")) {
    loops.push_back({Arithmetic::kBf16, "vdpbf16ps zmm", Isa::avx512_bf16, true, kWideSums * 32 * 2,
                     Avx512Bf16});
  }
  if (MachineIsa() >= Isa::amx) {  // asks the system for the tiles, too
    loops.push_back(
        {Arithmetic::kBf16, "tdpbf16ps", Isa::amx, true, kTileOperations * 32, AmxBf16});
    loops.push_back({Arithmetic::kInt8, "tdpbusd", Isa::amx, true, kTileOperations * 64, AmxInt8});
  }
#elif defined(__aarch64__)
  loops.push_back({Arithmetic::kF32, "fmla 4s", Isa::neon, true, kNeonSums * 4 * 2, NeonF32});
  loops.push_back({Arithmetic::kInt8, "smull, smull2, addp, sadalp", Isa::neon, true,
                   kNeonSums * 16 * 2, NeonInt8});
  if (Includes(MachineIsa(), Isa::neon_dotprod)) {
    loops.push_back(
        {Arithmetic::kInt8, "sdot 4s", Isa::neon_dotprod, true, kNeonSums * 16 * 2, NeonDotInt8});
  }
  if (Includes(MachineIsa(), Isa::neon_bf16)) {
    loops.push_back(
        {Arithmetic::kInt8, "smmla", Isa::neon_bf16, true, kNeonSums * 32 * 2, NeonMatrixInt8});
    loops.push_back(
        {Arithmetic::kBf16, "bfmmla", Isa::neon_bf16, true, kNeonSums * 16 * 2, NeonMatrixBf16});
  }
#endif
  return loops;
}

}  // namespace

const std::vector<ArithmeticLoop>& ArithmeticLoops() {
  static const std::vector<ArithmeticLoop> loops = FindLoops();
  return loops;
}

uint64_t ReadBytes(const std::byte* data, size_t size_bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return Avx512Read(data, size_bytes);
  if (__builtin_cpu_supports("avx2")) return Avx2Read(data, size_bytes);
#endif
  return GenericRead(data, size_bytes);
}

}  // namespace qeff::cpu
