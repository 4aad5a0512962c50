"""A report in a real browser: it opens from a file, asks for nothing, draws, sorts, filters, and runs no text of a record."""

import chromium
import pytest
from chromium import forget_logs, requests, start_browser, wait_for
from compared_runs import committed, run_of
from hostile_records import hostile_run
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bench.__main__ import main

pytestmark = chromium.NEEDED
CASES = (
    "pos-minilm_l6-lora-cpu-s0", "pos-minilm_l6-dora-cpu-s0", "pos-minilm_l6-head-cpu-s0",
    "medqa-smollm2_135m-lora-cpu-s0",
)  # fmt: skip
CHARTS = 9
DRAWN = "return [...document.querySelectorAll('.plot')].filter(one => one.querySelector('.main-svg')).length"
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true); plots.forEach(draw)"


@pytest.fixture(scope="module")
def browser():
    driver = start_browser()
    yield driver
    driver.quit()


def show(browser, run, folder, *words):
    file = folder / "page.html"
    assert main(["report", str(run), "-o", str(file), *words]) == 0
    forget_logs(browser)
    browser.get(file.as_uri())
    return browser


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page of some cases of the smoke run."""
    folder = tmp_path_factory.mktemp("smoke")
    return show(browser, run_of(folder / "run", [committed()[case] for case in CASES]), folder)


def cases(driver):
    rows = driver.find_elements(By.CSS_SELECTOR, "#cases tbody tr")
    return [row.find_element(By.TAG_NAME, "th").text for row in rows if row.is_displayed()]


def heading(driver, text):
    buttons = driver.find_elements(By.CSS_SELECTOR, "#cases thead button")
    return next(one for one in buttons if one.text.startswith(text))


def test_the_first_tab_stop_leads_to_the_cases(page):
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)  # before anything else has the focus
    assert page.switch_to.active_element.get_attribute("href").endswith("#cases")


def test_a_report_opens_from_a_file_draws_and_asks_for_nothing(page):
    page.execute_script(OPEN_ALL)
    assert wait_for(page, DRAWN, CHARTS) == CHARTS
    assert page.execute_script("return document.querySelectorAll('.plot').length") == CHARTS
    assert requests(page) == [page.current_url]
    assert page.get_log("browser") == []


def test_cases_are_sorted_by_number_with_a_key(page):
    button = heading(page, "peak memory")
    button.send_keys(Keys.ENTER)
    assert cases(page)[0] == "pos-minilm_l6-head-cpu-s0"  # 0.76 GB
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    button.send_keys(Keys.SPACE)
    assert cases(page)[0] == "medqa-smollm2_135m-lora-cpu-s0"  # 2.29 GB
    assert button.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"
    heading(page, "case").send_keys(Keys.ENTER)
    assert cases(page)[0] == "medqa-smollm2_135m-lora-cpu-s0"


def test_cases_are_filtered_by_words(page):
    box = page.find_element(By.CSS_SELECTOR, "#cases input")
    box.send_keys("MINILM dora")
    assert cases(page) == ["pos-minilm_l6-dora-cpu-s0"]
    assert page.find_element(By.CSS_SELECTOR, "#cases .found").text == "1 of 4"
    box.send_keys(Keys.CONTROL, "a", Keys.BACKSPACE)
    assert len(cases(page)) == len(CASES)


def test_a_dark_page_has_light_text_in_its_charts(page):
    colour = "return document.querySelector('#quality .plot').layout.font.color"
    page.execute_script("document.querySelector('#quality').scrollIntoView()")
    assert wait_for(page, colour, "#1f2328") == "#1f2328"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", chromium.DARK)
    assert wait_for(page, colour, "#f0f6fc") == "#f0f6fc"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_telephone_shows_the_page_without_scrolling_sideways(page):
    labels = "return document.querySelector('#quality .plot').layout.annotations.length"
    assert wait_for(page, labels, 3) == 3
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", chromium.PHONE)
    assert wait_for(page, labels, 0) == 0  # names of marks are in the legend alone
    assert page.execute_script("return document.documentElement.scrollWidth") == 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_hostile_run_stays_inert(browser, tmp_path):
    driver = show(browser, hostile_run(tmp_path / "run"), tmp_path)
    driver.execute_script(OPEN_ALL)
    count = driver.execute_script("return document.querySelectorAll('.plot').length")
    assert wait_for(driver, DRAWN, count) == count > 5
    assert driver.title == "lorabench report: run"
    assert driver.execute_script("return document.querySelectorAll('script:not([type])').length") == 2
    assert driver.execute_script("return document.querySelectorAll('img, iframe, object, embed').length") == 0
    assert driver.execute_script("return document.querySelectorAll('.plot a[*|href]').length") == 0
    assert requests(driver) == [driver.current_url]
    assert driver.get_log("browser") == []
    assert "\u202e" not in driver.execute_script("return document.documentElement.outerHTML")
