#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Only qeff-fetch is linked with network code: of all programs and libraries of the build, it alone needs libcurl, and none
other imports a function that opens a connection."""

import subprocess
import unittest

import support

CONNECTS = {"connect", "getaddrinfo", "gethostbyname"}


def needed(path):
    out = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return [line.split("[")[1].rstrip("]") for line in out.splitlines() if "(NEEDED)" in line]


def imports(path):
    out = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line.strip()}


class Linkage(unittest.TestCase):
    def test_only_fetch_has_network_code(self):
        programs = [path for path in sorted(support.BIN.glob("qeff-*")) if path.is_file()]
        libraries = [path for path in sorted(support.BIN.parent.rglob("libqeff.so*")) if not path.is_symlink()]
        self.assertIn("qeff-run", [path.name for path in programs])
        for path in programs + libraries:
            with self.subTest(path.name):
                uses_curl = any("curl" in name for name in needed(path))
                self.assertEqual(uses_curl, path.name == "qeff-fetch")
                self.assertEqual(imports(path) & CONNECTS, set())  # qeff-fetch itself leaves that to libcurl


if __name__ == "__main__":
    unittest.main()
