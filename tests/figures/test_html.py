"""The page that compare writes, in a real browser."""

import html
import json
import re
import shutil
import subprocess

import pytest

from lstm_ae.compare import compare
from tests.runs.made_runs import make_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
# Stands at the page's end: uses the page as a reader would, and leaves what it saw in an attribute.
READER = """<script>
Element.prototype.setPointerCapture = () => {};  // there is no real pointer
const all = selector => [...document.querySelectorAll(selector)];
const shown = () => all("tbody tr:not(.off)").map(line => line.cells[0].textContent);
const column = name => all("th").find(head => head.textContent === name);
const seen = {ready: document.body.dataset.ready, heads: all("th").map(head => head.textContent), first: shown()};
seen.curves = all("#curves .mark").length;
seen.links = all("tbody a").map(link => link.getAttribute("href"));
seen.logarithmic = document.getElementById("curve-log").checked;
seen.points = all("#scatter .mark").length;
seen.lines = all("#parallel .mark").length;
seen.bars = all("#importances rect").length;
seen.command = document.getElementById("command").textContent;
column("val/accuracy").click(); seen.ascending = shown();
column("val/accuracy").click(); seen.descending = shown();
seen.sort = column("val/accuracy").getAttribute("aria-sort");
document.querySelector("#curves .mark").dispatchEvent(new MouseEvent("mouseenter", {clientX: 10, clientY: 10}));
seen.tip = document.getElementById("tip").textContent;
seen.hot = all("tr.hot").length;
const axis = document.querySelector('[data-axis="model.hidden_size"]'), box = axis.getBoundingClientRect();
const at = share => ({pointerId: 1, clientX: box.left + 1, clientY: box.bottom - share * box.height});
axis.dispatchEvent(new PointerEvent("pointerdown", at(0.8)));
axis.dispatchEvent(new PointerEvent("pointermove", at(1)));
axis.dispatchEvent(new PointerEvent("pointerup", at(1)));
seen.brushed = shown().sort();
seen.brushedCurves = all("#curves .mark:not(.off)").length;
axis.dispatchEvent(new PointerEvent("pointerdown", at(0.5)));
axis.dispatchEvent(new PointerEvent("pointerup", at(0.5)));
seen.unbrushed = shown().length;
const search = document.getElementById("search");
search.value = "FAILED"; search.dispatchEvent(new Event("input")); seen.found = shown();
const metric = document.getElementById("curve-metric");
metric.value = "train/loss"; metric.dispatchEvent(new Event("change"));
seen.otherLogarithmic = document.getElementById("curve-log").checked;
metric.value = "val/accuracy"; metric.dispatchEvent(new Event("change"));
seen.accuracyLogarithmic = document.getElementById("curve-log").checked;
metric.value = "train/loss"; metric.dispatchEvent(new Event("change"));
seen.other = document.querySelector("#curves svg").getAttribute("aria-label");
seen.injected = window.injected === true || all("tbody script, tbody b").length > 0;
seen.fetched = performance.getEntriesByType("resource").length;
document.body.dataset.seen = JSON.stringify(seen);
</script>"""


@pytest.fixture
def page(tmp_path):
    """The page of eight runs of a grid and one that failed with markup in its error."""
    for i in range(8):
        make_run(tmp_path / "s" / str(i), [4.0, 0.8 - 0.08 * i], hidden_size=8 * (1 + i % 2), lr=10.0 ** -(1 + i // 2))
    error = "</script><script>injected = true</script><b>bold</b> @DATA@"
    make_run(tmp_path / "s" / "8", [], status="failed", summary={"error": error})
    compare([str(tmp_path / "s"), "--html", str(tmp_path / "report.html")])
    return tmp_path / "report.html"


def test_the_page_asks_for_nothing(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert set(re.findall(r"\w+://[^\s\"'`]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"\b(src|href)\s*=|@import|url\(", text)
    assert page.stat().st_size < 100_000


def test_the_page_in_a_browser(page):
    if CHROMIUM is None:
        pytest.skip("no chromium here (Debian: apt-get install chromium)")
    page.write_text(page.read_text().replace("</body>", READER + "</body>"))
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [CHROMIUM, *FLAGS, profile, "--window-size=1300,1500", "--dump-dom", page.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    attribute = re.search(r'data-seen="([^"]*)"', dumped)
    assert attribute, "the page's script stopped on an error"
    seen = json.loads(html.unescape(attribute[1]))
    best_first = ["7", "6", "5", "4", "3", "2", "1", "0", "8"]
    assert seen["ready"] == "yes"
    assert seen["heads"][:5] == ["run", "model.hidden_size", "optimizer.lr", "val/loss", "val/accuracy"]
    assert seen["first"] == best_first
    assert (seen["curves"], seen["points"], seen["lines"], seen["bars"]) == (8, 8, 8, 2)
    assert seen["command"].startswith("python -m lstm_ae.train ")
    assert seen["links"] == [f"s/{run}/" for run in best_first]
    assert (page.parent / seen["links"][0]).is_dir()
    assert seen["logarithmic"] and seen["otherLogarithmic"]  # errors that spread far
    assert not seen["accuracyLogarithmic"]
    assert seen["ascending"] == ["0", "1", "2", "3", "4", "5", "6", "7", "8"]
    assert seen["descending"] == best_first  # what has no value stays last
    assert seen["sort"] == "descending"
    assert "optimizer.lr: 0.1" in seen["tip"]
    assert seen["hot"] == 1
    assert seen["brushed"] == ["1", "3", "5", "7"]
    assert seen["brushedCurves"] == 4
    assert seen["unbrushed"] == 9
    assert seen["found"] == ["8"]
    assert seen["other"] == "train/loss over epoch"
    assert not seen["injected"]
    assert seen["fetched"] == 0
