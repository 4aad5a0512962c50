"""The app in a process of its own, and requests to it with any host and path."""

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager

from bench.app.serving import ADDRESS
from bench.core.paths import ROOT

START_SECONDS = 120


def free_port():
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return found.getsockname()[1]


@contextmanager
def run_server(code, *words):
    """The port of the server that this Python code starts; the code is given the words, then the port."""
    port = free_port()
    command = [sys.executable, "-c", code, *map(str, words), str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as server:
        try:
            wait_until(lambda: status_of(port, f"{ADDRESS}:{port}") == 200, START_SECONDS)
            yield port
        finally:
            server.terminate()


def wait_until(holds, seconds):
    until = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found
    return found


def status_of(port, host, path="/_stcore/health", **headers):
    """The status of a request that names this host; 0 if nobody listens."""
    try:
        return get(port, path, Host=host, **headers)[0]
    except ConnectionRefusedError:
        return 0


def get(port, path, **headers):
    """The status, headers and body of the reply; the path is sent as it is. A switch to a socket has no body."""
    with closing(http.client.HTTPConnection(ADDRESS, port, timeout=10)) as connection:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers, b"" if reply.status == http.client.SWITCHING_PROTOCOLS else reply.read()
