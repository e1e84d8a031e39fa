#!/usr/bin/env bash
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# Installs a build into a fresh folder, builds examples/cpp against the installed CMake package and runs it on the demo model.
#   check_install.sh BUILD
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export QEFF_HOME="$work/cache"

cmake --install "$1" --prefix "$work/prefix" >"$work/install.log"
cmake -S "$root/examples/cpp" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release >"$work/configure.log"
cmake --build "$work/build" >"$work/build.log"

expected=$(python3 - "$root/configs/demo-model/reference.json" <<'PY'
import json, sys
print(json.load(open(sys.argv[1]))["prompts"][0]["greedy_text"][:60])
PY
)
text=$("$work/build/continue_text" "$root/configs/demo-model" "Once upon a time")
[[ "$text" == "Once upon a time$expected"* ]] || { echo "got: $text"; echo "expected to start with: Once upon a time$expected"; exit 1; }

alike=$("$work/build/embed_texts" "$root/tests/data/sentence_transformers/mean" "The cat sits on the mat." "the CAT sits on the mat .")
[[ "$alike" == 1.0000 ]] || { echo "texts that are the same to the tokenizer are alike by $alike"; exit 1; }

for program in qeff-fetch qeff-transform qeff-export qeff-compile qeff-run qeff-infer qeff-bench qeff-inspect qeff-opt; do
  "$work/prefix/bin/$program" --version >/dev/null
done
text=$("$work/prefix/bin/qeff-infer" "$root/configs/demo-model" --prompt "Once upon a time" --max-new-tokens 30 -q)
[[ "$text" == "Once upon a time"* ]] || { echo "qeff-infer printed: $text"; exit 1; }
echo "the installed programs, library and package work"
