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


def bars(browser):
    """Where each bar begins and ends, as parts of its track."""
    return browser.run("""
        return [...document.querySelectorAll(".track")].map(track => {
          const whole = track.getBoundingClientRect(), bar = track.firstElementChild.getBoundingClientRect();
          return [(bar.left - whole.left) / whole.width, (bar.right - whole.left) / whole.width];
        });""")


def the_boot_is_seen_at_a_glance():
    os.makedirs(ARTEFACTS, exist_ok=True)
    with lab.Daemon(services=[STATS]) as daemon:
        address, = daemon.resolve(STATS["name"])
        with webdriver.Browser(names={STATS["name"]: address}) as browser:
            browser.open(f"http://{STATS['name']}:8080/")
            facts = json.loads(daemon.curl(f"http://{address}:8080/stats.json"))
            assert browser.title().startswith(f"{STATS['name']}: ready in "), browser.title()
            assert browser.text("h1").startswith("Ready in "), browser.text("h1")
            for name, (width, height) in SIZES.items():
                for dark in (False, True):
                    browser.show(width, height, dark=dark, scale=2, touch="phone" in name)
                    browser.screenshot(os.path.join(ARTEFACTS, f"stats-{name}-{'dark' if dark else 'light'}.png"))
                    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), f"{name} is too narrow"
                began = 0
                for phase, (left, right) in zip(facts["boot"]["phases"], bars(browser), strict=True):
                    assert abs(left - began / facts["boot"]["ready"]) < 0.03, (name, phase, left)
                    assert left < right < 1.03, (name, phase, right)
                    began = phase["ended"]
            assert browser.complaints() == []


lab.run(the_boot_is_seen_at_a_glance)
