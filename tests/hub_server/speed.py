#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures qeff-fetch, hashing included, beside curl, which only writes: one large file over loopback into memory.

    QEFF_BIN=build/bin speed.py [gigabytes, default 1] [rounds, default 3]

Both get the same file from the same server, in turn; a line for each round. The server copies in the kernel (sendfile)."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import hub_server
import support


def seconds(command, environment):
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {command}")
    return time.monotonic() - start, usage


def main():
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 1) * 1e9)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    extra = sys.argv[3:]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        folder = pathlib.Path(folder)
        model = folder / "repos/acme/big/main/model.safetensors"
        model.parent.mkdir(parents=True)
        block = support.pseudo_random(1 << 20, 1)
        with model.open("wb") as file:
            for _ in range(size >> 20):
                file.write(block)
        size = model.stat().st_size
        with hub_server.Hub(folder / "repos") as hub:
            sha256 = hub.files("acme/big", "main")["model.safetensors"].sha256
            environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(folder / "hub")}
            for _ in range(rounds):
                curl, curl_usage = seconds(["curl", "-s", "-o", folder / "curl", f"{hub.content_url}/cdn/{sha256}"], environment)
                os.remove(folder / "curl")
                fetch, usage = seconds([support.BIN / "qeff-fetch", "acme/big", "--all", *extra], environment)
                shutil.rmtree(folder / "hub")
                print(
                    f"{size * 1e-9:.2f} GB: curl {size * 1e-9 / curl:.2f} GB/s, qeff-fetch {size * 1e-9 / fetch:.2f} GB/s "
                    f"({100 * curl / fetch:.0f} %); processor time {curl_usage.ru_utime + curl_usage.ru_stime:.2f} s and "
                    f"{usage.ru_utime + usage.ru_stime:.2f} s, "
                    f"{usage.ru_maxrss / 1024:.0f} MiB resident",
                    flush=True,
                )


if __name__ == "__main__":
    main()
