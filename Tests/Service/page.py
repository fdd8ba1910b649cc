"""Whether the page works in a browser: python page.py FTF WORK. Chromium and its driver have to be there.

WORK is made anew. The model has random weights: what is found means nothing, that it is shown does. Screenshots of every state are left in
WORK/shots for whoever wants to look.
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
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from server import Server

faulthandler.dump_traceback_later(400, exit=True)
ftf, work = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
goldens = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Goldens")
shutil.rmtree(work, ignore_errors=True)
os.makedirs(f"{work}/images")
os.makedirs(f"{work}/shots")


def run(*command): subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


script = "<script>document.title='owned'</script>"
hostile = [script.replace("/", "_") + ".png", '"quotes" & \'more\' <img src=x onerror=document.title=1>.png', "\u202egnp.txt \U0001f6f0.png"]
for name in os.listdir(f"{goldens}/images"): shutil.copy(f"{goldens}/images/{name}", f"{work}/images/{name}")
for name in hostile: shutil.copy(f"{goldens}/images/exact.png", f"{work}/images/{name}")
for number in range(60): shutil.copy(f"{goldens}/images/grey.png", f"{work}/images/more{number}.png")
run("gdal_translate", "-q", "-of", "GTiff", "-a_srs", "EPSG:32632", "-a_ullr", "500000", "5500000", "500100", "5499900",
    f"{goldens}/images/rgb.jpg", f"{work}/images/scene.tif")
run(ftf, "convert", f"{goldens}/tiny", "-o", f"{work}/tiny.ftf", "--precision", "fp32")
known = [{"filename": f"more{number}.png", "year": 2000 + number % 20, "sensor": ["one", script, "it's"][number % 3]} for number in range(60)]
with open(f"{work}/known.jsonl", "w") as file: file.write("\n".join(map(json.dumps, known)))
with open(f"{work}/captions.jsonl", "w") as file: file.write(json.dumps({"filename": "rgb.jpg", "captions": ["a bridge over a river", script]}))
count = len(os.listdir(f"{work}/images"))
run(ftf, "index", f"{work}/index", f"{work}/images", "--model", f"{work}/tiny.ftf", "--captions", f"{work}/captions.jsonl",
    "--attributes", f"{work}/known.jsonl")
second = 'a "second" <i> & one'
run(ftf, "index", f"{work}/{second}", f"{work}/images/rgb.jpg", f"{work}/images/scene.tif", "--model", f"{work}/tiny.ftf")

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


outside = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tiles)
threading.Thread(target=outside.serve_forever, daemon=True).start()

options = webdriver.ChromeOptions()
for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1200,900", "--no-proxy-server"):
    options.add_argument(argument)
options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
browser.set_page_load_timeout(30)
browser.set_script_timeout(30)


def find(selector): return browser.find_elements(By.CSS_SELECTOR, selector)
def js(code, *arguments): return browser.execute_script(code, *arguments)
def status(): return js("return document.getElementById('status').textContent")


def until(what, seconds=15):
    end = time.time() + seconds
    while time.time() < end:
        if found := what(): return found
        time.sleep(0.05)
    browser.save_screenshot(f"{work}/shots/failed.png")
    raise AssertionError(f"still not after {seconds} s; the page says: {status()}")


def settled(): return until(lambda: "rerank" in status() or "Nothing fits" in status())


def ask(words):
    field = find("#words")[0]
    field.clear()
    field.send_keys(words, Keys.ENTER)
    until(lambda: js("return location.search").startswith("?q=") or "like" not in js("return location.search"))
    settled()


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
    with Server(ftf, work, f"{work}/{second}", "--tiles", f"http://127.0.0.1:{outside.server_port}/{{z}}/{{x}}/{{y}}.png") as server:
        browser.get(server.url)
        until(lambda: len(find("#suggestions button")) >= 2)
        assert script in [button.text for button in find("#suggestions button")]
        check("empty")

        # From the keyboard: to the field, a sentence, through the results.
        find("body")[0].send_keys("/")
        assert js("return document.activeElement.id") == "words"
        ask("a wide river")
        assert len(find("#results li")) == 24 and js("return location.search") == "?q=a+wide+river"
        ranks = [int(rank.text) for rank in find("#results .rank")]
        assert ranks == list(range(1, 25))
        until(lambda: js("return [...document.images].filter(i => i.complete && i.naturalWidth > 0).length") > 3)
        check("results")
        find("#more")[0].click()
        until(lambda: len(find("#results li")) > 60)
        many = js("const many = Array.from({length: 1000}, (_, i) => Object.assign({}, last.results[i % last.results.length], {id: i}));"
                  "fill(many, 'x'); const began = performance.now(); fill(many.reverse(), 'x'); const took = performance.now() - began;"
                  "fill(last.results, 'a wide river'); return took")
        assert many < 1500, f"a thousand results are laid out in {many} ms"
        began = time.time()
        js("window.scrollTo(0, document.body.scrollHeight)")
        js("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert time.time() - began < 2, "it scrolls without a stall"
        names = js("return [...document.querySelectorAll('#results .name')].map(n => n.textContent)")
        assert set(hostile) <= set(names), "hostile names are shown as they are"
        js("window.scrollTo(0, 0)")

        # Heat, of the sentence and of a word.
        js("const heat = document.getElementById('heat'); heat.value = 60; heat.dispatchEvent(new Event('input'))")
        until(lambda: find(".picture img.heat"))
        words = find("#parts button")
        assert [word.text for word in words] == ["wide", "river"]
        words[1].click()
        until(lambda: all("q=a%20wide%20river&word=river" in image.get_attribute("src") for image in find(".picture img.heat")))
        until(lambda: js("return [...document.querySelectorAll('img.heat')].some(i => i.complete && i.naturalWidth > 0)"))
        check("heat")

        # Like one of them; the address leads there again.
        find("#results .acts button")[0].click()
        until(lambda: "like=" in js("return location.search"))
        settled()
        here, first = browser.current_url, find("#results li")[0].get_attribute("data-id")
        browser.get(here)
        settled()
        assert find("#results li")[0].get_attribute("data-id") == first

        # Some of them, to a file.
        find(".pick")[2].click()
        assert js("return document.getElementById('picked').textContent") == "1 selected: "
        js("window.saved = null; URL.createObjectURL = blob => { blob.text().then(t => window.saved = t); return 'data:,'; }")
        find("#geojson")[0].click()
        saved = json.loads(until(lambda: js("return window.saved")))
        assert [str(f["id"]) for f in saved["features"]] == [find("#results li")[2].get_attribute("data-id")]

        # Nothing like one of them.
        ask("a river")
        first = find("#results li")[0].get_attribute("data-id")
        find("#results .acts button")[1].click()
        until(lambda: f"unlike={first}" in js("return location.search"))
        settled()
        until(lambda: first not in js("return [...document.querySelectorAll('#results li')].map(i => i.dataset.id)"))

        # Conditions from what is known.
        ask("a river")
        js("document.getElementById('conditions').open = true")
        choice = find("#choices select")[0]
        assert {option.text for option in choice.find_elements(By.TAG_NAME, "option")} == {"any", "one (20)", script + " (20)", "it's (20)"}
        js("arguments[0].selectedIndex = [...arguments[0].options].findIndex(o => o.value === \"it's\");"
           "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", choice)
        until(lambda: js("return document.getElementById('filter').value") == "sensor = 'it''s'")
        until(lambda: len(find("#results li")) == 20)
        low = find("#choices input")[0]
        low.send_keys("2015", Keys.TAB)
        until(lambda: js("return document.getElementById('filter').value").startswith("sensor = 'it''s' and year >= 2015"))
        until(lambda: 0 < len(find("#results li")) < 20)
        check("conditions")
        js("const f = document.getElementById('filter'); f.value = 'year = 1'; f.dispatchEvent(new Event('change'))")
        until(lambda: "Nothing fits" in status())
        check("nothing")
        js("const f = document.getElementById('filter'); f.value = 'year >'; f.dispatchEvent(new Event('change'))")
        until(lambda: find("#status.bad"))
        assert "expected" in status()
        check("error")

        # A place has a map, which zooms.
        js("const f = document.getElementById('filter'); f.value = \"path like '%scene.tif'\"; f.dispatchEvent(new Event('change'))")
        until(lambda: not js("return document.getElementById('map').hidden"))
        settled()
        find("#map")[0].send_keys("+")
        until(lambda: asked)
        z, x, y = map(int, asked[-1].removesuffix(".png").split("/")[1:])
        across, down = (9.0007 + 180) / 360, (1 - math.asinh(math.tan(math.radians(49.6515))) / math.pi) / 2
        assert z > 10 and abs(across * 2**z - x - 0.5) < 4 and abs(down * 2**z - y - 0.5) < 3, (asked[-1], across * 2**z, down * 2**z)
        check("map")

        # Another index, which the address names.
        def choose(number):
            js("const a = document.getElementById('archive'); a.selectedIndex = arguments[0]; a.dispatchEvent(new Event('change'))", number)
        assert [option.text for option in find("#archive option")] == [f"index ({count})", f"{second} (2)"]
        choose(1)
        until(lambda: len(find("#results li")) == 2)
        settled()
        until(lambda: js("return [...document.querySelectorAll('.picture img')].every(i => i.complete && i.naturalWidth > 0)"))
        browser.get(browser.current_url)
        until(lambda: len(find("#results li")) == 2)
        settled()
        assert js("return document.getElementById('archive').value") == second
        check("second")
        choose(0)
        until(lambda: len(find("#results li")) == 24)

        js("const f = document.getElementById('filter'); f.value = ''")
        find("#file")[0].send_keys(f"{work}/images/rgb.jpg")
        until(lambda: "q=" not in js("return location.search"))
        until(lambda: "rerank" in status() and len(find("#results li")) == 24)

        # Dark, and as narrow as a telephone.
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        check("dark")
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 720, "deviceScaleFactor": 2, "mobile": True})
        time.sleep(0.3)
        assert js("return document.documentElement.scrollWidth") <= 360, "nothing sticks out"
        check("narrow")
finally:
    browser.quit()
print("the page: sentences, pictures, heat, conditions, map, errors, keyboard, dark, narrow, hostile names, axe")
