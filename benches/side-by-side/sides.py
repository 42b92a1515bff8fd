"""The servers that are measured: how each is started, asked, checked, observed and ended."""

import base64
import http.client
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse

TICK = os.sysconf("SC_CLK_TCK")
PORT = 18000  # in a network of our own
LIMIT_BYTES = 500  # the body that limits answer with
OUR_BYTES = 960  # a body as long as ours: the answer, the signer's certificate and more headers
CHECKED = 20  # answers of a server before it is measured
PATIENCE = 600  # seconds until the first right answer


class Wrong(Exception):
    """An answer that is not the right one."""


class Questions:
    """Requests about certificates of one directory, and the right answers."""

    def __init__(self, path, kind):
        self.path, self.kind, self.base = path, kind, path / kind
        with open(f"{self.base}.tsv") as lines:
            self.right = [line.split() for _, line in zip(range(CHECKED), lines)]
        with open(f"{self.base}.get") as lines:
            self.paths = [line.strip() for _, line in zip(range(CHECKED), lines)]

    def ask(self, port, method, number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            if method == "get":
                connection.request("GET", self.paths[number], headers={"Connection": "close"})
            else:
                body = self.der(number)
                head = {"Content-Type": "application/ocsp-request", "Connection": "close"}
                connection.request("POST", "/", body, head)
            response = connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            raise Wrong(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise Wrong(f"HTTP status {response.status}")
        return body

    def der(self, number):
        return base64.b64decode(urllib.parse.unquote(self.paths[number][1:]))

    def verify(self, number, answer):
        """Signature, serial, status and nonce, by openssl."""
        serial, status = self.right[number]
        with tempfile.TemporaryDirectory() as scratch:
            request, response = pathlib.Path(scratch, "request"), pathlib.Path(scratch, "response")
            request.write_bytes(self.der(number))
            response.write_bytes(answer)
            done = subprocess.run(
                ["openssl", "ocsp", "-reqin", request, "-respin", response, "-CAfile", self.path / "ca.pem", "-resp_text"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )
        said = re.search(r"Serial Number: ([0-9A-F]+)\s+Cert Status: (\w+)", done.stdout)
        if "Response verify OK" not in done.stdout or not said:
            raise Wrong(f"does not verify: {done.stdout[-200:]!r}")
        if (int(said[1], 16), said[2]) != (int(serial, 16), status):
            raise Wrong(f"{said[1]} is {said[2]}, not {status}")
        if self.kind == "nonced" and ("nonce" in done.stdout.split("Response verify OK")[0].lower()
                                      or "OCSP Nonce" not in done.stdout):
            raise Wrong("the nonce is not repeated")


class Side:
    """A server. Those that say nothing about certificates are limits."""

    limit = False
    size = LIMIT_BYTES
    afresh = False  # for each measurement a new process

    def __init__(self, name, path, programs, port):
        self.name, self.path, self.programs, self.port = name, path, programs, port
        self.process, self.scratch, self.up = None, None, None

    def command(self):
        raise NotImplementedError

    def start(self, questions):
        """Starts it, and gives the seconds until the first right answer."""
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        began = time.monotonic()
        with open(self.scratch / "log", "w") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.scratch,
                env={**os.environ, "RUST_LOG": "warn"}, start_new_session=True,
            )
        while time.monotonic() - began < PATIENCE:
            if self.process.poll() is not None:
                raise Wrong(f"{self.name} ended: {(self.scratch / 'log').read_text()[-500:]}")
            try:
                answer = questions.ask(self.port, "post", 0)
                took = time.monotonic() - began
                self.verify(questions, 0, answer)
                return took
            except (OSError, Wrong) as error:
                last = error
                time.sleep(0.02)
        raise Wrong(f"{self.name} gave no right answer in {PATIENCE} s: {last}")

    def verify(self, questions, number, answer):
        if not self.limit:
            questions.verify(number, answer)
        elif len(answer) != self.size:
            raise Wrong(f"{len(answer)} bytes")

    def check(self, questions, method):
        """Raises Wrong unless the first answers are right."""
        for number in range(len(questions.right)):
            self.verify(questions, number, questions.ask(self.port, method, number))

    def family(self):
        """The process and all its children."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(word) for word in children.read_text().split()]
        return found

    def cpu(self):
        """Seconds of processor time used so far."""
        fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in self.family()]
        return sum(int(words[11]) + int(words[12]) for words in fields) / TICK

    def rss(self):
        """Resident memory in bytes."""
        texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.family()]
        return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in texts) * 1024

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self.scratch:
            shutil.rmtree(self.scratch)
            self.scratch = None


class Ours(Side):
    def __init__(self, name, path, programs, port, more=""):
        super().__init__(name, path, programs, port)
        self.more = more

    def command(self):
        own = self.path / "own"
        config = own / "bench.yaml"
        # What it trusts must not be writable for others.
        with open(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write((own / "ocsp-responder.yaml").read_text() + self.more)
        return [self.programs / "ocsp-responder", "--config", config, "--listen", f"127.0.0.1:{self.port}"]


class Limit(Side):
    limit = True

    def command(self):
        how = self.name.split(",")[0]
        return [self.programs / "http-limit", "--how", how, "--port", str(self.port), "--bytes", str(self.size)]


class LongLimit(Limit):
    size = OUR_BYTES


class Nginx(Side):
    limit = True

    def command(self):
        (self.scratch / "www").mkdir()
        (self.scratch / "www/answer").write_bytes(b"0" * self.size)
        config = self.scratch / "nginx.conf"
        temporary = "".join(f"{of}_temp_path {self.scratch}/tmp; " for of in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(
            f"daemon off; user root; worker_processes auto; pid {self.scratch}/pid;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000;\n"
            f"open_file_cache max=10; {temporary}\n"
            f"server {{ listen 127.0.0.1:{self.port}; root {self.scratch}/www; types {{ }}\n"
            "default_type application/ocsp-response;\n"
            "location / { try_files /answer =404; error_page 405 =200 /answer; } } }\n"
        )
        return ["nginx", "-c", config, "-p", self.scratch, "-e", self.scratch / "log"]


class Openssl(Side):
    # It does not survive clients that close a connection without a request.
    afresh = True

    def command(self):
        at = self.path
        return ["openssl", "ocsp", "-index", at / "index.txt", "-CA", at / "ca.pem", "-rsigner", at / "ocsp.pem",
                "-rkey", at / "ocsp.key", "-port", str(self.port), "-ndays", "1", "-ignore_err"]


class Cfssl(Side):
    def command(self):
        return ["cfssl", "ocspserve", "-address", "127.0.0.1", "-port", str(self.port), "-responses",
                self.path / "answers.txt", "-loglevel", "3"]


def sides(path, programs, kind):
    """The servers that can answer such requests; the first is what the others are compared with."""
    if kind == "nonced":
        known = [("hyper-sign", Limit), (f"hyper-sign, {OUR_BYTES} bytes", LongLimit), ("ours", Ours), ("openssl ocsp", Openssl)]
    else:
        known = [("axum", Limit), (f"axum, {OUR_BYTES} bytes", LongLimit), ("hyper", Limit), ("ours", Ours),
                 ("nginx", Nginx), ("openssl ocsp", Openssl), ("cfssl ocspserve", Cfssl)]
    return [how(name, path, programs, PORT + number) for number, (name, how) in enumerate(known)]
