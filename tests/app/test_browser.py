"""The app in a real browser: its pages open, ask nobody else, run no text of a record, and answer until they are closed."""

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from urllib.parse import quote

import chromium
import pytest
from chromium import forget_logs, requests, start_browser, wait_for
from compared_runs import committed, run_of
from hostile_records import hostile_run
from kept_weights import keep, setting_of, tuned_model
from run_files import append_record
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bench.app.pages import PAGES
from bench.app.serving import ADDRESS
from bench.core.paths import ROOT
from bench.records.kept import kept_folder
from bench.records.record import Record

pytestmark = chromium.NEEDED
START_SECONDS, LOAD_SECONDS, STOP_SECONDS = 120, 240, 20
READ_SECONDS = 0.3
CASES = ("pos-minilm_l6-lora-cpu-s0", "pos-minilm_l6-dora-cpu-s0", "medqa-smollm2_135m-lora-cpu-s0")
# The real app, but it reads one token at a time, and after each there is a line in a file and a pause: the default 128
# tokens of two answers take more than a minute.
SLOW_APP = f"""
import sys, time
from pathlib import Path
from bench.app import asking
from bench.app.asking import Asking
from bench.app.served import Served
from bench.app.serving import serve

asking.PAUSE_SECONDS = 0.0
folder, port, read = sys.argv[1:]  # which Streamlit changes

class Slow(Asking):
    def pieces(self, question, sampling):
        for some in super().pieces(question, sampling):
            with open(read, "a") as file:
                file.write("read\\n")
            yield some
            time.sleep({READ_SECONDS})

serve(Served((Path(folder),), Slow("cpu")), int(port), print)
"""
DRAWN = (
    "return !!document.querySelector('h1') "
    "&& !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton]')"
)
DARK = (
    "return getComputedStyle(document.querySelector('.stApp')).backgroundColor.match(/\\d+/g)"
    ".every(part => Number(part) < 64)"
)
MARKUP_OF_A_TEXT = "img[onerror], svg[onload], iframe, object, embed, a[href^=javascript], a[href*='example.invalid']"
PARTS = ("Cases", "Confusion matrices", "Answers", "Environment")


def free_port():
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs of the project, a hostile one, and one with a kept adapter of a tiny model."""
    found = tmp_path_factory.mktemp("runs")
    for name in ("early", "late"):
        run_of(found / name, [committed()[case] for case in CASES])
    hostile_run(found / "hostile")
    setting = setting_of("tiny_llama", "lora", task="medqa")
    kept = keep(setting, tuned_model(setting, scale=0.3), kept_folder(found / "kept", setting.case.id))
    append_record(found / "kept" / "records.jsonl", Record(case=setting.case.id, status="failed", kept=kept))
    return found


@pytest.fixture(scope="module")
def port(folder):
    """The port of the app, served by a process of its own."""
    found = free_port()
    words = [sys.executable, "-c", SLOW_APP, str(folder), str(found), str(folder.parent / "read")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    with subprocess.Popen(words, cwd=ROOT, env=environment) as server:
        try:
            wait_until(lambda: answer_to(found, f"{ADDRESS}:{found}") == 200, START_SECONDS)
            yield found
        finally:
            server.terminate()


def wait_until(holds, seconds):
    until = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found
    return found


def answer_to(port, host, path="/_stcore/health", **headers):
    """The status of a request that names this host; 0 if nobody listens."""
    with closing(http.client.HTTPConnection(ADDRESS, port, timeout=10)) as connection:
        try:
            connection.request("GET", path, headers={"Host": host, **headers})
            return connection.getresponse().status
        except ConnectionRefusedError:
            return 0


@pytest.fixture(scope="module")
def browser(port):
    driver = start_browser()
    yield driver
    driver.quit()


def open_app(driver, port, query=""):
    """The app's first page, once it is drawn."""
    forget_logs(driver)
    driver.get(f"http://{ADDRESS}:{port}/{query}")
    assert wait_for(driver, DRAWN, True)
    return driver


def open_page(driver, port, title):
    """The page, by the menu."""
    open_app(driver, port)
    next(one for one in driver.find_elements(By.TAG_NAME, "a") if one.text == title).click()
    assert wait_for(driver, "return document.querySelector('h1')?.innerText", title) == title
    assert wait_for(driver, DRAWN, True)
    return driver


def assert_it_asked_nobody_else(driver, port):
    assert {url for url in requests(driver) if not url.startswith(f"http://{ADDRESS}:{port}/")} == set()
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("title", PAGES)
def test_a_page_opens_asks_nobody_else_and_fits_a_telephone(title, browser, port):
    driver = open_page(browser, port, title)
    assert_it_asked_nobody_else(driver, port)
    with on_a_dark_telephone(driver):
        assert wait_for(driver, "return document.documentElement.scrollWidth", 390) == 390
        assert wait_for(driver, DARK, True), "the background is light"


@contextmanager
def on_a_dark_telephone(driver):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", chromium.PHONE)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", chromium.DARK)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("part", PARTS)
def test_a_hostile_run_stays_inert(part, browser, port):
    driver = open_app(browser, port, f"?run=hostile&part={quote(part)}")
    shown = driver.find_elements(By.CSS_SELECTOR, "[data-testid=stSelectbox] input")
    assert [one.get_attribute("value") for one in shown] == ["hostile", part]
    assert driver.title == "lorabench"
    assert driver.find_elements(By.CSS_SELECTOR, MARKUP_OF_A_TEXT) == []
    assert "\u202e" not in driver.execute_script("return document.documentElement.outerHTML")
    assert_it_asked_nobody_else(driver, port)


def test_requests_that_name_another_host_are_refused(port):
    assert {answer_to(port, host) for host in (f"{ADDRESS}:{port}", f"localhost:{port}", "localhost")} == {200}
    assert {
        answer_to(port, host) for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "")
    } == {400}
    socket_of = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "bG9yYWJlbmNoIGlzIGZ1bg=="}  # fmt: skip
    path, own = "/_stcore/stream", f"{ADDRESS}:{port}"
    assert answer_to(port, own, path, **socket_of, Origin=f"http://{own}") == 101
    assert answer_to(port, own, path, **socket_of, Origin="http://evil.example") == 403
    assert answer_to(port, "evil.example", path, **socket_of, Origin="http://evil.example") == 400


@pytest.mark.parametrize("path", ["/static/../../script.py", "/app/static/..%2fscript.py", "/media/../../etc/passwd"])
def test_no_file_is_served_by_its_path(path, port):
    with closing(http.client.HTTPConnection(ADDRESS, port, timeout=10)) as connection:
        connection.request("GET", path, headers={"Host": f"{ADDRESS}:{port}"})
        said = connection.getresponse().read()
    assert b"import streamlit" not in said
    assert b"root:" not in said


def ask(driver, question):
    element(driver, "textarea").send_keys(question)
    press(driver, "Ask")


def element(driver, selector):
    """The first such element, once it is there."""
    return wait_until(lambda: driver.find_elements(By.CSS_SELECTOR, selector), chromium.SECONDS)[0]


def press(driver, label):
    next(one for one in driver.find_elements(By.TAG_NAME, "button") if one.text == label).click()


def answers(driver):
    return [one.text for one in driver.find_elements(By.CSS_SELECTOR, "[data-testid=stColumn] [data-testid=stText]")]


def lines_read(folder):
    file = folder.parent / "read"
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


def test_an_answer_is_streamed_stopped_and_given_up_with_its_page(browser, port, folder):
    driver = open_page(browser, port, "Ask")
    ask(driver, "why?")
    wait_until(lambda: lines_read(folder) >= 2, LOAD_SECONDS)
    growing = answers(driver)
    assert len(growing) == 2
    wait_until(lambda: answers(driver) != growing, 5)
    press(driver, "Stop")
    wait_until(lambda: "stopped" in driver.find_element(By.TAG_NAME, "body").text, 10)
    stands_still(folder)
    open_page(driver, port, "Ask")
    before = lines_read(folder)
    ask(driver, "why?")
    wait_until(lambda: lines_read(folder) > before, 10)
    driver.get("about:blank")
    stands_still(folder)
    assert_an_answer_ends(open_page(driver, port, "Ask"), port)


def stands_still(folder):
    """Within some seconds nothing is read any more."""

    def still():
        before = lines_read(folder)
        time.sleep(6 * READ_SECONDS)
        return lines_read(folder) == before

    wait_until(still, STOP_SECONDS)


def assert_an_answer_ends(driver, port):
    tokens = element(driver, "input[aria-label='Most tokens of an answer']")
    tokens.send_keys(Keys.CONTROL, "a")
    tokens.send_keys("3", Keys.TAB)
    ask(driver, "why?")
    wait_until(lambda: "3, 3 tokens in one batch" in driver.find_element(By.TAG_NAME, "body").text, 20)
    assert_it_asked_nobody_else(driver, port)
