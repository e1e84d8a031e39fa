#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Python's huggingface_hub and qeff-fetch take each other's caches and folders, against the same hub."""

import importlib.util
import os
import subprocess
import sys
import unittest

import support

# Run by a fresh interpreter: huggingface_hub reads its environment when it is imported.
PREAMBLE = "import os, json, huggingface_hub as h\n"


@unittest.skipUnless(importlib.util.find_spec("huggingface_hub"), "huggingface_hub is not installed")
class Interop(support.FetchCase):
    def setUp(self):
        super().setUp()
        self.add_repo("acme/deep", {"config.json": b"{}", "sub/dir/model.safetensors": support.safetensors(5000)})

    def python(self, script, env=None, code=0):
        # The plain download; with hf-xet it would ask a content service that the test hub does not have.
        environment = self.environment({"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **(env or {})})
        done = subprocess.run([sys.executable, "-c", PREAMBLE + script], env=environment, cwd=self.work,
                              capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def hf(self, *arguments):
        program = os.path.join(os.path.dirname(sys.executable), "hf")
        if not os.path.exists(program):
            self.skipTest("this huggingface_hub has no program 'hf'")
        environment = self.environment({"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"})
        return subprocess.run([program, *arguments], env=environment, cwd=self.work, capture_output=True, text=True, timeout=120,
                              check=False)  # fmt: skip

    def test_ours_is_taken(self):
        self.fetch("acme/tiny", "--all")
        self.fetch("acme/deep", "--all")
        self.hub.requests.clear()
        out = self.python(
            "print(h.snapshot_download('acme/tiny', local_files_only=True))\n"
            "print(h.hf_hub_download('acme/deep', 'sub/dir/model.safetensors', local_files_only=True))\n"
            "print(h.try_to_load_from_cache('acme/tiny', 'adapter_config.json') is h._CACHED_NO_EXIST)\n"
        )
        deep = self.snapshot("acme/deep") / "sub/dir/model.safetensors"
        self.assertEqual(out.splitlines(), [str(self.snapshot()), str(deep), "True"])
        self.assertEqual(self.hub.requests, [])
        self.python("h.snapshot_download('acme/tiny'); h.snapshot_download('acme/deep')")
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_our_choice_is_taken(self):
        """What we leave out is not taken for a complete download, and what we have is used."""
        self.add_repo("acme/tiny", {"README.md": b"# tiny", "pytorch_model.bin": b"pickle"})
        self.fetch("acme/tiny")
        self.python("h.snapshot_download('acme/tiny', allow_patterns=['*.json', '*.safetensors'], local_files_only=True)")
        self.hub.requests.clear()
        self.python("h.snapshot_download('acme/tiny')")
        asked = {r.path.split("?")[0].rsplit("/", 1)[1] for r in self.hub.requests if r.method == "GET" and "/resolve/" in r.path}
        self.assertLessEqual(asked, {"README.md", "pytorch_model.bin"})
        self.check_same(self.snapshot())

    def test_theirs_is_taken(self):
        self.python("h.snapshot_download('acme/tiny'); h.snapshot_download('acme/deep')")
        self.hub.requests.clear()
        for repo in ("acme/tiny", "acme/deep"):
            self.fetch(repo, "--all", "--verify")
            self.check_same(self.snapshot(repo), repo)
            self.fetch(repo, "--all", env={"HF_HUB_OFFLINE": "1"})
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_theirs_is_completed(self):
        self.python("h.hf_hub_download('acme/tiny', 'config.json')")
        self.hub.requests.clear()
        self.fetch("acme/tiny", "--all")
        self.check_same(self.snapshot())
        self.assertEqual(self.hub.count(part="/config.json"), 0)

    def test_without_links_both_ways(self):
        env = {"HF_HUB_DISABLE_SYMLINKS": "1"}
        self.fetch("acme/tiny", "--all", env=env)
        self.python("h.snapshot_download('acme/deep')", env=env)
        self.hub.requests.clear()
        self.python("h.snapshot_download('acme/tiny')", env=env)
        self.fetch("acme/deep", "--all", env=env)
        self.check_same(self.snapshot("acme/deep"), "acme/deep")
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_folders_both_ways(self):
        self.fetch("acme/tiny", "--all", "--local-dir", "ours")
        self.python("h.snapshot_download('acme/tiny', local_dir='theirs')")
        # huggingface_hub looks up the head of each file again, but gets no content.
        self.hub.requests.clear()
        self.python("h.snapshot_download('acme/tiny', local_dir='ours')")
        self.assertEqual(self.hub.count(server="cdn"), 0)
        self.assertEqual(self.hub.count(method="GET", part="resolve"), 0)
        self.fetch("acme/tiny", "--all", "--local-dir", "theirs", "--verify")
        self.assertEqual(self.hub.count(method="GET", part="resolve"), 0)
        self.check_same(self.work / "theirs")

    def test_a_scan_of_our_cache(self):
        self.fetch("acme/tiny")
        self.fetch("acme/deep", "--all")
        out = self.python(
            "info = h.scan_cache_dir()\n"
            "print(info.warnings)\n"
            "for repo in sorted(info.repos, key=lambda r: r.repo_id):\n"
            "  for revision in repo.revisions:\n"
            "    print(repo.repo_id, revision.commit_hash, sorted(revision.refs), len(revision.files), repo.size_on_disk)\n"
        )
        size = sum(path.stat().st_size for path in support.DEMO.iterdir())
        self.assertEqual(out.splitlines(), [
            "[]",
            f"acme/deep {self.snapshot('acme/deep').name} ['main'] 2 5002",
            f"acme/tiny {self.snapshot().name} ['main'] 6 {size}",
        ])  # fmt: skip

    def test_hf_cache_verify(self):
        if "verify" not in self.hf("cache", "--help").stdout:
            self.skipTest("this huggingface_hub has no 'hf cache verify'")
        self.fetch("acme/tiny", "--all")
        done = self.hf("cache", "verify", "acme/tiny")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.fetch("acme/tiny", "--all", "--local-dir", "model")
        done = self.hf("cache", "verify", "acme/tiny", "--local-dir", "model")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (self.snapshot() / "config.json").resolve().write_bytes(b"other")
        self.assertNotEqual(self.hf("cache", "verify", "acme/tiny").returncode, 0)
        (self.snapshot() / "config.json").resolve().write_bytes((support.DEMO / "config.json").read_bytes())

    def test_at_the_same_time(self):
        self.hub.faults = [support.hub_server.Fault("slow_first_byte", "model.safetensors", value=0.5, times=2)]
        ours = self.start("acme/tiny", "--all")
        self.python("h.snapshot_download('acme/tiny')")
        out, err = ours.communicate(timeout=60)
        self.assertEqual((ours.returncode, out), (0, f"{self.snapshot()}\n"), err)
        self.check_same(self.snapshot())


if __name__ == "__main__":
    unittest.main()
