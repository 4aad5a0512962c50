"""The app is served on this machine alone; what keeps it from starting is one sentence."""

import socket

import pytest

from bench.__main__ import main
from bench.app import serving
from bench.app.serving import ADDRESS, HOSTS, SETTINGS


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
