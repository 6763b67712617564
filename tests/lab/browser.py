#!/usr/bin/env python3
"""What a person with a browser sees: Chromium plays 2048 that jitsud starts for it.

Pictures of the pages are kept in JITSU_ARTEFACTS, or in tests/artefacts below the directory of the build.
"""

import contextlib
import json
import os

import lab
import webdriver

lab.need("qemu-system-x86_64", "dig", "curl", "chromium", "chromedriver")
GAME = {"name": "2048.lab.example", "ports": ["8080:80"], "image": lab.image("2048.elf"), "memory": "8M"}
ARTEFACTS = os.environ.get("JITSU_ARTEFACTS", os.path.join("tests", "artefacts"))
PHONE = {"width": 390, "height": 844, "scale": 2, "touch": True}
EMPTY = [0, 0, 0, 0]
# A board that is full after any move to the left, and then the end.
LAST_MOVE = [0, 8, 16, 32, 64, 128, 256, 512, 8, 16, 32, 64, 128, 256, 512, 1024]


def picture(browser, name):
    os.makedirs(ARTEFACTS, exist_ok=True)
    browser.screenshot(os.path.join(ARTEFACTS, f"{name}.png"))


@contextlib.contextmanager
def the_game():
    """jitsud, a browser that has found the game by its name, and the game's address."""
    with lab.Daemon(services=[GAME]) as daemon:
        address, = daemon.resolve(GAME["name"])
        with webdriver.Browser(names={GAME["name"]: address}) as browser:
            browser.open(f"http://{GAME['name']}:8080/")
            assert browser.title() == "2048"
            yield daemon, browser
            complaints = browser.complaints()
            assert complaints == [], complaints


def number(browser, selector):
    return int(browser.text(selector).replace(",", ""))


def cells(browser):
    return [int(text) if text != "empty" else 0
            for text in browser.run("return [...document.querySelectorAll('#table td')].map(cell => cell.textContent)")]


def shown(browser):
    """The board as its tiles show it, when all have arrived; or None if two are in one place."""
    browser.wait_until_still()
    tiles = browser.run("""
        const box = document.getElementById("tiles").getBoundingClientRect();
        return [...document.querySelectorAll(".tile")].map(tile => {
          const at = tile.getBoundingClientRect();
          return [Math.round((at.y - box.y) / box.height * 4), Math.round((at.x - box.x) / box.width * 4), +tile.textContent];
        });""")
    board = [0] * 16
    for row, column, value in tiles:
        if board[row * 4 + column]:
            return None
        board[row * 4 + column] = value
    return board


def assert_drawn(browser):
    drawn, board = shown(browser), cells(browser)
    assert drawn == board, f"the tiles show {drawn}, the board is {board}"


def set_board(browser, board, score=0, goes_on=False):
    browser.run("localStorage.setItem('2048.games', arguments[0])",
                json.dumps([{"cells": board, "score": score, "goesOn": goes_on}]))
    browser.reload()
    assert cells(browser) == board, cells(browser)


def verdict(browser):
    browser.wait_until_still()
    return browser.text("#verdict-title")


def chromium_plays_what_jitsud_starts_for_it():
    with lab.Daemon(services=[GAME]) as daemon:
        assert daemon.state(GAME["name"]) == "off"
    with the_game() as (daemon, browser):
        assert daemon.state(GAME["name"]) == "running"
        assert number(browser, "#score") == 0
        assert len(list(filter(None, cells(browser)))) == 2
        for turn in range(100):
            browser.press(("left", "down", "right", "up")[turn % 4])
            if number(browser, "#score") > 100:
                break
        score = number(browser, "#score")
        assert score > 100 and number(browser, "#best") == score, score
        assert_drawn(browser)
        picture(browser, "2048-played")

        # The machine goes, and the player does not notice.
        daemon.ctl("stop", GAME["name"])
        daemon.wait_for(GAME["name"], "off")
        for key in "wasd" * 3:
            browser.press(key)
        board, score = cells(browser), number(browser, "#score")
        assert browser.run("return performance.getEntriesByType('resource').every(file => file.responseEnd > 0)")
        assert daemon.state(GAME["name"]) == "off"

        # Loading the page again starts it again; the game is where it was.
        browser.reload()
        assert daemon.state(GAME["name"]) == "running"
        assert cells(browser) == board and number(browser, "#score") == score
        browser.click("#new-game")
        assert number(browser, "#score") == 0 and number(browser, "#best") == score
        browser.reload()
        assert number(browser, "#score") == 0 and number(browser, "#best") == score


def keys_fingers_and_buttons():
    with the_game() as (_, browser):
        browser.show(**PHONE)
        start = EMPTY + [0, 2, 0, 0] + EMPTY + EMPTY
        ways = {"left": ("a", -90, 0, 4), "right": ("d", 90, 0, 7), "up": ("w", 0, -90, 1), "down": ("s", 0, 90, 13)}
        for direction, (key, x, y, cell) in ways.items():
            for act in (lambda: browser.press(direction), lambda: browser.press(key), lambda: browser.swipe("#board", x, y)):
                set_board(browser, start)
                act()
                after = cells(browser)
                assert after[cell] in (2, 4) and len(list(filter(None, after))) == 2, (direction, after)
                assert direction in browser.text("#said"), browser.text("#said")
        # A tap is no swipe, and a finger that goes on and on is one.
        set_board(browser, start)
        browser.swipe("#board", 5, 5)
        assert cells(browser) == start
        # The page stays where it is below the finger, even if it could go.
        browser.run("document.body.style.height = '3000px'")
        browser.swipe("#board", 0, -150)
        assert cells(browser) != start
        assert browser.run("return scrollY") == 0

        set_board(browser, [2, 2, 4, 4] + EMPTY * 3)
        browser.press("left")
        assert cells(browser)[:2] == [4, 8] and number(browser, "#score") == 12
        assert browser.text("#said").startswith("Joined to 4 and 8. Score 12."), browser.text("#said")
        browser.press("left", "up", "right", "down", "left", "up")  # faster than tiles slide
        assert_drawn(browser)
        while browser.run("return !document.getElementById('undo').disabled"):
            browser.press("z", holding=["control"])
        assert cells(browser) == [2, 2, 4, 4] + EMPTY * 3 and number(browser, "#score") == 0
        assert_drawn(browser)
        browser.click("#new-game")
        browser.click("#undo")
        assert cells(browser) == [2, 2, 4, 4] + EMPTY * 3, "a new game by mistake can be taken back"


def victory_and_defeat():
    with the_game() as (_, browser):
        browser.show(**PHONE)
        set_board(browser, [1024, 1024, 0, 0, 64, 32, 16, 0, 2, 4, 0, 0, 2, 0, 0, 0], score=18000)
        assert verdict(browser) == ""
        browser.press("left")
        assert verdict(browser) == "2048!" and number(browser, "#score") == 20048
        assert "2048!" in browser.text("#said")
        picture(browser, "2048-won")
        before = cells(browser)
        browser.press("right")
        assert cells(browser) == before
        browser.press("enter")  # on the button that has the focus: keep going
        assert verdict(browser) == ""
        browser.press("right")
        assert 2048 in cells(browser) and cells(browser) != before
        browser.reload()
        assert verdict(browser) == "" and 2048 in cells(browser)
        best = number(browser, "#best")

        set_board(browser, LAST_MOVE, score=9000)
        browser.show(**PHONE, dark=True)
        browser.press("left")
        assert verdict(browser) == "No more moves", cells(browser)
        assert "No more moves" in browser.text("#said")
        picture(browser, "2048-over-dark")
        browser.reload()
        assert verdict(browser) == "No more moves"
        browser.click("#take-back")
        assert verdict(browser) == "" and cells(browser) == LAST_MOVE
        browser.press("left")
        browser.press("enter")
        assert verdict(browser) == "" and number(browser, "#score") == 0 and number(browser, "#best") == best


def rules():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "game_rules.js")) as file:
        script = file.read()
    with the_game() as (_, browser):
        faults = browser.run(script)
        assert faults == [], "\n".join(faults)


def looks():
    sizes = {"desktop": (1280, 900), "phone": (390, 844), "phone-sideways": (844, 390), "small-phone": (320, 568)}
    board = [2, 4, 8, 16, 256, 128, 64, 32, 512, 1024, 0, 2, 0, 0, 0, 4]
    with the_game() as (_, browser):
        for name, (width, height) in sizes.items():
            for dark in (False, True):
                browser.show(width, height, dark=dark, scale=2, touch="phone" in name)
                set_board(browser, board, score=12344)
                picture(browser, f"2048-{name}-{'dark' if dark else 'light'}")
                page = browser.run("""const page = document.documentElement;
                    return [page.scrollWidth <= innerWidth, page.scrollHeight <= innerHeight];""")
                assert page == [True, True], f"{name}: all is seen without scrolling: {page}"
        browser.show(1280, 900, calm=True)
        set_board(browser, board)
        browser.press("right")
        assert browser.run("return document.getAnimations().length") == 0
        assert_drawn(browser)


def broken_and_denied_storage():
    with the_game() as (_, browser):
        for kept in ("nonsense", "{}", "[[]]", '[{"cells": [3], "score": 0}]', "null", "7"):
            browser.run("localStorage['2048.games'] = localStorage['2048.best'] = arguments[0]", kept)
            browser.reload()
            assert len(list(filter(None, cells(browser)))) == 2, kept
            assert number(browser, "#best") == (7 if kept == "7" else 0), kept
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source="""
            Object.defineProperty(window, "localStorage", {get() { throw new DOMException("denied", "SecurityError"); }});""")
        browser.reload()
        browser.press("left", "down", "right", "up", "left", "down", "right", "up")
        assert_drawn(browser)
        assert number(browser, "#score") > 0


lab.run(chromium_plays_what_jitsud_starts_for_it, keys_fingers_and_buttons, victory_and_defeat, rules, looks,
        broken_and_denied_storage)
