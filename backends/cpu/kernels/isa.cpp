// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace qeff::cpu {
namespace {

#if defined(__x86_64__)
/// True if the processor has tiles of bf16 and int8 and the system lets this process use them. The
/// permission is asked for once and holds for all threads; without it the first tile instruction
/// would end the process.
bool HasAmx() {
  constexpr unsigned kAmxBf16 = 1U << 22;
  constexpr unsigned kAmxTile = 1U << 24;
  constexpr unsigned kAmxInt8 = 1U << 25;
  constexpr unsigned kNeeded = kAmxBf16 | kAmxTile | kAmxInt8;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kNeeded) != kNeeded) return false;
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

Isa FindMachineIsa() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("f16c")) {
    return Isa::scalar;
  }
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return Isa::avx2;
  }
  if (!__builtin_cpu_supports("avx512vnni")) return Isa::avx512;
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vbmi")) {
    return Isa::avx512_vnni;
  }
  return HasAmx() ? Isa::amx : Isa::avx512_bf16;
}
#elif defined(__aarch64__)
Isa FindMachineIsa() {
  if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) == 0) return Isa::neon;
  constexpr unsigned long kMatrices = HWCAP2_BF16 | HWCAP2_I8MM;
  return (getauxval(AT_HWCAP2) & kMatrices) == kMatrices ? Isa::neon_bf16 : Isa::neon_dotprod;
}
#else
Isa FindMachineIsa() { return Isa::scalar; }
#endif

}  // namespace

Isa MachineIsa() {
  static const Isa isa = FindMachineIsa();
  return isa;
}

std::vector<Isa> AllIsas() {
  std::vector<Isa> result;
  for (int i = 0; i < kIsaCount; ++i) result.push_back(static_cast<Isa>(i));
  return result;
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> result;
  for (const Isa isa : AllIsas()) {
    if (Includes(MachineIsa(), isa)) result.push_back(isa);
  }
  return result;
}

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_vnni:
      return "avx512_vnni";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::amx:
      return "amx";
    case Isa::neon:
      return "neon";
    case Isa::neon_dotprod:
      return "neon_dotprod";
    case Isa::neon_bf16:
      return "neon_bf16";
  }
  return "scalar";
}

std::optional<Isa> IsaFromName(std::string_view name) {
  for (const Isa isa : AllIsas()) {
    if (IsaName(isa) == name) return isa;
  }
  return std::nullopt;
}

}  // namespace qeff::cpu
