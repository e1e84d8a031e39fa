#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that the stand-in for the card's compiler takes each documented option as documented, and nothing else.

usage: check_options.py COMPILER

The lists are those of the vendor's public documents, written down again here, apart from the stand-in's own. A call whose options are fine goes
on to read the model, which is not there; one whose options are not fine says so before."""
import subprocess
import sys

BASE = ["-m=/nowhere/model.onnx", "-aic-hw", "-aic-hw-version=ai100", "-aic-num-cores=8", "-aic-binary-dir=/nowhere/out"]

FLAGS = """compile-only always-expand-onnx-functions sub-functions convert-to-fp16 mxfp6-matmul convert-to-quantize enable-rowwise enable-channelwise
multicast-weights aic-enable-depth-first user-tiled host-preproc aic-preproc io-crc io-encrypt split-retained-state-io allow-mxint8-mdp-io
aic-perf-warnings aic-perf-metrics ddr-stats aic-op-stats time-passes v vvv""".split()

TEXTS = """output-node-name onnx-define-symbol-batch-size network-specialization-config dynamic-shape-input custom-IO-list-file
dump-custom-IO-config-template node-precision-info execute-nodes-in-fp16 keep-original-precision-for-nodes input-list-file dump-profile load-profile
external-quantization sdp-cluster-sizes mdp-load-partition-config mdp-dump-partition-config aic-pmu-events load-embedding-tables
dump-embedding-tables""".split()

REPEATED = ["model-input", "onnx-define-symbol", "register-custom-op"]

# Option, values that are taken, values that are not.
SCHEMAS = "asymmetric symmetric symmetric_with_uint8 symmetric_with_power2_scale".split()
VALUES = [
    ("batchsize", ["1", "32"], ["0", "x"]),
    ("stats-batchsize", ["1"], ["0"]),
    ("quantization-precision", ["Int8", "Int16"], ["Int4"]),
    ("quantization-precision-bias", ["Int8", "Int32"], ["Int16"]),
    ("quantization-schema", SCHEMAS, ["none"]),
    ("quantization-schema-activations", SCHEMAS, ["none"]),
    ("quantization-schema-constants", SCHEMAS, ["none"]),
    ("quantization-calibration", "None KLMinimization KLMinimizationV2 Percentile MSE SQNR".split(), ["Max"]),
    ("num-histogram-bins", ["512"], ["0"]),
    ("profiling-threads", ["4"], ["0"]),
    ("mos", ["1", "8"], ["0", "9", "1.5", "-1"]),
    ("ols", ["1", "8"], ["0", "9"]),
    ("aic-depth-first-mem", ["8", "32"], ["7", "33"]),
    ("allocator-dealloc-delay", ["0", "10"], ["-1", "11"]),
    ("size-split-granularity", ["512", "2048"], ["511", "2049"]),
    ("vtcm-working-set-limit-ratio", ["0", "0.5", "1"], ["-0.1", "1.1"]),
    ("use-producer-dma", ["0", "1"], ["2"]),
    ("combine-inputs", ["true", "false"], ["1"]),
    ("combine-outputs", ["true", "false"], ["no"]),
    ("compile-threads", ["2"], ["0"]),
    ("io-crc-stride", ["256"], ["0"]),
    ("mdts-mos", ["1"], ["0"]),
    ("stats-level", ["70"], ["x"]),
    ("aic-op-stats-level", ["70"], ["x"]),
    ("aic-pmu-recipe", "AxiRd AxiWr AxiRdWr KernelUtil HmxMacs".split(), ["All"]),
    ("aic-profiling-type", ["stats", "trace", "latency"], ["time"]),
    ("device-id", ["0"], ["x"]),
    ("retained-state", ["true"], ["false"]),
]

# What the documents exclude; the last option is the one that is too much.
EXCLUDED = [
    ["-sdp-cluster-sizes=1 2", "-aic-enable-depth-first"],
    ["-sdp-cluster-sizes=1 2", "-mdp-load-partition-config=p.json"],
    ["-sdp-cluster-sizes=1 2", "-stats-level=50"],
    ["-percentile-calibration-value=99", "-quantization-calibration=MSE"],
]
ALLOWED = [
    ["-sdp-cluster-sizes=1 2", "-stats-level=70"],
    ["-quantization-calibration=Percentile", "-percentile-calibration-value=99.9"],
    ["-retained-state"],
]
ANSWERS = [("-h", "-aic-num-cores"), ("--usage", "-mos"), ("-operators-supported=onnx", "\nMatMul\n"), ("-version-extended", "SIMULATED")]


def main():
    compiler, failures, count = sys.argv[1], [], 0

    def call(options, base=BASE):
        done = subprocess.run([compiler, *base, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.returncode, done.stdout

    def check(options, wanted, base=BASE):
        nonlocal count
        count += 1
        code, text = call(options, base)
        taken = "Reading ONNX Model from" in text
        if code != 1 or taken != wanted:
            failures.append(f"{' '.join(options) or ' '.join(base)}: expected {'taken' if wanted else 'refused'}, got exit {code}: {text.strip()}")

    check([], True)
    for flag in FLAGS:
        check([f"-{flag}"], True)
        check([f"-{flag}=1"], False)
        check([f"-{flag}", f"-{flag}"], False)
    for name in TEXTS:
        check([f"-{name}=some,text"], True)
        check([f"-{name}"], False)
        check([f"-{name}="], False)
        check([f"-{name}=a", f"-{name}=b"], False)
    for name in REPEATED:
        check([f"-{name}=a,1", f"-{name}=b,2"], True)
        check([f"-{name}"], False)
    for name, good, bad in VALUES:
        for value in good:
            check([f"-{name}={value}"], True)
        for value in bad:
            check([f"-{name}={value}"], False)
        if name != "retained-state":
            check([f"-{name}"], False)
    for options in EXCLUDED:
        check(options, False)
    for options in ALLOWED:
        check(options, True)
    for missing in ("-m", "-aic-hw", "-aic-hw-version", "-aic-binary-dir"):
        check([], False, [option for option in BASE if option.split("=")[0] != missing])
    for name, good, bad in (("aic-num-cores", ["1", "16"], ["0", "17", "many"]), ("aic-hw-version", ["2.0", "ai100", "ai200"], ["ai300"])):
        base = [option for option in BASE if not option.startswith(f"-{name}=")]
        for value in good:
            check([f"-{name}={value}"], True, base)
        for value in bad:
            check([f"-{name}={value}"], False, base)
    for stranger in ("-mxfp4-matmul", "--convert-to-fp16", "convert-to-fp16", "-", "-aic-num-core=4", "-Mos=1"):
        check([stranger], False)
    for option, part in ANSWERS:
        count += 1
        code, text = call([option], [])
        if code != 0 or part not in text:
            failures.append(f"{option}: expected an answer with {part!r}, got exit {code}: {text[:200]}")
    for failure in failures:
        print(failure)
    print(f"{count} calls, {len(failures)} not as documented")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
