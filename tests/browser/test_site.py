"""The site in a real browser, from a server and as files."""

import io
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

ROOT = Path(__file__).parents[2]
THEMES = ("light", "dark")
WIDTHS = (360, 768, 1280, 1440)


@pytest.fixture(scope="module")
def pages(site) -> list[str]:
    built = [page for part in ("book", "notebooks") for page in site.glob(f"{part}/*.html")]
    found = sorted(str(page.relative_to(site)) for page in built)
    assert len(found) >= 15
    return found


class Watched:
    """A tab, and what went wrong in it."""

    def __init__(self, context, base: str):
        self.base, self.bytes = base, 0
        self.wrong: list[str] = []
        self.tab = context.new_page()
        self.tab.on("console", lambda message: self.wrong.extend([message.text] if message.type == "error" else []))
        self.tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.tab.on("requestfailed", self.fail)
        self.tab.on("request", self.check)
        self.tab.on("requestfinished", self.weigh)

    def fail(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what leaving a page cuts off
            self.wrong.append(f"failed: {request.url}: {request.failure}")

    def check(self, request) -> None:
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.wrong.append(f"foreign: {request.url}")

    def weigh(self, request) -> None:
        if request.url.startswith("http"):
            self.bytes += request.sizes()["responseBodySize"]

    def open(self, page: str) -> None:
        self.wrong.clear()
        self.bytes = 0
        self.tab.goto(f"{self.base}/{page}")
        self.tab.evaluate("document.fonts.ready.then(() => null)")

    def theme(self) -> str:
        return self.tab.evaluate("document.documentElement.dataset.theme")


@pytest.fixture(scope="module")
def context(browser):
    with browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce") as context:
        yield context


#: What moves on a page while it comes, as Lighthouse counts it.
SHIFT = """globalThis.shift = 0;
const add = (entry) => { if (!entry.hadRecentInput) shift += entry.value; };
new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({type: "layout-shift", buffered: true})"""

#: What a page's scripts put there late, where a page has them, and then the films and pictures further down.
LATE = [("[data-lab]", ".lab.built"), ("[data-generator]", ".gan-map")]
WALK = """(async () => {
  for (let y = 0; y < document.body.scrollHeight; y += innerHeight) {
    scrollTo(0, y);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
  }
  scrollTo(0, 0);
})()"""


def moved(tab) -> float:
    """How much moves on a page until all of it is there, and while its reader goes to the end."""
    for place, built in LATE:
        if tab.locator(place).count():
            tab.wait_for_selector(built)
    tab.evaluate(WALK)
    tab.wait_for_timeout(100)
    return tab.evaluate("shift")


#: Code cells that are seen but not whole, and the mean number of characters in a full line of text.
CLIPPED = """[...document.querySelectorAll(".cell_input pre")].filter(
  (pre) => pre.checkVisibility() && pre.scrollWidth > pre.clientWidth).map((pre) => pre.textContent.slice(0, 60))"""
WRAP = "how => document.querySelectorAll('.cell_input pre').forEach((pre) => { pre.style.whiteSpace = how; })"
MEASURE = """(() => {
  let characters = 0, lines = 0;
  for (const p of document.querySelectorAll("article section > p")) {
    if (p.textContent.length <= 300 || p.querySelector("math")) continue;  // a formula has other widths
    const height = parseFloat(getComputedStyle(p).lineHeight), last = Math.round(p.clientHeight / height) - 1;
    const top = p.getBoundingClientRect().top, range = document.createRange();
    const texts = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) for (let i = 0; i < texts.currentNode.length; i++) {
      range.setStart(texts.currentNode, i), range.setEnd(texts.currentNode, i + 1);
      const box = range.getBoundingClientRect();
      if ((box.top + box.bottom) / 2 < top + last * height) characters++;
    }
    lines += last;
  }
  return characters / lines; })()"""

BROKEN = """Promise.all([...document.images].map(async image => {
  image.loading = "eager";
  try { await image.decode() } catch { return image.src.slice(0, 100) }
})).then(found => found.filter(Boolean))"""


@pytest.fixture(scope="module")
def seen(context, server, pages) -> dict[str, dict]:
    """What there is to see on each page; every page is loaded once from the server."""
    watched, found = Watched(context, server), {}
    tab = watched.tab
    tab.add_init_script(SHIFT)
    for page in pages:
        watched.open(page)
        shift = moved(tab)
        found[page] = {
            "broken": tab.evaluate(BROKEN),
            "wrong": list(watched.wrong),
            "bytes": watched.bytes,
            "interactive": tab.evaluate("performance.getEntriesByType('navigation')[0].domInteractive"),
            "anchors": set(tab.evaluate("[...document.querySelectorAll('[id]')].map(node => node.id)")),
            "links": set(tab.evaluate("[...document.links].map(link => link.href)")),
            "shift": shift,
            "wider": {},
            "clipped": {},
        }
        for width in WIDTHS:
            tab.set_viewport_size({"width": width, "height": 900})
            tab.evaluate(WRAP, "pre")
            found[page]["clipped"][width] = tab.evaluate(CLIPPED)
            tab.evaluate(WRAP, "")
            found[page]["wider"][width] = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        for theme in THEMES:
            tab.emulate_media(color_scheme=theme)
            tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
            # all rules in the light; in the dark those that look at colors. Code has thousands of colored words, the
            # same colors on every page: one page's are enough
            found[page][theme] = hindrances(
                tab,
                {"runOnly": ["color-contrast", "link-in-text-block"]} if theme == "dark" else {},
                without=None if page.endswith("06_training.html") else {"exclude": [["div.highlight pre"]]},
            )
    tab.close()
    return found


def hindrances(tab, options: Mapping = MappingProxyType({}), without: Mapping | None = None) -> list[str]:
    """What axe-core finds serious or critical, except in the elements of ``without``."""
    tab.evaluate("Promise.all(document.getAnimations().map(animation => animation.finish()))")
    violations = Axe().run(tab, without, {"resultTypes": ["violations"], **options}).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def test_pages_load_whole_and_ask_no_other_host(seen):
    assert {
        page: there["wrong"] + there["broken"] for page, there in seen.items() if there["wrong"] + there["broken"]
    } == {}


def test_pages_are_light_and_soon_ready(seen, context, server):
    for page, there in seen.items():
        assert there["bytes"] < (1.5e6 if page == "book/index.html" else 5e6), (page, there["bytes"])
        times = [there["interactive"]]
        while min(times) >= 2000 and len(times) < 4:  # a machine with other work is late now and then, a page always
            watched = Watched(context, server)
            watched.open(page)
            times.append(watched.tab.evaluate("performance.getEntriesByType('navigation')[0].domInteractive"))
            watched.tab.close()
        assert min(times) < 2000, (page, times)


def test_pages_load_whole_as_files(context, site, pages):
    watched = Watched(context, site.as_uri())
    for page in pages:
        watched.open(page)
        assert watched.tab.evaluate(BROKEN) == [], page
        assert watched.wrong == [], page
    watched.tab.close()


def test_links_within_the_site_resolve(seen, server, site):
    inside = [(page, link) for page in seen for link in seen[page]["links"] if link.startswith(server)]
    assert len(inside) > 300
    for page, link in inside:
        address, _, anchor = urllib.parse.unquote(link).partition("#")
        path = urllib.parse.urlparse(address).path.lstrip("/")
        assert (site / path).is_file(), (page, link)
        if anchor and path in seen and not anchor.startswith("preset="):  # a story of the lab
            assert anchor in seen[path]["anchors"], (page, link)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(seen, width):
    assert {page: there["wider"][width] for page, there in seen.items() if there["wider"][width] > 0} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_no_serious_hindrance_to_access(seen, theme):
    found = [f"{page}: {what}" for page in seen for what in seen[page][theme]]
    assert not found, "\n".join(found[:30])


def test_little_moves_while_a_page_comes(seen, browser, server, pages):
    assert {page: there["shift"] for page, there in seen.items() if there["shift"] > 0.05} == {}
    with browser.new_context(viewport={"width": 390, "height": 844}, device_scale_factor=2) as phone:
        tab = phone.new_page()
        tab.add_init_script(SHIFT)
        found = {}
        for page in pages:
            tab.goto(f"{server}/{page}", wait_until="load")
            found[page] = moved(tab)
    assert {page: shift for page, shift in found.items() if shift > 0.05} == {}


def test_code_is_seen_whole_on_a_laptop(seen):
    """Without the wrapping that the style sheet would do."""
    for width in (1280, 1440):
        assert {page: there["clipped"][width] for page, there in seen.items() if there["clipped"][width]} == {}


def test_wide_figures_scroll_on_a_phone_and_the_page_does_not(browser, server):
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        tab = context.new_page()
        tab.goto(f"{server}/notebooks/05_losses.html")
        wide = "[...document.querySelectorAll('.cell_output .wide')].map((box) => [box.clientWidth, box.scrollWidth])"
        found = tab.evaluate(wide)
        assert len(found) > 2 and all(seen < 390 and whole >= 576 for seen, whole in found)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.set_viewport_size({"width": 1280, "height": 900})
        assert all(seen == whole for seen, whole in tab.evaluate(wide))


def styles(tab, selector: str, *names: str) -> list[str]:
    script = "([selector, names]) => names.map((name) => getComputedStyle(document.querySelector(selector))[name])"
    return tab.evaluate(script, [selector, names])


@pytest.mark.parametrize(("theme", "ground", "gray"), [("light", 255, 246), ("dark", 24, 34)])
def test_the_book_s_style_takes_effect(browser, server, theme, ground, gray):
    """A rule that the theme overrules does not show in the sheet, only here."""
    with browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme) as context:
        tab = context.new_page()
        for page in ("book/running", "notebooks/08_measuring", "notebooks/05_losses"):
            tab.goto(f"{server}/{page}.html")
            assert 70 <= tab.evaluate(MEASURE) <= 75, page
        assert styles(tab, "html", "fontSize") == ["16px"]
        family, size, height = styles(tab, "article section > p", "fontFamily", "fontSize", "lineHeight")
        assert family.startswith('"Source Serif 4"') and float(size[:-2]) == 18 and float(height[:-2]) == 28.8
        assert styles(tab, "article h2", "fontFamily")[0].startswith('"Source Sans 3"')
        size, height = styles(tab, ".cell_input pre", "fontSize", "lineHeight")
        assert float(height[:-2]) == 1.5 * float(size[:-2]) == 19.5

        def level(selector: str) -> int:
            return int(re.search(r"rgb\((\d+)", styles(tab, selector, "backgroundColor")[0])[1])  # type: ignore[index]

        assert level("body") == ground and level(".cell_input .highlight") == gray
        assert styles(tab, "details.answer", "boxShadow", "borderLeftWidth", "borderTopWidth") == ["none", "2px", "0px"]
        assert styles(tab, "math", "fontFamily")[0].startswith('"STIX Two Math"')
        turned = "none" if theme == "light" else "invert(0.898) hue-rotate(180deg)"
        assert styles(tab, ".cell_output img", "filter") == [turned]


@pytest.mark.parametrize(("width", "beside"), [(1440, True), (1280, True), (900, False), (390, False)])
def test_notes_stand_in_the_margin_where_there_is_one(browser, server, width, beside):
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        tab = context.new_page()
        tab.goto(f"{server}/notebooks/03_data.html")
        notes = tab.locator(".admonition", has_text="Coming from PyTorch")
        assert notes.count() == 2
        text = tab.locator("article section > p").first.bounding_box()
        for note in notes.all():
            note.evaluate("note => note.scrollIntoView({block: 'center'})")
            tab.wait_for_timeout(500)  # the outline steps aside
            box = note.bounding_box()
            assert (box["x"] >= text["x"] + text["width"]) == beside
            assert box["x"] + box["width"] <= width
            middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
            assert note.evaluate("(note, middle) => note.contains(document.elementFromPoint(...middle))", middle)


@pytest.mark.parametrize("theme", THEMES)
def test_first_view_has_the_system_s_scheme(browser, server, theme):
    with browser.new_context(color_scheme=theme) as context:
        tab = context.new_page()
        tab.route("**/*.js", lambda route: route.abort())  # as if they had not come yet
        tab.goto(f"{server}/notebooks/05_losses.html")
        assert tab.evaluate("document.documentElement.dataset.theme") == theme
        assert tab.locator("img.logo__image:visible").count() == 1


def test_first_view_is_right_without_javascript(browser, server):
    with browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}) as context:
        tab = context.new_page()
        for page in ("book/index.html", "notebooks/05_losses.html"):
            tab.goto(f"{server}/{page}")
            assert tab.locator("html").get_attribute("data-theme") == "light"
            assert tab.locator("img.logo__image:visible").count() == 1
            assert tab.locator("article h1").is_visible()
            assert tab.locator("button:visible").count() <= 2  # no search and no scheme that would not answer
        assert tab.locator("math").first.bounding_box()["width"] > 5


def test_without_javascript_a_dark_system_has_a_dark_page(browser, server):
    with browser.new_context(
        java_script_enabled=False, color_scheme="dark", viewport={"width": 1280, "height": 900}
    ) as context:
        tab = context.new_page()
        tab.goto(f"{server}/notebooks/05_losses.html")

        def level(picture: bytes) -> float:
            with Image.open(io.BytesIO(picture)) as shot:
                return float(np.median(np.asarray(shot.convert("L"))))

        assert level(tab.screenshot()) < 60
        figure = tab.locator(".cell_output img").first
        figure.scroll_into_view_if_needed()
        assert level(figure.screenshot()) < 60, "turned over once, not twice"


def test_the_lab_has_its_notes_beside_it_where_there_is_room(browser, server):
    for width, beside in ((1440, True), (390, False)):
        with browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce") as context:
            tab = context.new_page()
            tab.goto(f"{server}/book/lab.html")
            tab.wait_for_selector(".lab.built .lab-notes")
            notes, plane = tab.locator(".lab-notes").bounding_box(), tab.locator(".lab-stage").bounding_box()
            assert (notes["x"] >= plane["x"] + plane["width"]) == beside
            after = tab.locator("h2", has_text="How often").bounding_box()["y"]
            assert notes["y"] + notes["height"] < after
            texts = tab.locator(".lab-notes p").all_inner_texts()
            assert [len(re.findall(r"[.?!](?= |$)", text)) for text in texts] == [2, 2, 2]


def test_keys_turn_pages_but_not_from_within_code(context, server):
    tab = context.new_page()
    tab.goto(f"{server}/notebooks/05_losses.html")
    code = tab.locator(".cell_input pre:visible").first
    code.evaluate("pre => { pre.tabIndex = 0; pre.focus() }")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_timeout(100)
    assert tab.url.endswith("05_losses.html")
    code.evaluate("pre => pre.blur()")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url("**/notebooks/06_training.html")
    tab.close()


def test_a_dark_page_prints_light_and_whole(browser, server):
    with browser.new_context(color_scheme="dark", viewport={"width": 700, "height": 900}) as context:
        tab = context.new_page()
        tab.goto(f"{server}/notebooks/05_losses.html")
        tab.emulate_media(media="print", color_scheme="dark")
        assert styles(tab, "body", "backgroundColor", "color") == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
        assert tab.evaluate(CLIPPED) == []
        assert styles(tab, ".cell_input pre", "whiteSpaceCollapse", "textWrapMode") == ["preserve", "wrap"]
        assert styles(tab, ".cell_output img", "filter") == ["none"]
        assert tab.locator(".bd-sidebar-primary:visible, .bd-header-article:visible, .copybtn:visible").count() == 0
        assert tab.locator("article h1").is_visible()
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        answer = tab.locator("details.answer").first
        assert answer.locator("p").first.is_visible(), "nothing unfolds on paper"
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        assert not answer.locator("p").first.is_visible()
        darkest = """[...document.querySelectorAll(".highlight span")].map((node) => getComputedStyle(node).color)
            .map((color) => Math.max(...color.match(/\\d+/g).slice(0, 3).map(Number)))"""
        assert max(tab.evaluate(darkest)) < 200


def test_what_needs_the_light_theme_has_it_on_paper(browser, server):
    ink = """selector => { const c = document.querySelector(selector), at = c.getContext("2d").getImageData(9, 9, 1, 1);
        return Math.max(...at.data.slice(0, 3)); }"""
    with browser.new_context(color_scheme="dark", viewport={"width": 700, "height": 900}) as context:
        tab = context.new_page()
        tab.goto(f"{server}/book/lab.html")
        tab.wait_for_function("document.querySelector('[data-lab]').lab?.frames > 0")
        assert tab.evaluate(ink, ".lab-plane") < 130
        tab.emulate_media(media="print", color_scheme="dark")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert float(styles(tab, "table.table", "borderTopWidth")[0][:-2]) >= 1
        assert tab.evaluate(ink, ".lab-plane") > 200
        assert tab.locator(".lab button:visible").count() == 0
        tab.evaluate("dispatchEvent(new Event('afterprint'))")
        assert tab.evaluate(ink, ".lab-plane") < 130
        tab.goto(f"{server}/book/generator.html")
        tab.wait_for_selector(".gan-map")
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert styles(tab, ".gan-picture", "filter") == ["none"]
        tab.emulate_media(media="print", color_scheme="dark")
        empty = """[...document.querySelectorAll("[data-generator]")].filter((part) => part.clientHeight >
            [...part.children].reduce((sum, child) => sum + child.getBoundingClientRect().height, 32))"""
        assert tab.evaluate(f"{empty}.map((part) => part.dataset.generator)") == [], "no empty frames"


#: What somebody may look for, and the page that explains it.
TERMS = {
    "batch norm": "09_convolutions",
    "mode collapse": "06_training",
    "transposed convolution": "09_convolutions",
    "lazy evaluation": "02_mlx",
    "minimax": "05_losses",
    "softplus": "01_first_gan",
    "Jensen-Shannon": "05_losses",
    "moving average": "06_training",
    "projection discriminator": "12_conditional",
    "gradient penalty": "11_stability",
    "precision and recall": "08_measuring",
    "FID": "08_measuring",
    "DCGAN": "09_convolutions",
    "discriminator": "04_models",
    "mx.eval": "02_mlx",
    "compile": "02_mlx",
    "diffusion": "15_gans_today",
    "label smoothing": "11_stability",
    "learning rates": "05_losses",
    "minibatch standard deviation": "09_convolutions",
    "EMA": "06_training",
}


@pytest.mark.parametrize("how", ["server", "files"])
def test_search_comes_with_its_dialog_and_finds_what_explains_a_term(context, server, site, how):
    watched = Watched(context, server if how == "server" else site.as_uri())
    asked: list[str] = []
    watched.tab.on("request", lambda request: asked.append(request.url))
    watched.open("notebooks/06_training.html")
    assert not [url for url in asked if "search" in url]
    watched.tab.keyboard.press("Control+k")
    field = watched.tab.locator("dialog input[type=search]")
    for term, page in TERMS.items():
        field.fill(term)
        hit = watched.tab.locator(".search-hits a").first
        hit.wait_for()
        assert f"/{page}.html" in hit.evaluate("link => link.href"), (term, hit.inner_text())
        excerpt = hit.locator("p").inner_text()
        assert len(excerpt) > 60 and not re.search(r"import |= mx\.|\n", excerpt), (term, excerpt)
    field.fill("minimax")
    field.press("Enter")
    watched.tab.wait_for_url(re.compile(r"05_losses\.html"))
    assert "minimax" in watched.tab.locator("article").inner_text().lower()
    assert watched.wrong == []
    watched.tab.close()


def test_search_is_used_with_the_keyboard_and_says_what_it_found(context, server):
    tab = context.new_page()
    tab.goto(f"{server}/book/index.html")
    tab.keyboard.press("Control+k")
    field = tab.locator("dialog input[type=search]")
    icon, box = tab.locator("dialog .fa-magnifying-glass").bounding_box(), field.bounding_box()
    padding = float(field.evaluate("field => parseFloat(getComputedStyle(field).paddingLeft)"))
    assert icon["x"] + icon["width"] <= box["x"] + padding, "the icon stands before what is typed"
    field.fill("generator")
    tab.locator(".search-hits a").first.wait_for()
    assert re.search(r"\d+ of \d+ sections", tab.locator(".search-said[role=status]").inner_text())
    assert hindrances(tab) == []
    field.press("ArrowDown")
    tab.keyboard.press("ArrowDown")
    assert tab.locator(".search-hits a").nth(1).evaluate("link => link === document.activeElement")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    assert field.evaluate("field => field === document.activeElement")
    field.fill("xyzzyplugh")
    tab.locator(".search-said", has_text="Nothing found").wait_for()
    tab.close()


@pytest.mark.parametrize("how", ["server", "files"])
def test_dark_mode_switches_and_holds_on_the_next_page(browser, server, site, how):
    with browser.new_context(color_scheme="light") as context:
        watched = Watched(context, server if how == "server" else site.as_uri())
        watched.open("book/running.html")
        for _ in range(3):  # automatic, light, dark
            if watched.theme() == "dark":
                break
            watched.tab.locator(".theme-switch-button:visible").first.click()
        assert watched.theme() == "dark"
        watched.tab.wait_for_timeout(500)  # the next file's process learns of the choice a moment later
        watched.tab.locator(".prev-next-footer a.right-next").click()
        watched.tab.wait_for_load_state()
        assert watched.tab.url.endswith("pytorch.html")
        assert watched.theme() == "dark"
        background = watched.tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", background)[:3])) < 64


def test_film_starts_when_it_is_seen_stops_and_can_be_dragged(browser, server):
    with browser.new_context(reduced_motion="no-preference", viewport={"width": 1280, "height": 220}) as context:
        tab = context.new_page()
        tab.goto(f"{server}/book/index.html")
        film = tab.locator(".film")
        tab.wait_for_timeout(300)
        assert film.get_by_role("button", name="play").count() == 1, "it is not seen yet"
        tab.set_viewport_size({"width": 1280, "height": 900})
        film.get_by_role("button", name="pause").click()
        film.get_by_role("slider").fill("0")
        assert film.locator("output").inner_text() == "epoch 0"
        first = film.locator(".film-cells").screenshot()
        film.get_by_role("slider").press("End")
        assert film.locator(".film-cells").screenshot() != first
        film.get_by_role("button", name="play").click()
        film.get_by_role("button", name="pause").wait_for()
    with browser.new_context(reduced_motion="reduce") as context:
        tab = context.new_page()
        tab.goto(f"{server}/book/index.html")
        tab.wait_for_timeout(300)
        assert tab.locator(".film").get_by_role("button", name="play").count() == 1


def test_the_landing_page_leads_to_the_first_chapter(context, server):
    tab = context.new_page()
    tab.goto(f"{server}/book/index.html")
    start = tab.get_by_role("link", name="Start with a GAN in one page")
    assert start.bounding_box()["y"] < 700
    start.click()
    tab.wait_for_url("**/notebooks/01_first_gan.html")
    tab.close()


def test_the_game_counts_what_was_guessed_and_reveals_the_truth(context, server):
    with Image.open(ROOT / "book" / "_static" / "game.png") as sheet:
        real = sheet.text["real"]
        ink = np.array(sheet.getchannel("A"), int)
    tiles = ink.reshape(6, 28, 10, 28).swapaxes(1, 2).reshape(60, 28, 28)
    assert (np.minimum(tiles[:, :2].max((1, 2)), tiles[:, -2:].max((1, 2))) < 40).all(), "all are on white paper"
    assert len(real) == 60 and real.count("1") == 30
    assert len(set(re.findall("1+|0+", real))) > 4, "not sorted"
    tab = context.new_page()
    tab.goto(f"{server}/book/index.html")
    game = tab.locator(".game")
    shown = "span => [span.style.getPropertyValue('--column'), span.style.getPropertyValue('--row')]"
    for round_ in range(2):
        truths = []
        for turn in range(10):
            assert f"Digit {turn + 1} of 10" in game.get_by_role("status").inner_text()
            column, row = (float(part) for part in game.locator(".game-digit").evaluate(shown))
            truths.append(real[round(10 * row * (len(real) // 10 - 1) + 9 * column)])
            if round_ and turn == 0:
                continue_with = game.get_by_role("button", name="Real", exact=True)
                continue_with.focus()
                tab.keyboard.press("Enter")
            else:
                game.get_by_role("button", name="Real", exact=True).click()
        right = truths.count("1")
        assert f"{right} of 10 right" in game.get_by_role("status").inner_text()
        told = [item.get_attribute("aria-label") for item in game.locator("li").all()]
        names = {"1": "real", "0": "generated"}
        assert told == [f"Digit {k + 1} is {names[truth]}. You said real." for k, truth in enumerate(truths)]
        assert hindrances(tab) == []
        again = game.get_by_role("button", name="Play again")
        assert again.evaluate("button => button === document.activeElement")
        again.press("Enter")
    tab.close()


def test_missing_page_has_its_style_at_any_depth(context, server):
    tab = context.new_page()
    tab.goto(f"{server}/no/such/page")
    assert tab.locator("h1").last.inner_text() == "No such page"
    assert all(tab.locator("h1").all_inner_texts()), "no heading is empty"
    assert hindrances(tab) == []
    assert tab.evaluate("getComputedStyle(document.body).fontFamily").startswith('"Source Serif')
    tab.locator("nav a", has_text="MLX in a quarter of an hour").first.click()
    tab.wait_for_url("**/notebooks/02_mlx.html")
    tab.close()
