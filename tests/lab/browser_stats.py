#!/usr/bin/env python3
"""What a person with a browser sees of stats: a page that jitsud starts for it, with the boot as bars one after the other.

Pictures of the page are kept in JITSU_ARTEFACTS, or in tests/artefacts below the directory of the build.
"""

import json
import os

import lab
import webdriver

lab.need("qemu-system-x86_64", "dig", "curl", "chromium", "chromedriver")
STATS = {"name": "stats.lab.example", "ports": ["8080:80"], "image": lab.image("stats.elf"), "memory": "8M"}
ARTEFACTS = os.environ.get("JITSU_ARTEFACTS", os.path.join("tests", "artefacts"))
SIZES = {"desktop": (1280, 1000), "phone": (390, 844), "small-phone": (320, 568)}


def rows(browser):
    """Of each phase its name, meaning and time, and where its bar begins and ends, as parts of its track."""
    return browser.run("""
        return [...document.querySelectorAll("li")].map(row => {
          const [name, meaning, time] = ["strong", "small", ".time"].map(part => row.querySelector(part).innerText);
          const track = row.querySelector(".track"), bar = track.firstElementChild.getBoundingClientRect();
          const whole = track.getBoundingClientRect();
          return [name, meaning, time, (bar.left - whole.left) / whole.width, (bar.right - whole.left) / whole.width];
        });""")


def assert_milliseconds(shown, value):
    """A time as the page rounds it: to three digits, and to microseconds."""
    number, unit = shown.split()
    assert unit == "ms" and abs(float(number) - value) <= max(0.002, value * 0.01), (shown, value)


def the_boot_is_seen_at_a_glance():
    os.makedirs(ARTEFACTS, exist_ok=True)
    with lab.Daemon(services=[STATS]) as daemon:
        address, = daemon.resolve(STATS["name"])
        with webdriver.Browser(names={STATS["name"]: address}) as browser:
            browser.open(f"http://{STATS['name']}:8080/")
            boot = json.loads(daemon.curl(f"http://{address}:8080/stats.json"))["boot"]
            assert browser.title().startswith(f"{STATS['name']}: ready in "), browser.title()
            assert browser.text("h1").startswith("Ready in "), browser.text("h1")
            assert_milliseconds(browser.text("h1 b"), boot["ready"])
            for size, (width, height) in SIZES.items():
                for dark in (False, True):
                    browser.show(width, height, dark=dark, scale=2, touch="phone" in size)
                    browser.screenshot(os.path.join(ARTEFACTS, f"stats-{size}-{'dark' if dark else 'light'}.png"))
                    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{size} is too narrow"
                began = 0
                for phase, (name, meaning, took, left, right) in zip(boot["phases"], rows(browser), strict=True):
                    assert name == phase["name"] and meaning, (size, phase, name, meaning)
                    assert_milliseconds(took, phase["took"])
                    assert abs(left - began / boot["ready"]) < 0.03, (size, phase, left)
                    assert left < right and abs(right - phase["ended"] / boot["ready"]) < 0.03, (size, phase, right)
                    began = phase["ended"]
            assert browser.complaints() == []


def page_and_json_say_the_same():
    with lab.Daemon(services=[STATS]) as daemon:
        address, = daemon.resolve(STATS["name"])
        with webdriver.Browser(names={STATS["name"]: address}) as browser:
            browser.open(f"http://{STATS['name']}:8080/")
            page = browser.text("main").replace("\u00a0", " ")
            browser.click("footer a")
            facts = json.loads(browser.text("body"))
            assert facts["name"] == STATS["name"]
            for said in (facts["name"], facts["platform"], facts["hypervisor"], *facts["addresses"],
                         *(phase["name"] for phase in facts["boot"]["phases"]),
                         f"of at most {facts['connections']['limit']} at a time",
                         f"of {facts['memory']['total'] // (2**20 // 10) / 10} MB"):
                assert said in page, (said, page)


lab.run(the_boot_is_seen_at_a_glance, page_and_json_say_the_same)
