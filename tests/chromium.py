"""Chromium with its driver, headless, for tests of pages; `.ci/run` installs Debian's."""

import json
import shutil
import time

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
NEEDED = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver: apt-get install chromium chromium-driver"
)
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900")
SECONDS = 20
PHONE = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
DARK = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}


def start_browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for option in OPTIONS:
        options.add_argument(option)
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def forget_logs(driver):
    """Drop what an earlier page left in the logs."""
    for kind in ("browser", "performance"):
        driver.get_log(kind)


def wait_for(driver, script, expected):
    """The script's value once it is as expected, or after SECONDS."""
    until = time.monotonic() + SECONDS
    while (found := driver.execute_script(script)) != expected and time.monotonic() < until:
        time.sleep(0.1)
    return found


def requests(driver):
    """The addresses that the page asked for."""
    events = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    sent = (one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent")
    return [url for url in sent if not url.startswith(("data:", "blob:"))]
