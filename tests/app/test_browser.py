"""The app in a real browser: its pages open, ask nobody else, run no text of a record, and answer until they are closed."""

import time
from contextlib import contextmanager
from urllib.parse import quote

import chromium
import pytest
from app_server import run_server, wait_until
from chromium import forget_logs, requests, start_browser, wait_for
from compared_runs import committed, run_of
from hostile_records import hostile_run
from kept_weights import keep, setting_of, tuned_model
from run_files import append_record
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bench.app.pages import PAGES
from bench.app.serving import ADDRESS
from bench.records.kept import kept_folder
from bench.records.record import Record

pytestmark = chromium.NEEDED
LOAD_SECONDS, STOP_SECONDS = 240, 20
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
folder, read, port = sys.argv[1:]  # which Streamlit changes

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
    with run_server(SLOW_APP, folder, folder.parent / "read") as found:
        yield found


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


def ask(driver, question):
    element(driver, "textarea").send_keys(question)
    press(driver, "Ask")


def element(driver, selector):
    """The first such element, once it is there."""
    return wait_until(lambda: driver.find_elements(By.CSS_SELECTOR, selector), chromium.SECONDS)[0]


def press(driver, label):
    def named():
        return [one for one in driver.find_elements(By.TAG_NAME, "button") if one.text == label]

    wait_until(named, chromium.SECONDS)[0].click()


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
