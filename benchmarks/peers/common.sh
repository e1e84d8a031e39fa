# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of the engines share. Each sets `packages` and `adapter` and calls `main "$@"`:
#   <engine>.sh HOME_OF_PEERS install
#   <engine>.sh HOME_OF_PEERS prepare CHECKPOINT WEIGHTS
#   <engine>.sh HOME_OF_PEERS run CHECKPOINT WEIGHTS
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Exports of Hugging Face checkpoints; only for preparing.
conversion_packages=(torch==2.15.0 transformers==5.5.4)

usage() {
  echo "usage: $0 HOME_OF_PEERS install | prepare CHECKPOINT WEIGHTS | run CHECKPOINT WEIGHTS" >&2
  exit 2
}

# One virtual environment for all engines: they agree on numpy and torch.
install_packages() {
  [ -x "$home/venv/bin/python" ] || python3 -m venv "$home/venv"
  "$home/venv/bin/pip" install --quiet "$@"
}

install() { install_packages "${packages[@]}"; }

main() {
  [ $# -ge 2 ] || usage
  mkdir -p "$1"
  home=$(cd "$1" && pwd)
  case $2 in
    install) install ;;
    prepare | run)
      [ $# -eq 4 ] || usage
      [ -x "$home/venv/bin/python" ] || { echo "error: nothing in $home: run '$0 $1 install' first" >&2; exit 3; }
      exec "$home/venv/bin/python" "$here/$adapter" "$2" "$home" "$3" "$4"
      ;;
    *) usage ;;
  esac
}
