#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""What qeff-fetch asks a hub and how it takes the answers: pages, redirects, revisions, tokens, refusals, proxies, TLS."""

import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import support

TOKEN = {"HF_TOKEN": "good-token"}


class Protocol(support.FetchCase):
    page = 2  # several pages for any listing

    def test_a_small_repository(self):
        done = self.fetch("acme/tiny", "--all")
        self.assertEqual(done.out, f"{self.snapshot()}\n")
        self.assertEqual(done.err, "")
        self.check_same(self.snapshot())
        self.assertEqual((self.repo_folder() / "refs/main").read_text(), self.snapshot().name)
        self.assertGreater(self.hub.count(part="cursor="), 1)

    def test_nothing_is_fetched_twice(self):
        self.fetch("acme/tiny")
        self.hub.requests.clear()
        self.fetch("acme/tiny")
        self.assertEqual([r.path for r in self.hub.requests], ["/api/models/acme/tiny/revision/main"])
        self.hub.requests.clear()
        self.fetch(f"acme/tiny@{self.snapshot().name}")  # a commit cannot change
        self.assertEqual(self.hub.requests, [])

    def test_revisions(self):
        for branch in ("v1.0", "feature/long-name", "refs/pr/7"):
            files = {"config.json": b"{}", "model.safetensors": support.safetensors(3000, branch)}
            self.add_repo("acme/branches", files, branch)
            self.fetch(f"acme/branches@{branch}", "--include", "*")
            self.check_same(self.snapshot("acme/branches", branch), "acme/branches", branch)
            self.assertTrue((self.repo_folder("acme/branches") / "refs" / branch).is_file())
        self.assertTrue(self.hub.count(part="revision/feature%2Flong-name"))

    def test_xet_files_come_through_the_plain_redirect(self):
        self.hub.settings["acme/tiny"] = {"xet": True}
        self.fetch("acme/tiny")
        self.assertEqual(self.hub.count(part="xet-read-token"), 0)
        tree = json.loads((self.repo_folder() / f"trees/{self.snapshot().name}.json").read_text())
        self.assertEqual(len(tree["files"]["model.safetensors"]["xet_hash"]), 64)

    def test_a_renamed_repository_is_followed(self):
        self.hub.renames["acme/old"] = "acme/tiny"
        self.fetch("acme/old", "--all")
        self.assertEqual(self.names_in(self.repo_folder("acme/old") / "snapshots" / self.snapshot().name),
                         sorted(path.name for path in support.DEMO.iterdir()))  # fmt: skip

    def test_the_forms_of_a_model(self):
        self.add_repo("acme/sub", {"deep/er/config.json": b"{}", "deep/er/x.txt": b"x", "other.txt": b"o"})
        self.fetch(f"{self.hub.endpoint}/acme/tiny", env={"HF_ENDPOINT": None})
        self.fetch(f"{self.hub.endpoint}/acme/tiny/tree/main", env={"HF_ENDPOINT": None})
        self.fetch("hf://models/acme/tiny@main")
        done = self.fetch("hf://acme/sub/deep/er", "--include", "*.txt")
        self.assertEqual(done.out, f"{self.snapshot('acme/sub')}/deep/er\n")
        self.assertEqual(self.names_in(self.snapshot("acme/sub")), ["deep/er/x.txt"])
        self.assertEqual(self.fetch(f"file://{support.DEMO}").out, f"{support.DEMO}\n")
        self.fetch("hf://datasets/acme/tiny", code=2)
        self.fetch("file://elsewhere/folder", code=2)
        self.fetch("https://example.invalid/only-one", code=2)
        self.fetch(support.DEMO, "--all", code=2)


class Token(support.FetchCase):
    def sent_to(self, server):
        return {r.headers.get("Authorization") for r in self.hub.requests if r.server == server}

    def test_only_the_hub_gets_it(self):
        done = self.fetch("acme/tiny", "-v", env=TOKEN)
        self.assertEqual(self.sent_to("hub"), {"Bearer good-token"})
        self.assertEqual(self.sent_to("cdn"), {None})
        self.assertNotIn("good-token", done.out + done.err)

    def test_a_redirect_of_the_listing_to_another_host(self):
        self.hub.faults = [support.hub_server.Fault("redirect_to", "*", "api", 1, self.hub.content_url + "/x")]
        self.fetch("acme/tiny", env=TOKEN, code=3)
        self.assertEqual(self.sent_to("cdn"), {None})

    def test_an_address_typed_by_hand_gets_none(self):
        self.fetch(f"{self.hub.endpoint}/acme/tiny", env={**TOKEN, "HF_ENDPOINT": "https://hub.invalid"})
        self.assertEqual(self.sent_to("hub"), {None})

    def test_the_token_file(self):
        (self.home / "hf").mkdir()
        path = self.home / "hf/token"
        path.write_text("good-token\n")
        path.chmod(0o600)
        self.assertEqual(self.fetch("acme/tiny").err, "")
        self.assertEqual(self.sent_to("hub"), {"Bearer good-token"})
        path.chmod(0o644)
        self.assertIn("others may read the token file", self.fetch("acme/tiny").err)
        self.hub.requests.clear()
        self.fetch("acme/tiny", env={"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})
        self.assertEqual(self.sent_to("hub"), {None})
        other = self.home / "hf/other"
        other.write_text("other-token")
        self.hub.requests.clear()
        self.fetch("acme/tiny", env={"HF_TOKEN_PATH": str(other)})
        self.assertEqual(self.sent_to("hub"), {"Bearer other-token"})

    def test_bad_token_with_a_line_end(self):
        done = self.fetch("acme/tiny", env={"HF_TOKEN": "good\r\nX-Evil: 1"}, code=2)
        self.assertNotIn("Evil", done.err)
        self.assertEqual(self.hub.requests, [])


class Refusals(support.FetchCase):
    """Each refusal has its own message and remedy; the exact texts are compared."""

    def setUp(self):
        super().setUp()
        files = {"config.json": b"{}", "model.safetensors": support.safetensors(3000)}
        for name, settings in (("private", {"private": True}), ("gated", {"gated": True})):
            self.add_repo(f"acme/{name}", files)
            self.hub.settings[f"acme/{name}"] = settings

    def refused(self, model, *expected, env=None):
        done = self.fetch(model, env=env, code=3)
        for text in expected:
            self.assertIn(text.replace("HUB", self.hub.endpoint), done.err)
        self.assertEqual(self.names_in(self.repo_folder(model.split("@")[0]) / "snapshots"), [])

    def test_unknown_repository(self):
        self.refused(
            "acme/nothing",
            "HUB/api/models/acme/nothing/revision/main: error: the hub has no 'acme/nothing', or it is private (HTTP 401)\n",
            "note: check the spelling\n",
            "note: no token was sent: set HF_TOKEN, or log in with 'hf auth login'\n",
        )

    def test_unknown_revision(self):
        self.refused("acme/tiny@v9", "error: 'acme/tiny' has no revision 'v9' (HTTP 404)\n",
                     "note: its branches and tags are listed at HUB/acme/tiny/tree/main\n")  # fmt: skip

    def test_private(self):
        self.refused("acme/private", "(HTTP 401)", "note: no token was sent")
        self.refused("acme/private", "error: the hub has no 'acme/private' (HTTP 404)\n",
                     "note: the token of HF_TOKEN was sent; it may not cover a private repository",
                     env={"HF_TOKEN": "other-token"})  # fmt: skip
        self.fetch("acme/private", "--all", env=TOKEN)

    def test_gated(self):
        asked = "access to 'acme/gated' must be asked for (HTTP {})\n"
        where = "note: accept its conditions at HUB/acme/gated\n"
        self.refused("acme/gated", asked.format(401), where, "note: no token was sent")
        self.refused("acme/gated", asked.format(403), where, "note: the token of HF_TOKEN was sent",
                     env={"HF_TOKEN": "other-token"})  # fmt: skip
        self.fetch("acme/gated", "--all", env=TOKEN)

    def test_bad_token(self):
        self.refused("acme/tiny", "error: the hub does not accept the token (HTTP 401)\n",
                     "note: it comes from HF_TOKEN; make a new one at HUB/settings/tokens, or unset it\n",
                     env={"HF_TOKEN": "expired-token"})  # fmt: skip

    def test_bad_answers_of_something_else(self):
        """A sign-in page, a proxy, or a wrong address, where a hub should be."""
        self.hub.faults = [support.hub_server.Fault("html", "*", "api", 1)]
        self.refused_input("expected the answer of a Hugging Face compatible hub")
        self.hub.faults = [support.hub_server.Fault("status", "*", "api", 1, (407, {}))]
        self.refused("acme/tiny", "the proxy wants a password (HTTP 407)")
        self.hub.faults = [support.hub_server.Fault("status", "*", "api", 1, (400, {}))]
        self.refused("acme/tiny", "the server answers HTTP 400 for 'acme/tiny'", "check HF_ENDPOINT")

    def refused_input(self, text):
        self.assertIn(text, self.fetch("acme/tiny", code=1).err)

    def test_bad_messages_of_the_server_are_escaped(self):
        headers = {"X-Error-Message": "\x1b[31mred\x1b[0m"}
        self.hub.faults = [support.hub_server.Fault("status", "*", "api", 1, (403, headers))]
        done = self.fetch("acme/tiny", code=3)
        self.assertNotIn("\x1b", done.err)
        self.assertIn("\\x1b[31mred", done.err)

    def test_bad_settings(self):
        self.assertIn("HF_ENDPOINT", self.fetch("acme/tiny", env={"HF_ENDPOINT": "ftp://x"}, code=2).err)
        self.assertIn("HF_HUB_ETAG_TIMEOUT", self.fetch("acme/tiny", env={"HF_HUB_ETAG_TIMEOUT": "soon"}, code=2).err)


class WithoutNetwork(support.FetchCase):
    def test_offline_never_asks(self):
        done = self.fetch("acme/tiny", env={"HF_HUB_OFFLINE": "1"}, code=3)
        self.assertIn("is not in this Hugging Face cache", done.err)
        self.fetch("acme/tiny")
        self.hub.requests.clear()
        self.assertEqual(self.fetch("acme/tiny", env={"HF_HUB_OFFLINE": "1"}).out, f"{self.snapshot()}\n")
        self.fetch("acme/tiny", "--local-dir", "x", env={"HF_HUB_OFFLINE": "1"}, code=2)
        self.assertEqual(self.hub.requests, [])

    def test_the_cache_does_when_the_hub_is_away(self):
        self.fetch("acme/tiny")
        away = {"HF_ENDPOINT": "http://127.0.0.1:9"}
        done = self.fetch("acme/tiny", env=away)
        self.assertEqual(done.out, f"{self.snapshot()}\n")
        self.assertIn("warning: the hub cannot be reached", done.err)
        # ... but not half a snapshot.
        (self.snapshot() / "model.safetensors").unlink()
        done = self.fetch("acme/tiny", env=away, code=3)
        self.assertIn("the transfer failed", done.err)

    def test_the_cache_does_when_the_hub_takes_too_long(self):
        self.fetch("acme/tiny")
        self.hub.faults = [support.hub_server.Fault("late", "*", "api", 1, 20)]
        start = time.monotonic()
        done = self.fetch("acme/tiny", env={"HF_HUB_ETAG_TIMEOUT": "1"})
        self.assertIn("warning: the hub cannot be reached", done.err)
        self.assertLess(time.monotonic() - start, 15)

    def test_a_cached_model_that_is_refused_now(self):
        self.fetch("acme/tiny")
        done = self.fetch("acme/tiny", env={"HF_TOKEN": "expired-token"}, code=3)
        self.assertIn("HF_HUB_OFFLINE=1 uses it without asking", done.err)


class Proxy(support.FetchCase):
    def test_proxy_and_exceptions(self):
        """The hub itself plays the proxy of a hub whose name nobody knows."""
        proxy = {"HF_ENDPOINT": "http://hub.invalid", "NO_PROXY": "localhost"}
        for name in ("HTTP_PROXY", "http_proxy"):
            self.hub.requests.clear()
            self.fetch("acme/tiny", "--local-dir", name, env={**proxy, name: self.hub.endpoint})
            asked = [r.path for r in self.hub.requests if r.server == "hub"]
            self.assertTrue(all(path.startswith("http://hub.invalid/") for path in asked), asked)
            past = [r.path for r in self.hub.requests if r.server == "cdn"]
            self.assertTrue(past and all(path.startswith("/cdn/") for path in past), past)

    def test_bad_proxy(self):
        done = self.fetch("acme/tiny", env={"http_proxy": "http://nobody.invalid:1"}, code=3)
        self.assertIn("check HTTPS_PROXY, HTTP_PROXY and NO_PROXY", done.err)


def make_certificate(folder):
    """An authority that only signs itself, good for both names of the test servers."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test hub",
               "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out",
               folder / "cert.pem"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@unittest.skipUnless(shutil.which("openssl"), "the openssl program is not installed")
class Tls(support.FetchCase):
    @classmethod
    def setUpClass(cls):
        cls.certificates = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.certificates.cleanup)
        cls.tls = make_certificate(pathlib.Path(cls.certificates.name))

    def test_a_certificate_that_is_trusted(self):
        self.fetch("acme/tiny", "--all", env={"SSL_CERT_FILE": str(self.tls[0])})
        self.check_same(self.snapshot())

    def test_bad_certificate(self):
        done = self.fetch("acme/tiny", code=3)
        self.assertIn("the server's certificate cannot be trusted", done.err)
        self.assertIn("SSL_CERT_FILE", done.err)
        self.assertEqual(self.hub.requests, [])

    def test_bad_redirect_out_of_tls(self):
        self.hub.faults = [
            support.hub_server.Fault("redirect_to", "*model.safetensors", "resolve", -1, "http://localhost:1/x")
        ]
        done = self.fetch("acme/tiny", env={"SSL_CERT_FILE": str(self.tls[0])}, code=3)
        self.assertIn("would leave the encrypted connection", done.err)


@unittest.skipUnless(shutil.which("openssl") and shutil.which("nghttpx"), "nghttpx is not installed")
class Http2(support.FetchCase):
    """The same hub behind a server that speaks HTTP/2: many files and ranges side by side on few connections."""

    def setUp(self):
        super().setUp()
        self.certificates = tempfile.TemporaryDirectory()
        self.addCleanup(self.certificates.cleanup)
        self.certificate, self.key = make_certificate(pathlib.Path(self.certificates.name))
        self.hub.endpoint = f"https://127.0.0.1:{self.front(self.hub.hub.server_port)}"
        self.hub.content_url = f"https://localhost:{self.front(self.hub.cdn.server_port)}"

    def front(self, port):
        """Starts a server in front of `port` and returns its own."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            own = free.getsockname()[1]
        command = ["nghttpx", "--conf=/dev/null", f"-f127.0.0.1,{own}", f"-b127.0.0.1,{port}", "-n1", "--errorlog-file=/dev/null",
                   self.key, self.certificate]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", own)) == 0:
                    return own
            time.sleep(0.05)
        self.fail("nghttpx does not start")

    def test_files_and_ranges(self):
        files = {f"{i}.json": support.pseudo_random(50_000, i) for i in range(20)}
        self.add_repo("acme/big", {**files, "model.safetensors": support.safetensors(70_000_000)})
        self.hub.faults = [support.hub_server.Fault("cut", "model.safetensors", value=3_000_000)]
        self.fetch("acme/big", "--all", env={"SSL_CERT_FILE": str(self.certificate), "HF_TOKEN": "good-token"})
        self.check_same(self.snapshot("acme/big"), "acme/big")
        self.assertEqual({r.headers.get("Via") for r in self.hub.requests}, {"2 nghttpx"})
        self.assertEqual({r.headers.get("Authorization") for r in self.hub.requests if r.server == "cdn"}, {None})


if __name__ == "__main__":
    unittest.main()
