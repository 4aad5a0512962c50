"""The app is served on this machine alone; what keeps it from starting is one sentence."""

import socket

import pytest
from app_server import get, run_server, status_of

from bench.__main__ import main
from bench.app import serving
from bench.app.serving import ADDRESS, HOSTS, SETTINGS

APP = """
import sys
from pathlib import Path
from bench.app.asking import Asking
from bench.app.served import Served
from bench.app.serving import serve

folder, port = sys.argv[1:]  # which Streamlit changes
serve(Served((Path(folder),), Asking("cpu")), int(port), print)
"""
SECRET = "a secret outside the folder of runs"
UP = 20  # folders, more than any folder here is deep; above the root is the root


def test_it_listens_to_this_machine_and_reports_to_nobody():
    assert SETTINGS["server.address"] == ADDRESS == "127.0.0.1"
    assert SETTINGS["server.allowedHosts"] == list(HOSTS)
    assert SETTINGS["browser.gatherUsageStats"] is False
    assert SETTINGS["server.enableXsrfProtection"] is True


def test_every_setting_is_one_that_streamlit_knows():
    from streamlit import config

    assert SETTINGS.keys() - config._config_options_template.keys() == set()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "0"], "bench: --port 0 must be between 1 and 65535"),
        (["--port", "70000"], "bench: --port 70000 must be between 1 and 65535"),
        (["--runs", "nowhere"], "bench: --runs nowhere: there is no such folder"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(words, says, capsys):
    assert main(["app", *words]) == 2
    assert capsys.readouterr().err.splitlines() == [says]


def test_a_port_in_use_is_one_sentence(capsys):
    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 2
    says = (
        f"bench: --port {port} cannot be used (Address already in use); another app may be running, give another port"
    )
    assert capsys.readouterr().err.splitlines() == [says]


def test_a_package_that_is_not_installed_is_named_with_its_command(capsys, monkeypatch):
    real = serving.find_spec
    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "streamlit" else real(name))
    assert main(["app"]) == 2
    assert capsys.readouterr().err.splitlines() == ['bench: the app needs streamlit; pip install "lorabench[app]"']


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder of runs beside a secret file."""
    found = tmp_path_factory.mktemp("served") / "runs"
    found.mkdir()
    (found.parent / "secret.txt").write_text(SECRET, encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def port(folder):
    with run_server(APP, folder) as found:
        yield found


def test_requests_that_name_another_host_are_refused(port):
    assert {status_of(port, host) for host in (f"{ADDRESS}:{port}", f"localhost:{port}", "localhost")} == {200}
    assert {
        status_of(port, host) for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "")
    } == {400}


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("{own}", "http://{own}", 101),
        ("{own}", "http://evil.example", 403),
        ("evil.example", "http://evil.example", 400),
    ],
)
def test_the_socket_of_a_page_is_for_its_own_origin(host, origin, status, port):
    own = f"{ADDRESS}:{port}"
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "bG9yYWJlbmNoIGlzIGZ1bg=="}  # fmt: skip
    host, origin = host.format(own=own), origin.format(own=own)
    assert status_of(port, host, "/_stcore/stream", Origin=origin, **upgrade) == status


def test_a_page_tells_the_browser_to_load_nothing_from_elsewhere_and_to_keep_nothing(port):
    status, headers, body = get(port, "/")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert b"<script" in body
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "connect-src 'self'", "object-src 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers.get_all("cache-control") == ["no-store"]


@pytest.mark.parametrize("start", ["/", "/static/", "/app/static/", "/media/", "/component/"])
@pytest.mark.parametrize("up", ["../", "..%2f", "%2e%2e/", "..%5c"])
def test_no_file_is_served_by_its_path(start, up, folder, port):
    secret = folder.parent / "secret.txt"
    for path in (start + up * UP + str(secret)[1:], f"{start}{secret}", f"{start}{up}secret.txt"):
        _, _, body = get(port, path)
        assert SECRET.encode() not in body, path
