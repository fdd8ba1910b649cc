"""A service that runs for as long as a test needs it."""
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request


class Server:
    """A running service, which ends with the block."""
    trusted = None

    def __init__(self, ftf, work, *options, environment=None):
        self.ftf, self.work, self.options, self.environment = ftf, work, options, environment

    def __enter__(self):
        # To a file: a pipe that nobody reads would stop it once it is full.
        self.log = open(f"{self.work}/log", "w+")
        self.process = subprocess.Popen([self.ftf, "serve", f"{self.work}/index", "--listen", "127.0.0.1:0", *self.options], stdout=self.log,
                                        stderr=self.log, env={**os.environ, **(self.environment or {})})
        while not (found := re.search(r"(https?)://127.0.0.1:(\d+)", self.said())):
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        self.scheme, self.port = found[1], int(found[2])
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        return self

    def said(self):
        with open(self.log.name) as file: return file.read()

    def __exit__(self, failure, *_):
        if self.process.poll() is None: self.process.terminate()
        ended = self.process.wait(20)
        assert failure or ended == 0, f"it ends on SIGTERM, not with {ended}"

    def call(self, path, body=None, method=None, raw=False, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.trusted) as answer: status, found, got = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error: status, found, got = error.code, error.headers, error.read()
        if raw: return status, found, got
        kind = found["Content-Type"] or ""
        if status >= 400: assert kind == "application/problem+json" and {"code", "detail", "status"} <= set(json.loads(got)), (path, got)
        return status, json.loads(got) if "json" in kind else got
