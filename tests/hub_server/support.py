# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of qeff-fetch share: a hub, a home, the program, and the checks that hold after every one of them."""

import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import urllib.parse

import hub_server

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("QEFF_BIN", ROOT / "build/bin")).resolve()
DEMO = ROOT / "configs/demo-model"


def pseudo_random(size, seed):
    """Content that does not compress and that no two places share."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def safetensors(size, seed=1):
    """A safetensors file of about `size` bytes: one tensor of bytes."""
    count = size - 100
    header = ('{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (count, count)).encode().ljust(92)
    return struct.pack("<Q", len(header)) + header + pseudo_random(count, seed)


class FetchCase(unittest.TestCase):
    """A repository `acme/tiny`, the demo model, is always there; others are added with `add_repo`."""

    page = 1000
    tls = None

    def setUp(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="qeff-fetch-")).resolve()
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        self.repos = self.base / "repos"
        self.add_repo("acme/tiny", {path.name: path.read_bytes() for path in DEMO.iterdir()})
        self.hub = hub_server.Hub(self.repos, self.page, self.tls)
        self.addCleanup(self.hub.close)
        self.home = self.base / "home"
        self.work = self.base / "work"
        for folder in (self.home, self.work):
            folder.mkdir()
        self.cache = self.home / "hf/hub"

    def add_repo(self, repo, files, branch="main"):
        for name, content in files.items():
            path = self.branch_folder(repo, branch) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def branch_folder(self, repo, branch):
        return self.repos / repo / urllib.parse.quote(branch, safe="")

    def environment(self, changes=None):
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.hub.endpoint,
            "LC_ALL": "C.UTF-8",
            **(changes or {}),
        }
        return {name: value for name, value in environment.items() if value is not None}

    def start(self, *arguments, env=None, before=()):
        return subprocess.Popen(
            [*before, BIN / "qeff-fetch", *map(str, arguments)],
            cwd=self.work,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fetch(self, *arguments, env=None, code=0, before=()):
        """Runs qeff-fetch to its end; checks its exit code, and that an error prints no product."""
        process = self.start(*arguments, env=env, before=before)
        process.out, process.err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, f"{arguments}\n{process.out}{process.err}")
        if code != 0:
            self.assertEqual(process.out, "")
            self.assertIn("error: ", process.err)
        return process

    def repo_folder(self, repo="acme/tiny"):
        return self.cache / ("models--" + repo.replace("/", "--"))

    def snapshot(self, repo="acme/tiny", branch="main"):
        return self.repo_folder(repo) / "snapshots" / self.hub.commit(repo, branch)

    def check_same(self, folder, repo="acme/tiny", branch="main", names=None):
        """All files of the branch, or `names`, are in `folder` with the content that the hub has; nothing else is."""
        source = self.branch_folder(repo, branch)
        if names is None:
            names = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
        self.assertEqual(sorted(names), self.names_in(folder))
        for name in names:
            self.assertEqual((folder / name).read_bytes(), (source / name).read_bytes(), name)

    @staticmethod
    def names_in(folder):
        files = (path for path in folder.rglob("*") if not path.is_dir())
        names = (path.relative_to(folder).as_posix() for path in files)
        return sorted(name for name in names if not name.startswith(".cache/"))

    def parts(self, repo="acme/tiny"):
        return sorted(self.repo_folder(repo).glob("blobs/*.incomplete"))

    def tearDown(self):
        """Whatever happened: no blob whose content is not its name, no link that leads elsewhere, nothing outside."""
        for blob in self.cache.glob("models--*/blobs/*"):
            if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name):
                content = blob.read_bytes()
                known = (hub_server.git_sha1(content), hashlib.sha256(content).hexdigest())
                self.assertIn(blob.name, known, "a blob with another content than its name")
            else:
                self.assertRegex(blob.name, r"^[0-9a-f]{40,64}\.[0-9a-f]{8}\.(incomplete|progress)$")
        strays = [path for part in ("snapshots", "refs", "trees", ".no_exist") for path in self.cache.glob(f"models--*/{part}/**/*")]
        self.assertEqual([path for path in strays if "aside" in path.name or "tmp" in path.name], [])
        for entry in self.cache.glob("models--*/snapshots/*/**/*"):
            if entry.is_symlink():
                self.assertEqual(entry.resolve().parent.name, "blobs", entry)
        self.assertEqual(sorted(path.name for path in self.base.iterdir()), ["home", "repos", "work"])
        self.assertEqual([path.name for path in self.home.iterdir() if path.name != "hf"], [])
