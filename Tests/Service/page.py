"""Whether the page works in a browser: python page.py FTF WORK [INDEX PICTURE]. Chromium and its driver have to be there.

WORK is made anew. The model has random weights: what is found means nothing, that it is shown does. Screenshots of every state, at every width, are
left in WORK/shots for whoever wants to look. With INDEX, one that a model built that has learnt, PICTURE is the documents' picture of the page, made anew.
"""
import faulthandler
import http.server
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time

import axe_core_python
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from server import Server

faulthandler.dump_traceback_later(500, exit=True)
ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
for folder in ("images", "shots", "saved"): os.makedirs(f"{work}/{folder}")


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


script = "<script>document.title='owned'</script>"
hostile = [script.replace("/", "_") + ".png", '"quotes" & \'more\' <img src=x onerror=document.title=1>.png', "\u202egnp.txt \U0001f6f0.png"]
for name in os.listdir(f"{goldens}/images"): shutil.copy(f"{goldens}/images/{name}", f"{work}/images/{name}")
for name in hostile: shutil.copy(f"{goldens}/images/exact.png", f"{work}/images/{name}")
for number in range(60): shutil.copy(f"{goldens}/images/grey.png", f"{work}/images/more{number}.png")
run("gdal_translate", "-q", "-of", "PNG", "-outsize", "900", "200", f"{goldens}/images/rgb.jpg", f"{work}/images/panorama.png")
for number in range(3):
    run("gdal_translate", "-q", "-of", "GTiff", "-colorinterp", "undefined,undefined,undefined", "-outsize", "900", "700", "-a_srs", "EPSG:32632", "-a_ullr", str(500000 + 40000 * number), "5500000",
        str(500900 + 40000 * number), "5499300", f"{goldens}/images/rgb.jpg", f"{work}/images/scene{number}.tif")
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
known = [{"filename": f"more{number}.png", "year": 2000 + number % 20, "sensor": ["one", script, "it's"][number % 3],
          "datetime": f"20{10 + number % 12}-05-0{1 + number % 9}T10:00:00Z"} for number in range(60)]
with open(f"{work}/known.jsonl", "w") as file: file.write("\n".join(map(json.dumps, known)))
with open(f"{work}/captions.jsonl", "w") as file: file.write(json.dumps({"filename": "rgb.jpg", "captions": ["a bridge over a river", script]}))
files = len(os.listdir(f"{work}/images"))
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf", "--captions", f"{work}/captions.jsonl",
    "--attributes", f"{work}/known.jsonl")
second = 'a "second" <i> & one'
run(ftf, "index", f"{work}/{second}", f"{work}/images/rgb.jpg", f"{work}/images/scene0.tif", "--model", f"{work}/tiny.ftf")

# Tiles of another service.
tile, asked = open(f"{goldens}/images/exact.png", "rb").read(), []


class Tiles(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(tile)

    def log_message(self, *_): pass


class Proxy(http.server.BaseHTTPRequestHandler):
    """A reverse proxy that has the service below a path."""
    to = None

    def handle_one(self):
        import urllib.error
        import urllib.request
        if not self.path.startswith("/maps/"):
            self.send_response(404)
            self.end_headers()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        headers = {k: v for k, v in self.headers.items() if k.lower() in ("accept", "content-type", "authorization", "if-none-match")}
        asked_ = urllib.request.Request(self.to + self.path.removeprefix("/maps"), body, {**headers, "X-Forwarded-Prefix": "/maps"}, method=self.command)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked_) as answer: status, got, type_ = answer.status, answer.read(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error: status, got, type_ = error.code, error.read(), error.headers["Content-Type"]
        self.send_response(status)
        self.send_header("Content-Type", type_ or "text/plain")
        self.send_header("Content-Length", str(len(got)))
        self.end_headers()
        self.wfile.write(got)

    do_GET = do_POST = handle_one

    def log_message(self, *_): pass


def served(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


outside = served(Tiles)
options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,900", "--no-proxy-server"):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
options.add_experimental_option("prefs", {"download.default_directory": f"{work}/saved", "download.prompt_for_download": False})
browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
browser.set_page_load_timeout(30)
browser.set_script_timeout(30)


def find(selector): return browser.find_elements(By.CSS_SELECTOR, selector)
def js(code, *arguments): return browser.execute_script(code, *arguments)
def status(): return js("return document.getElementById('status').textContent")
def shown(selector): return [one for one in find(selector) if one.is_displayed()]
def query(): return js("return new URLSearchParams(location.search).toString()")
def chips(): return [one.text.strip("×\n ") for one in find("#chips .chip")]
def cards(): return js("return [...document.querySelectorAll('#results li')].map(i => i.dataset.id)")
def change(selector, value): js("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change', {bubbles: true}))", selector, value)


def until(what, seconds=15):
    end = time.time() + seconds
    while time.time() < end:
        if found := what(): return found
        time.sleep(0.05)
    browser.save_screenshot(f"{work}/shots/failed.png")
    raise AssertionError(f"still not after {seconds} s; the page says: {status()}; {browser.get_log('browser')[-3:]}")


def settled(): return until(lambda: js("return document.getElementById('results').getAttribute('aria-busy')") == "false")


def ask(words):
    field = find("#words")[0]
    field.clear()
    field.send_keys(words, Keys.ENTER)
    until(lambda: "q=" in query())
    settled()


def click(one): js("arguments[0].scrollIntoView({block: 'center'})", one); one.click()


def narrow(width, height=844, mobile=True):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile})
    time.sleep(0.3)


def check(name):
    """No error in the console, nobody shut out, a picture of it."""
    browser.save_screenshot(f"{work}/shots/{name}.png")
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and "status of 4" not in entry["message"]]
    assert not errors, errors
    assert js("return document.title") == "FastThenFine", "what is text stays text"
    js(axe)
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(r => done([r.passes.length, r.violations.map(v => "
        "[v.id, v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary.slice(0, 200))])]))")
    assert found[0] > 10 and not found[1], (name, found)


with open(f"{os.path.dirname(axe_core_python.__file__)}/axe.min.js") as file: axe = file.read()
try:
    with Server(ftf, work, f"{work}/{second}", "--trusted-proxy", "127.0.0.1") as server:
        browser.get(server.url)
        until(lambda: len(find("#suggestions button")) >= 2)
        assert script in [button.text for button in find("#suggestions button")]
        check("empty")

        # From the keyboard: to the field, a sentence, through the results, a large view.
        find("body")[0].send_keys("/")
        assert js("return document.activeElement.id") == "words"
        ask("a wide river")
        assert len(cards()) == 24 and query() == "q=a+wide+river"
        assert [int(rank.text) for rank in find("#results .rank")] == list(range(1, 25))
        assert "%" not in js("return document.getElementById('results').textContent"), "no chance where the model knows none"
        assert "ms" in js("return document.getElementById('timings').textContent")
        until(lambda: js("return [...document.querySelectorAll('.picture img')].filter(i => i.complete && i.naturalWidth > 0).length") > 3)
        assert js("return [...document.querySelectorAll('.picture img')].every(i => i.alt && !/^result/.test(i.alt))"), "alternative texts name the picture"
        assert js("return [...document.querySelectorAll('.picture img')].filter(i => i.src).length") < 24, "pictures come where they are seen"
        check("results")

        # The large view, its keys, and the way back.
        find(".picture")[1].send_keys(Keys.ENTER)
        until(lambda: find("dialog#large[open]") and "view=" in query())
        until(lambda: js("return document.getElementById('view').naturalWidth") > 0)
        second_id = cards()[1]
        assert query().endswith("view=" + second_id) and find("#title")[0].text and shown("#facts")
        find("#shut")[0].send_keys(Keys.ARROW_RIGHT)
        until(lambda: query().endswith("view=" + cards()[2]))
        find("#shut")[0].send_keys("h")
        until(lambda: js("const o = document.getElementById('overlay'); return !o.hidden && o.naturalWidth > 0"))
        check("large")
        before = js("return document.getElementById('view').style.transform")
        find("#shut")[0].send_keys("+")
        assert js("return document.getElementById('view').style.transform") != before
        browser.back()
        until(lambda: not find("dialog#large[open]") and "view=" not in query())
        assert len(cards()) == 24 and "q=a+wide+river" == query(), "back goes back"
        click(find(".picture")[0])
        until(lambda: find("dialog#large[open]"))
        here = browser.current_url
        find("#shut")[0].send_keys(Keys.ESCAPE)
        until(lambda: not find("dialog#large[open]") and "view=" not in query())
        assert js("return document.activeElement.className") == "picture", "focus comes back to the card"
        browser.get(here)
        until(lambda: find("dialog#large[open]"))
        click(find("#shut")[0])
        until(lambda: not find("dialog#large[open]"))
        if "q=" not in query(): browser.get(server.url + "/?q=a+wide+river")
        settled()

        # More as one scrolls; what is chosen stays chosen.
        js("document.querySelectorAll('#results .pick input')[2].click()")
        chosen = cards()[2]
        js("window.scrollTo(0, document.body.scrollHeight)")
        until(lambda: len(cards()) >= 48)
        until(lambda: js("window.scrollTo(0, document.body.scrollHeight)") or not shown("#more"))
        every = len(cards())
        assert every >= files
        assert len(set(cards())) == every, "each comes once"
        assert js("return document.getElementById('picked').textContent") == "1 chosen"
        names = js("return [...document.querySelectorAll('#results .name')].map(n => n.textContent)")
        assert set(hostile) <= set(names), "hostile names are shown as they are"
        js("window.scrollTo(0, 0)")

        # Heat, of the sentence and of a word; by focus as by the pointer.
        js("const heat = document.getElementById('heat'); heat.value = 60; heat.dispatchEvent(new Event('input'))")
        until(lambda: find(".picture img.heat"))
        words = find("#parts button")
        assert [word.text for word in words] == ["wide", "river"]
        click(words[1])
        until(lambda: js("const s = [...document.querySelectorAll('#results li')].filter(i => i.isSeen).map(i => i.querySelector('.heat'));"
                         "return s.length > 3 && s.every(h => h && h.src.includes('word=river'))"))
        until(lambda: js("return [...document.querySelectorAll('img.heat')].some(i => i.complete && i.naturalWidth > 0)"))
        check("heat")
        js("const heat = document.getElementById('heat'); heat.value = 0; heat.dispatchEvent(new Event('input'))")
        js("document.querySelectorAll('.picture')[3].focus()")
        until(lambda: js("const h = document.querySelectorAll('.picture')[3].querySelector('.heat'); return h && document.activeElement.matches('.picture')"))

        # Files of the chosen and of all, from the service.
        def saved(name):
            path = f"{work}/saved/{name}"
            got = until(lambda: os.path.exists(path) and not os.path.exists(path + ".crdownload") and open(path, "rb").read())
            os.remove(path)
            return got
        click(find("[data-format=csv]")[0])
        assert len(saved("results.csv").splitlines()) == 2
        click(find("#none")[0])
        click(find("[data-format=geojson]")[0])
        assert len(json.loads(saved("results.geojson"))["features"]) == every
        click(find("[data-format=parquet]")[0])
        assert saved("results.parquet")[:4] == b"PAR1"

        # Like one, like several, nothing like one: each is to be seen, and can be taken back.
        click(find("#results .acts button")[0])
        until(lambda: "like=" in query())
        settled()
        assert len(chips()) == 1 and chips()[0].startswith("like ")
        here, first = browser.current_url, cards()[0]
        browser.get(here)
        settled()
        assert cards() and cards()[0] == first, status()
        js("document.querySelectorAll('#results .pick input')[0].click(); document.querySelectorAll('#results .pick input')[1].click()")
        two = set(cards()[:2])
        click(find("#these")[0])
        until(lambda: len(chips()) == 2)
        settled()
        assert not two & set(cards())
        browser.back()
        until(lambda: len(chips()) == 1)
        settled()
        # Words and an example together, and words alone.
        ask("a river")
        assert len(chips()) == 1 and "like=" in query() and len(cards()) > 10
        click(find("#chips .chip button")[0])
        until(lambda: not chips())
        settled()
        click(find("#none")[0])
        first = cards()[0]
        click(find("#results .acts button")[1])
        until(lambda: f"unlike={first}" in query())
        settled()
        until(lambda: first not in cards())
        assert any("not like" in js("return getComputedStyle(arguments[0].querySelector('span'), '::before').content", chip) for chip in find("#chips .away"))
        click(find("#chips .away button")[0])
        until(lambda: "unlike" not in query() and first in cards())

        # Conditions: chosen ones and a written one join, and a shared address has them all.
        js("document.getElementById('conditions').open = true")
        choice = find("#choices select")[0]
        assert {option.text for option in choice.find_elements(By.TAG_NAME, "option")} == {"any", "one (20)", script + " (20)", "it's (20)"}
        change("#filter", "path like '%more%'")
        settled()
        js("arguments[0].selectedIndex = [...arguments[0].options].findIndex(o => o.value === \"it's\");"
           "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", choice)
        until(lambda: len(cards()) == 20)
        assert js("return document.getElementById('filter').value") == "path like '%more%'", "what was written stays"
        number = next(one for one in find("#choices input") if one.get_attribute("type") == "number")
        number.send_keys("2015", Keys.TAB)
        until(lambda: 0 < len(cards()) < 20)
        date = next(one for one in find("#choices input") if one.get_attribute("type") == "date")
        js("arguments[0].value = '2012-01-01'; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", date)
        until(lambda: len(chips()) == 4)
        settled()
        some, here = cards(), browser.current_url
        check("conditions")
        browser.get(here)
        settled()
        until(lambda: cards() == some)
        assert len(chips()) == 4 and js("return [...document.querySelectorAll('#choices select')].map(s => s.value)") == ["it's"]
        assert "2015" in js("return [...document.querySelectorAll('#choices input')].map(s => s.value)")
        for _ in range(3): click(find("#chips .chip button")[-1]); settled(); time.sleep(0.3)
        change("#filter", "year = 1")
        until(lambda: "Nothing fits" in status())
        check("nothing")
        change("#filter", "yaer = 2010")
        until(lambda: find("#status.bad"))
        assert "year" in status(), status()
        check("error")
        change("#filter", "")
        settled()

        # A look around, without a question.
        browser.get(server.url)
        until(lambda: find("#browse button"))
        click(find("[data-order=newest]")[0])
        settled()
        until(lambda: len(cards()) == 24)
        assert int(status().split()[0]) >= files, status()
        times = js("return [...document.querySelectorAll('.numbers')].map(n => n.textContent.slice(0, 10)).filter(t => /^20/.test(t))")
        assert times == sorted(times, reverse=True) and len(times) > 10
        click(find("[data-order=random]")[0])
        until(lambda: "seed=" in query())
        settled()
        shuffled, here = cards(), browser.current_url
        browser.get(here)
        settled()
        assert cards() == shuffled, "an address leads to the same order"

        # A place has a map, joined to the cards both ways; a box drawn on it narrows.
        browser.get(server.url + "/?q=a+river&filter=path+like+%27%25scene%25%27")
        settled()
        until(lambda: shown("#map") and len(cards()) >= 3)
        def pin(i): return js("const r = document.querySelectorAll('#results li')[arguments[0]].result, m = document.getElementById('map').getBoundingClientRect();"
                              "return [r.centre[0], r.centre[1], m.left, m.top, m.width, m.height]", i)
        ActionChains(browser).move_to_element(find("#results li .picture")[0]).perform()
        time.sleep(0.2)
        check("map")
        box = find("#map")[0].rect
        click(find("#draw")[0])
        ActionChains(browser).move_to_element_with_offset(find("#map")[0], int(-box["width"] / 2 + 8), int(-box["height"] / 2 + 8)).click_and_hold() \
            .move_by_offset(int(box["width"] * 0.3), int(box["height"] - 20)).release().perform()
        until(lambda: "bbox=" in query() and len(chips()) >= 2)
        settled()
        inside = {js("return arguments[0].result.path", item)[-10:] for item in find("#results li")}
        assert inside == {"scene0.tif"}, (inside, query())
        click(find(".picture")[0])
        until(lambda: find("dialog#large[open]"))
        until(lambda: js("return document.getElementById('view').naturalWidth") > 0)
        # The whole scene, in which the window is framed.
        click(next(one for one in find("#viewacts button") if one.text == "Whole scene"))
        until(lambda: js("const v = document.getElementById('view').getBoundingClientRect(), s = document.getElementById('stage').getBoundingClientRect();"
                         "return Math.abs(v.width / v.height - 900 / 700) < 0.02 && (v.width > 0.9 * s.width || v.height > 0.9 * s.height)"))
        until(lambda: js("return document.getElementById('view').src.startsWith('blob:') && performance.getEntriesByType('resource').some(e => e.name.includes('/view?x=0&y=0&width=900&height=700'))"))
        until(lambda: abs(js("const v = document.getElementById('view'); return v.naturalWidth / v.naturalHeight") - 900 / 700) < 0.01)
        frame, whole = (js("return (r => [r.left, r.top, r.width, r.height])(document.querySelector(arguments[0]).getBoundingClientRect())", one) for one in ("#frame", "#view"))
        window = json.loads(server.call("/v1/images/" + js("return new URLSearchParams(location.search).get('view')"), raw=True)[2])["window"]
        for i, side in enumerate((900, 700)):
            assert abs(frame[i + 2] / whole[i + 2] - window[i + 2] / side) < 0.02 and abs((frame[i] - whole[i]) / whole[i + 2] - window[i] / side) < 0.02, (frame, whole, window)
        assert "a guess" in js("return document.getElementById('facts').textContent"), "by what the bands are known"
        check("scene")
        for _ in range(12): find("#shut")[0].send_keys("+")
        until(lambda: js("return performance.getEntriesByType('resource').some(e => e.name.includes('/view?'))"))
        find("#shut")[0].send_keys(Keys.ESCAPE)
        until(lambda: not find("dialog#large[open]"))

        # Another index, which the address names; one that there is not is no dead end.
        def choose(number):
            js("const a = document.getElementById('archive'); a.selectedIndex = arguments[0]; a.dispatchEvent(new Event('change'))", number)
        choose(1)
        until(lambda: "index=" in query() and "bbox" not in query())
        settled()
        until(lambda: 0 < len(cards()) < 24)
        browser.get(browser.current_url)
        settled()
        assert js("return document.getElementById('archive').value") == second
        check("second")
        browser.get(server.url + "/?q=a+river&index=none")
        until(lambda: "none" in status() or len(cards()) == 24)
        until(lambda: len(cards()) == 24)

        # A picture that is given, reduced here; what a browser cannot show is said kindly.
        large = f"{work}/large.jpg"
        run("gdal_translate", "-q", "-of", "JPEG", "-outsize", "6000", "4000", f"{goldens}/images/rgb.jpg", large)
        find("#file")[0].send_keys(large)
        until(lambda: "large.jpg" in chips())
        settled()
        assert len(cards()) == 24 and find("#chips img")
        find("#file")[0].send_keys(f"{work}/images/scene0.tif")
        until(lambda: "TIFF" in status() and find("#status.bad"))
        click(find("#chips .chip button")[0])

        # Offline is said.
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0})
        until(lambda: "offline" in status())
        browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
        browser.get_log("browser")

        # Dark, and every width.
        browser.get(server.url + "/?q=a+river")
        settled()
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        check("dark")
        for width in (320, 390, 768, 1440, 2560):
            narrow(width, mobile=width < 800)
            assert js("return document.documentElement.scrollWidth") <= width, f"nothing sticks out at {width}"
            if width < 800:
                least = js("return Math.min(...[...document.querySelectorAll('button, .button, select, .pick, input[type=search]')].filter(e => e.offsetParent)"
                           ".map(e => e.getBoundingClientRect().height))")
                assert least >= (36 if width < 560 else 34), (width, least)
            check(f"width-{width}")
        narrow(390)
        click(find(".picture")[0])
        until(lambda: find("dialog#large[open]") and js("return document.getElementById('view').naturalWidth") > 0)
        assert js("return document.getElementById('stage').clientHeight") > 250
        check("large-390")
        browser.get(server.url + "/?q=a+river&filter=path+like+%27%25scene%25%27")
        settled()
        until(lambda: shown("#map"))
        assert js("return document.getElementById('map').clientHeight") >= 200, "a map that can be used on a telephone"
        check("map-390")
        narrow(1440, 900, False)

        # Behind a proxy that has it below a path.
        Proxy.to = server.url
        front = f"http://127.0.0.1:{served(Proxy)}/maps/"
        browser.get(front + "?q=a+river")
        until(lambda: len(cards()) == 24)
        until(lambda: js("return [...document.querySelectorAll('.picture img')].some(i => i.complete && i.naturalWidth > 0)"))
        check("prefix")

    # Tiles, and a token that is asked for in a form.
    with open(f"{work}/token", "w") as file: file.write("open-sesame\n")
    with Server(ftf, work, "--tiles", f"http://127.0.0.1:{outside}/{{z}}/{{x}}/{{y}}.png", "--token-file", f"{work}/token") as server:
        browser.get(server.url + "/?q=a+river&filter=path+like+%27%25scene%25%27")
        until(lambda: find("dialog#ask[open]"))
        check("token")
        find("#token")[0].send_keys("open-sesame", Keys.ENTER)
        until(lambda: not find("dialog#ask[open]") and len(cards()) >= 3)
        until(lambda: js("return [...document.querySelectorAll('.picture img')].some(i => i.complete && i.naturalWidth > 0)"))
        until(lambda: asked)
        js("document.getElementById('map').focus()")
        for _ in range(20): find("#map")[0].send_keys("+")
        time.sleep(1)
        z, x, y = max(tuple(map(int, one.removesuffix(".png").split("/")[1:])) for one in asked)
        assert z > 12, z
        check("tiles")
    if len(sys.argv) > 4:
        os.makedirs(f"{work}/shown")
        os.symlink(os.path.abspath(sys.argv[3]), f"{work}/shown/index")
        narrow(1180, 860, False)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]})
        with Server(ftf, f"{work}/shown") as server:
            browser.get(server.url + "/?q=a+bridge+over+a+wide+river")
            settled()
            js("const heat = document.getElementById('heat'); heat.value = 55; heat.dispatchEvent(new Event('input'))")
            until(lambda: js("return [...document.querySelectorAll('img.heat')].filter(i => i.complete && i.naturalWidth > 0).length") >= 5)
            time.sleep(1)
            browser.save_screenshot(f"{work}/shots/page.png")
        run("gdal_translate", "-q", "-of", "JPEG", "-b", "1", "-b", "2", "-b", "3", "-co", "QUALITY=82", f"{work}/shots/page.png", sys.argv[4])
finally:
    browser.quit()
print("the page: sentences, pictures, heat, conditions, large view, history, map, files, errors, keyboard, dark, every width, prefix, hostile names, axe")
