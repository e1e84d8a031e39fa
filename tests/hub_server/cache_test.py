#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""What qeff-fetch leaves on disk: what is chosen, where it goes, what survives a kill, what several processes do to each other,
what it shows meanwhile, and how much memory it takes."""

import fcntl
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import support
from hub_server import Fault

WEIGHTS = "model.safetensors"
MIB = 1 << 20
SIZE = 13 * MIB + 77  # four blocks of a part file


def can_run(*command):
    return shutil.which(command[0]) and subprocess.run(command, capture_output=True, check=False).returncode == 0


class Selection(support.FetchCase):
    def chosen(self, names, *arguments, code=0):
        """What is chosen of a repository with files of these names, by a dry run."""
        shutil.rmtree(self.repos / "acme/names", ignore_errors=True)
        self.add_repo("acme/names", {name: name.encode() for name in names})
        self.hub._files.clear()
        done = self.fetch("acme/names", "--dry-run", *arguments, code=code)
        if code != 0:
            return done.err
        lines = done.out.splitlines()
        self.assertIn(f"{len(lines) - 1} files of {len(names)} of commit", lines[-1])
        self.assertFalse(self.cache.exists())
        return [line.split(maxsplit=2)[2] for line in lines[:-1]]

    def test_what_running_the_model_needs(self):
        wanted = ["additional_chat_templates/tool.jinja", "chat_template.jinja", "config.json",
                  "merges.txt", "model.safetensors", "spiece.model", "tokenizer.json", "vocab.txt"]  # fmt: skip
        others = [".gitattributes", "README.md", "LICENSE.txt", "pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5",
                  "flax_model.msgpack", "onnx/model.onnx", "onnx/config.json", "original/consolidated.00.pth",
                  "original/params.json", "model.fp16.safetensors", "consolidated.safetensors", "figure.png", "modeling_x.py",
                  "runs/1/config.json", "model-q4.gguf", "extra/model.safetensors"]  # fmt: skip
        self.assertEqual(self.chosen(wanted + others), wanted)

    def test_modules_of_sentence_transformers(self):
        wanted = ["1_Pooling/config.json", "config.json", "dense/config.json", "dense/model.safetensors", "model.safetensors", "modules.json",
                  "sentence_bert_config.json", "tokenizer.json"]  # fmt: skip
        others = ["dense/pytorch_model.bin", "onnx/model.onnx", "openvino/openvino_model.xml", "extra/model.safetensors", "runs/1/config.json"]
        self.assertEqual(self.chosen(wanted + others), wanted)

    def test_shards(self):
        wanted = ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]  # fmt: skip
        others = ["consolidated.safetensors", "pytorch_model-00001-of-00001.bin", "model.fp16-00001-of-00002.safetensors"]
        self.assertEqual(self.chosen(wanted + others), wanted)

    def test_adapters_and_other_names(self):
        self.assertEqual(self.chosen(["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]),
                         ["adapter_config.json", "adapter_model.safetensors"])  # fmt: skip
        self.assertEqual(self.chosen(["config.json", "weights.safetensors"]), ["config.json", "weights.safetensors"])

    def test_patterns(self):
        names = ["a.json", "b/c.json", "b/d.txt", "model.safetensors"]
        self.assertEqual(self.chosen(names, "--include", "*.json"), ["a.json", "b/c.json"])
        self.assertEqual(self.chosen(names, "--include", "b/"), ["b/c.json", "b/d.txt"])
        self.assertEqual(self.chosen(names, "--include", "*.json", "--include", "*.txt", "--exclude", "[!b]*"), names[1:3])
        self.assertEqual(self.chosen(names, "--exclude", "*.json"), ["model.safetensors"])
        self.assertEqual(self.chosen(names, "--all"), names)
        self.assertIn("no file of 'acme/names' is left by these patterns", self.chosen(names, "--include", "x*", code=2))

    def test_subfolder(self):
        names = ["config.json", "model.safetensors", "unet/config.json", "unet/model.safetensors", "unet/notes.md", "unetx/a.json"]
        self.assertEqual(self.chosen(names, "--subfolder", "unet"), ["unet/config.json", "unet/model.safetensors"])
        self.assertIn("has no folder 'vae'", self.chosen(names, "--subfolder", "vae", code=2))

    def test_gguf(self):
        names = ["README.md", "x-Q4-00001-of-00002.gguf", "x-Q4-00002-of-00002.gguf"]
        self.assertEqual(self.chosen(names), names[1:])
        err = self.chosen(names + ["x-Q8.gguf"], code=2)
        self.assertIn("'acme/names' has 2 GGUF models to choose from", err)
        self.assertIn("choose one with --include 'x-Q4*.gguf'", err)

    def test_bad_pickles_only(self):
        err = self.chosen(["config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"], code=1)
        self.assertIn("expected weights as safetensors, got only 'pytorch_model-00001-of-00002.bin' and 1 more", err)
        self.assertIn("acme/names@refs/pr/N", err)
        self.assertIn("safe_serialization=True", err)

    def test_dry_run_says_what_is_there(self):
        self.fetch("acme/tiny", "--include", "config.json")
        out = self.fetch("acme/tiny", "--dry-run").out
        self.assertRegex(out, r" 716  here  config\.json\n")
        self.assertRegex(out, r" 2236064  get   model\.safetensors\n")
        self.assertIn(f"2434815 to get (0.002 GB)", out)


class Places(support.FetchCase):
    def test_the_layout(self):
        self.fetch("acme/tiny")
        entry = self.snapshot() / WEIGHTS
        content = (support.DEMO / WEIGHTS).read_bytes()
        self.assertEqual(os.readlink(entry), "../../blobs/" + hashlib.sha256(content).hexdigest())
        config = (support.DEMO / "config.json").read_bytes()
        self.assertEqual(os.readlink(self.snapshot() / "config.json"), "../../blobs/" + support.hub_server.git_sha1(config))
        missing = self.repo_folder() / ".no_exist" / self.snapshot().name
        self.assertTrue((missing / "adapter_config.json").is_file())
        self.assertFalse((missing / "config.json").exists())

    def test_without_links(self):
        env = {"HF_HUB_DISABLE_SYMLINKS": "1"}
        self.fetch("acme/tiny", "--all", env=env)
        self.check_same(self.snapshot())
        self.assertFalse(any(path.is_symlink() for path in self.snapshot().rglob("*")))
        self.assertEqual(list((self.repo_folder() / "blobs").iterdir()), [])
        self.hub.requests.clear()
        self.assertIn("6 files verified", self.fetch("acme/tiny", "--all", "--verify", env=env).err)
        self.fetch("acme/tiny", "--all")  # and with links again: what is there is good
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_without_links_from_blobs(self):
        self.fetch("acme/tiny", "--all")
        shutil.rmtree(self.snapshot())
        self.hub.requests.clear()
        self.fetch("acme/tiny", "--all", env={"HF_HUB_DISABLE_SYMLINKS": "1"})
        self.check_same(self.snapshot())
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_local_dir(self):
        done = self.fetch("acme/tiny", "--all", "--local-dir", "model")
        self.assertEqual(done.out, "model\n")
        self.check_same(self.work / "model")
        self.assertFalse(self.cache.exists())
        self.hub.requests.clear()
        self.fetch("acme/tiny", "--all", "--local-dir", "model", "--verify")
        self.assertEqual(self.hub.count(part="resolve"), 0)
        # A file that was changed since is fetched again; one that only lost its notes is not.
        config = self.work / "model/config.json"
        config.write_bytes(config.read_bytes().replace(b"{", b"[", 1))
        os.utime(config, (time.time() + 100, time.time() + 100))
        (self.work / "model/.cache/huggingface/download/model.safetensors.metadata").unlink()
        self.fetch("acme/tiny", "--all", "--local-dir", "model")
        self.check_same(self.work / "model")
        self.assertEqual({r.path.rsplit("/", 1)[1] for r in self.hub.requests if "resolve" in r.path}, {"config.json"})

    def test_local_dir_takes_what_the_cache_has(self):
        self.fetch("acme/tiny", "--all")
        self.hub.requests.clear()
        self.fetch("acme/tiny", "--all", "--local-dir", "model")
        self.check_same(self.work / "model")
        self.assertEqual(self.hub.count(part="resolve"), 0)

    def test_bad_verify(self):
        for arguments, folder in (((), None), (("--local-dir", "model"), self.work / "model")):
            self.fetch("acme/tiny", *arguments)
            path = ((folder or self.snapshot()) / WEIGHTS).resolve()
            good = path.read_bytes()
            path.write_bytes(good[:-1] + b"!")
            if folder:
                os.utime(path, (1, 1))  # as if nothing had happened
            self.assertIn("expected the content with hash", self.fetch("acme/tiny", *arguments, "--verify", code=1).err)
            path.write_bytes(good)

    def test_a_blob_of_the_wrong_size_is_replaced(self):
        self.fetch("acme/tiny")
        (self.snapshot() / WEIGHTS).resolve().write_bytes(b"cut")
        self.fetch("acme/tiny")
        self.check_same(self.snapshot())

    def test_list(self):
        self.fetch("acme/tiny")
        line = self.fetch("--list").out
        self.assertRegex(line, r"^acme/tiny +[0-9a-f]{40} +0\.002 GB +6 files  complete +main\n$")
        (self.snapshot() / WEIGHTS).unlink()
        self.assertIn("incomplete", self.fetch("--list").out)

    def test_prune(self):
        self.fetch("acme/tiny")
        weights = (self.snapshot() / WEIGHTS).resolve()
        (self.snapshot() / WEIGHTS).unlink()
        part = weights.with_name(weights.name + ".00c0ffee.incomplete")
        part.write_bytes(b"half")
        out = self.fetch("--prune", code=2)
        self.assertIn("nobody is there to answer", out.err)
        # Another process is at work on it: it holds the lock.
        lock = self.cache / ".locks" / self.repo_folder().name / (weights.name + ".lock")
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.assertIn(" 0            in 0 files", self.fetch("--prune", "--yes").out)
        out = self.fetch("--prune", "--yes").out
        self.assertIn(f"unlinked  {weights}\n", out)
        self.assertIn(f"part      {part}\n", out)
        self.assertFalse(weights.exists() or part.exists())
        self.fetch("acme/tiny")
        self.check_same(self.snapshot())

    def fetch(self, *arguments, code=0, **options):
        # A refused --prune has shown what there is: that is no product of a failed run.
        if arguments[0] != "--prune" or code == 0:
            return super().fetch(*arguments, code=code, **options)
        process = self.start(*arguments, **options)
        process.out, process.err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code)
        return process

    @unittest.skipUnless(can_run("unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"), "cannot mount")
    def test_bad_full_disk(self):
        hub = self.home / "hf"
        hub.mkdir()
        script = f'mount -t tmpfs -o size=1m none {hub} && "$@"; code=$?; find {hub}/hub -name "*.incomplete"; exit $code'
        process = self.start("acme/tiny", before=("unshare", "--mount", "sh", "-c", script, "-"))
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (3, ""), err)
        self.assertRegex(err, r"error: not enough room: \d+ bytes are needed, \d+ are free")
        self.assertEqual(self.hub.count(part="resolve"), 0)

    @unittest.skipUnless(can_run("unshare", "--mount", "true"), "cannot mount")
    def test_a_cache_that_cannot_be_written(self):
        """Shared and mounted read-only, but whole: it is used."""
        self.fetch("acme/tiny")
        for name in ("trees", ".no_exist", "refs"):
            shutil.rmtree(self.repo_folder() / name)
        script = f'mount --bind {self.home} {self.home} && mount -o remount,ro,bind {self.home} && exec "$@"'
        done = self.fetch("acme/tiny", before=("unshare", "--mount", "sh", "-c", script, "-"))
        self.assertEqual(done.out, f"{self.snapshot()}\n")
        self.add_repo("acme/other", {"config.json": b"{}"})
        self.fetch("acme/other", "--all", before=("unshare", "--mount", "sh", "-c", script, "-"), code=3)

    def test_copy(self):
        self.assertEqual(self.fetch("acme/tiny", "-o", "copy").out, "copy\n")
        for path in (self.work / "copy").iterdir():
            self.assertEqual(path.read_bytes(), (support.DEMO / path.name).read_bytes())
            self.assertFalse(path.is_symlink())

    def test_prune_asks(self):
        self.fetch("acme/tiny")
        weights = (self.snapshot() / WEIGHTS).resolve()
        (self.snapshot() / WEIGHTS).unlink()
        for answer, stays in ((b"n\n", True), (b"\n", True), (b"y\n", False)):
            master, slave = pty.openpty()
            os.write(master, answer)
            command = [support.BIN / "qeff-fetch", "--prune"]
            done = subprocess.run(command, env=self.environment(), stdin=slave, capture_output=True, timeout=60, check=True)
            os.close(slave)
            os.close(master)
            self.assertIn(b"remove them? [y/N] ", done.stderr)
            self.assertEqual(weights.exists(), stays, answer)

    def test_a_branch_that_moves_meanwhile(self):
        self.hub.moves["acme/tiny"] = {"to": "d" * 40}
        err = self.fetch("acme/tiny", "--all").err
        self.assertIn(f"'main' of 'acme/tiny' moved to commit {'d' * 40} while", err)
        self.check_same(self.snapshot())

    def test_a_new_commit_shares_what_did_not_change(self):
        self.fetch("acme/tiny")
        old = self.snapshot()
        self.add_repo("acme/tiny", {"generation_config.json": b'{"eos_token_id": 2}'})
        self.hub._files.clear()
        self.hub.requests.clear()
        self.fetch("acme/tiny")
        self.assertNotEqual(self.snapshot(), old)
        self.assertEqual({r.path.rsplit("/", 1)[1] for r in self.hub.requests if "resolve" in r.path}, {"generation_config.json"})
        self.assertEqual((self.repo_folder() / "refs/main").read_text(), self.snapshot().name)

    def test_a_folder_of_gguf(self):
        folder = self.work / "gguf"
        folder.mkdir()
        (folder / "a-00001-of-00002.gguf").write_bytes(b"GGUF\x03\0\0\0")
        self.assertIn("missing: a-00002-of-00002.gguf", self.fetch(folder, code=3).err)
        (folder / "a-00002-of-00002.gguf").write_bytes(b"GGUF\x03\0\0\0")
        self.assertEqual(self.fetch(folder).out, f"{folder}\n")
        (folder / "a-00002-of-00002.gguf").write_bytes(b"GGML\x03\0\0\0")
        self.assertIn("expected a GGUF file to begin with 'GGUF'", self.fetch(folder, code=1).err)
        self.add_repo("acme/gguf", {"x.gguf": b"GGUF\x03\0\0\0" + bytes(64), "README.md": b"x"})
        self.fetch("acme/gguf")
        self.check_same(self.snapshot("acme/gguf"), "acme/gguf", names=["x.gguf"])


class Resume(support.FetchCase):
    def setUp(self):
        super().setUp()
        self.add_repo("acme/big", {"config.json": b"{}", WEIGHTS: support.safetensors(SIZE)})

    def ranges(self):
        return [r.headers.get("Range") for r in self.hub.requests if r.server == "cdn"]

    def killed(self, after=9 * MIB):
        """A process that is killed when so much has come, and is stuck then."""
        self.hub.faults = [Fault("stall", WEIGHTS, value=after)]
        etag = self.hub.files("acme/big", "main")[WEIGHTS].etag
        process = self.start("acme/big", "--all")
        deadline = time.time() + 30
        while time.time() < deadline:
            notes = list(self.repo_folder("acme/big").glob(f"blobs/{etag}.*.progress"))
            if notes and notes[0].read_text().count("\n") == 1 + after // (4 * MIB):
                break
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        self.hub.requests.clear()
        (part,) = self.repo_folder("acme/big").glob(f"blobs/{etag}.*.incomplete")
        return part

    def finish(self, ranges):
        self.fetch("acme/big", "--all")
        self.check_same(self.snapshot("acme/big"), "acme/big")
        self.assertEqual(self.ranges(), ranges)
        self.assertEqual(self.parts("acme/big"), [])
        self.assertEqual(list(self.repo_folder("acme/big").glob("blobs/*.progress")), [])

    def test_after_kill_9(self):
        self.killed()
        self.finish([f"bytes={8 * MIB}-{SIZE - 1}"])

    def test_after_a_reboot(self):
        notes = self.killed().with_suffix(".progress")
        head, rest = notes.read_text().split("\n", 1)
        fields = head.split(" ")
        fields[3] = "another-boot"
        notes.write_text(" ".join(fields) + "\n" + rest)
        self.finish([f"bytes={8 * MIB}-{SIZE - 1}"])

    def test_a_block_that_the_power_cut_lost(self):
        part = self.killed()
        with part.open("r+b") as file:
            file.seek(5 * MIB)
            file.write(bytes(4096))
        self.finish([f"bytes={4 * MIB}-{SIZE - 1}"])

    def test_a_part_that_was_cut(self):
        part = self.killed()
        os.truncate(part, 3 * MIB)
        self.finish([None])

    def test_notes_that_lie(self):
        notes = self.killed().with_suffix(".progress")
        text = notes.read_text()
        for lie in (text.replace("qeff-part-1", "qeff-part-9"), text[:40], "", text.replace(str(SIZE), str(SIZE + 1)), "\0" * 99):
            notes.write_text(lie)
            self.fetch("acme/big", "--all", "--local-dir", "elsewhere")  # reads no part of the cache
        notes.write_text(text + "99999999999999999999 x\n7 " + "f" * 32 + "\n-1 x\n")
        self.hub.requests.clear()
        self.finish([f"bytes={8 * MIB}-{SIZE - 1}"])

    def test_the_part_of_another_program_is_left_alone(self):
        etag = self.hub.files("acme/big", "main")[WEIGHTS].etag
        blobs = self.repo_folder("acme/big") / "blobs"
        blobs.mkdir(parents=True)
        foreign = blobs / f"{etag}.0badcafe.incomplete"
        foreign.write_bytes(b"not ours")
        self.fetch("acme/big", "--all")
        self.check_same(self.snapshot("acme/big"), "acme/big")
        self.assertEqual(foreign.read_bytes(), b"not ours")

    def test_killed_again_and_again(self):
        """Killed at moments that nobody chose; tearDown looks for what must not be there after each."""
        self.add_repo("acme/many", {f"{i}.json": support.pseudo_random(200_000, i) for i in range(12)})
        for delay in (0.02, 0.04, 0.06, 0.08, 0.1, 0.15):
            process = self.start("acme/many", "--all")
            time.sleep(delay)
            process.kill()
            process.communicate()
            for entry in self.snapshot("acme/many").glob("*"):
                self.assertEqual(entry.read_bytes(), (self.repos / "acme/many/main" / entry.name).read_bytes())
        self.fetch("acme/many", "--all")
        self.check_same(self.snapshot("acme/many"), "acme/many")
        self.assertEqual(self.parts("acme/many"), [])

    @unittest.skipUnless(can_run("strace", "-f", "-o", "/dev/null", "true"), "strace does not run")
    def test_killed_at_chosen_system_calls(self):
        """Whatever the call at which it dies: nothing wrong is left (tearDown), and the next run ends well."""
        for call, whens in (("rename,renameat,renameat2", (1, 2, 20, 21, 22)), ("symlinkat", (1, 2)), ("fdatasync", (1,)),
                            ("pwrite64", (1, 30)), ("unlink,unlinkat", (1, 20))):  # fmt: skip
            for when in whens:
                with self.subTest(call=call, when=when):
                    shutil.rmtree(self.home / "hf", ignore_errors=True)
                    self.strace(f"{call}:signal=KILL:when={when}", "acme/tiny", "--all")
                    self.tearDown()
                    for entry in self.snapshot().glob("*"):
                        self.assertEqual(entry.read_bytes(), (support.DEMO / entry.name).read_bytes())
                    self.fetch("acme/tiny", "--all")
                    self.check_same(self.snapshot())

    def strace(self, inject, *arguments):
        calls = inject.split(":")[0]
        before = ("strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={inject}")
        process = self.start(*arguments, before=before)
        process.out, process.err = process.communicate(timeout=60)
        return process

    @unittest.skipUnless(can_run("strace", "-f", "-o", "/dev/null", "true"), "strace does not run")
    def test_errors_of_the_disk(self):
        cases = (("pwrite64:error=ENOSPC:when=100", "cannot write: No space left on device", "it goes on from here"),
                 ("pwrite64:error=EIO:when=3", "cannot write: Input/output error", ""),
                 ("fdatasync:error=EIO:when=1", "cannot write to the disk: Input/output error", ""),
                 ("rename:error=EACCES:when=1+", "Permission denied", ""))  # fmt: skip
        for inject, message, remedy in cases:
            with self.subTest(inject):
                shutil.rmtree(self.home / "hf", ignore_errors=True)
                process = self.strace(inject, "acme/big", "--all")
                self.assertEqual((process.returncode, process.out), (3, ""), process.err)
                self.assertIn(message, process.err)
                self.assertIn(remedy, process.err)
                self.tearDown()
                self.fetch("acme/big", "--all")
                self.check_same(self.snapshot("acme/big"), "acme/big")
        self.assertEqual(self.strace("pwrite64:error=EINTR:when=2+3", "acme/tiny", "--all").returncode, 0)
        self.check_same(self.snapshot())

    def together(self, count, before=()):
        processes = [self.start("acme/big", "--all", before=before) for _ in range(count)]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out), (0, f"{self.snapshot('acme/big')}\n"), err)
        self.check_same(self.snapshot("acme/big"), "acme/big")
        self.assertEqual(self.parts("acme/big"), [])

    def test_processes_side_by_side_share(self):
        self.hub.faults = [Fault("slow_first_byte", WEIGHTS, value=0.5)]
        self.together(4)
        self.assertEqual(len(self.ranges()), 1)

    @unittest.skipUnless(can_run("strace", "-f", "-o", "/dev/null", "true"), "strace does not run")
    def test_processes_side_by_side_where_locks_do_nothing(self):
        """As on file systems whose flock always succeeds."""
        lies = ("strace", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0")
        self.together(4, lies)

    def test_the_lock_of_a_dead_process_holds_nobody_up(self):
        self.killed()
        self.together(2)


class Display(support.FetchCase):
    def setUp(self):
        super().setUp()
        self.add_repo("acme/big", {"config.json": b"{}", WEIGHTS: support.safetensors(SIZE)})
        self.hub.faults = [Fault("cut", WEIGHTS, value=5 * MIB), Fault("slow_first_byte", WEIGHTS, value=1.2)]

    def on_terminal(self, *arguments, env=None):
        master, slave = pty.openpty()
        command = [support.BIN / "qeff-fetch", *arguments]
        process = subprocess.Popen(command, env=self.environment(env), stderr=slave, stdout=subprocess.PIPE, cwd=self.work)
        os.close(slave)
        shown = b""
        while True:
            try:
                if select.select([master], [], [], 0.1)[0]:
                    shown += os.read(master, 65536)
                elif process.poll() is not None:
                    break
            except OSError:
                break
        process.communicate()
        os.close(master)
        self.assertEqual(process.returncode, 0, shown)
        return shown.decode()

    def test_bars_on_a_terminal(self):
        shown = self.on_terminal("acme/big", "--all")
        self.assertRegex(shown, r"\[#{7}\.{13}\] +38 %  model\.safetensors")
        self.assertRegex(shown, r"\] 5\.2 MB of 13\.6 MB \(38 %\), 1 of 2 files, ")
        self.assertTrue(shown.endswith("\x1b[J"), repr(shown[-20:]))  # nothing stays

    def test_no_bars_when_not_wanted(self):
        self.assertNotIn("%", self.on_terminal("acme/big", "--all", env={"HF_HUB_DISABLE_PROGRESS_BARS": "1"}))
        self.hub.faults = [Fault("slow_first_byte", WEIGHTS, value=1.4)]
        shutil.rmtree(self.home / "hf")
        self.assertNotIn("%", self.on_terminal("acme/big", "--all", "-q"))

    def test_a_line_now_and_then_in_a_log(self):
        self.hub.faults = [Fault("slow_first_byte", WEIGHTS, value=6)]
        err = self.fetch("acme/big", "--all").err
        self.assertRegex(err, r"^info: 0\.0 kB of 13\.6 MB \(0 %\), 1 of 2 files, 0\.0 kB/s\n$")


class Memory(support.FetchCase):
    def test_resident_memory_does_not_grow_with_the_file(self):
        size = 256 * MIB
        self.add_repo("acme/sparse", {})
        path = self.repos / "acme/sparse/main" / WEIGHTS
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            file.truncate(size)
        memory = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)  # spares the disk
        self.addCleanup(shutil.rmtree, memory)
        process = self.start("acme/sparse", "--all", env={"HF_HUB_CACHE": memory})
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        process.stdout.close()
        process.stderr.close()
        self.assertLess(usage.ru_maxrss * 1024, 64 * MIB)


if __name__ == "__main__":
    unittest.main()
