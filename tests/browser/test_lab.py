"""The lab: it computes what MLX computes, its stories end as they should, and everybody can use it.

The page is put together from the HTML in book/lab.md and opened as a file, so the book need not be built.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import export_lab
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
LAB = "document.querySelector('[data-lab]').lab"
WRITTEN = "location.hash === ganLabPresets().write(lab.settings)"  # it is a moment late
HEAD = """<!DOCTYPE html><html lang="en" data-theme="light"><meta charset="utf-8"><title>The lab</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="../_static/book.css">
<style>body { background: var(--pst-color-background); color: var(--pst-color-text-base) }
a { color: var(--pst-color-link) }</style>
<main><h1>The lab</h1><h2>Digits</h2>"""
SMALL = '<div data-lab data-preset="collapse" data-compact></div><script src="../_static/lab/lab.js" defer></script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Pages with the whole lab and with a small one, as files beside the book's static files."""
    base = tmp_path_factory.mktemp("lab")
    for name in ("lab", "fonts"):
        shutil.copytree(ROOT / "book" / "_static" / name, base / "_static" / name)
    shutil.copy(ROOT / "book" / "_static" / "book.css", base / "_static")
    (base / "book").mkdir()
    raw = re.findall(r"```\{raw\} html\n(.*?)```", (ROOT / "book" / "lab.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(raw) == 2
    (base / "book" / "lab.html").write_text(HEAD + "".join(raw), encoding="utf-8")
    (base / "book" / "small.html").write_text(HEAD + SMALL, encoding="utf-8")
    return base


def opened(browser: Browser, folder: Path, where: str = "", name: str = "lab", script: str = "", **options) -> Page:
    """The lab in a tab of its own; a fault in it fails the test that closes it with :func:`close`."""
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 1000}} | options).new_page()
    page.set_default_timeout(20_000)
    page.wrong = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.wrong.append(str(error)))  # type: ignore[attr-defined, call-overload]
    if script:
        page.add_init_script(script)
    page.goto((folder / "book" / f"{name}.html").as_uri() + where)
    if options.get("java_script_enabled", True):
        page.wait_for_function(f"{LAB}?.frames > 0")
    return page


def close(page: Page) -> None:
    wrong = page.wrong  # type: ignore[attr-defined]
    page.context.close()
    assert wrong == []


@pytest.fixture
def still(browser, folder) -> Iterator[Page]:
    """The lab, paused, because its reader wants no motion."""
    page = opened(browser, folder, reduced_motion="reduce")
    yield page
    close(page)


def lab(page: Page, what: str):
    return page.evaluate(f"{LAB}.{what}")


def until(page: Page, what: str, timeout: float = 20_000) -> None:
    page.wait_for_function(f"(lab => {what})({LAB})", timeout=timeout)


def pixels(page: Page, selector: str) -> str:
    return page.locator(selector).first.evaluate("canvas => canvas.toDataURL()")


# What it computes

COMPUTE = """([sizes, squash, loss, r1, n, steps]) => {
  const E = ganLabEngine(), random = E.uniforms(10), nets = {};
  const round = (a) => a.forEach((v, i) => { a[i] = Math.fround(v); });
  nets.G = E.network(sizes.G, squash, random);
  nets.D = E.network(sizes.D, false, random);
  const { G, D } = nets, x = E.noise(n, sizes.D[0], random), z = E.noise(n, sizes.G[0], random), rate = 0.0005;
  for (const array of [G.values, D.values, x, z]) round(array);
  const row = (a, i) => Array.from(a.slice(i * a.length / n, (i + 1) * a.length / n));
  const rows = (a) => Array.from({ length: n }, (_, i) => row(a, i));
  const one = (net) => ({ sizes: net.sizes, values: Array.from(net.values) });
  const given = { G: one(G), D: one(D), squash, loss, r1, rate, x: rows(x), z: rows(z) };
  const fakes = () => E.forward(G, z, n).at(-1).slice(), found = {};
  found.loss_d = E.lossOfD(D, x, fakes(), n, loss, r1).loss;
  found.gradient_d = Array.from(D.gradient);
  found.loss_g = E.lossOfG(G, D, z, n, loss).loss;
  found.gradient_g = Array.from(G.gradient);
  for (let i = 0; i < steps; i++) {
    E.lossOfD(D, x, fakes(), n, loss, r1); E.adam(D, rate);
    E.lossOfG(G, D, z, n, loss); E.adam(G, rate);
  }
  return [given, { ...found, D: Array.from(D.values), G: Array.from(G.values) }];
}"""
PLANE = {"G": [2, 64, 64, 2], "D": [2, 64, 64, 1]}
ODD = {"G": [5, 18, 23, 36], "D": [36, 23, 18, 1]}  # sizes that no block of two or four divides
DIGITS = {"G": [32, 128, 256, 196], "D": [196, 256, 128, 1]}
CASES = [
    (sizes, loss, r1)
    for sizes in ("plane", "odd")
    for loss in ("ns", "saturating", "hinge", "wasserstein")
    for r1 in (0, 0.3)
]


@pytest.mark.parametrize(("sizes", "loss", "r1"), [*CASES, ("digits", "ns", 1)])
def test_losses_gradients_and_adam_are_those_of_mlx(engine, sizes, loss, r1):
    """One step in float32, as MLX usually computes, and twenty in float64, as :func:`export_lab.reference` explains."""
    tasks = {"plane": (PLANE, False), "odd": (ODD, True), "digits": (DIGITS, True)}
    given, found = engine.evaluate(COMPUTE, [*tasks[sizes], loss, r1, 33, 20])
    wanted, after = export_lab.reference(given, 0), export_lab.reference(given, 20, double=True)
    for name in ("loss_d", "loss_g", "gradient_d", "gradient_g"):
        assert error(found[name], wanted[name]) < 1e-5, name
    for name in ("D", "G"):
        assert error(found[name], after[name]) < 1e-4, name
        assert error(given[name]["values"], after[name]) > 5e-3, "the weights have moved"


def test_the_cases_have_the_sizes_of_the_lab(engine):
    tasks = engine.evaluate("() => ganLabEngine().TASKS")
    assert {key: tasks["plane"][key] for key in PLANE} == PLANE
    assert {key: tasks["digits"][key] for key in DIGITS} == DIGITS


def error(found, wanted) -> float:
    """The largest deviation as a fraction of the largest number."""
    return float(np.abs(np.subtract(found, wanted)).max() / np.abs(wanted).max())


@pytest.fixture(scope="module")
def engine(browser, folder) -> Iterator[Page]:
    page = opened(browser, folder, reduced_motion="reduce")
    yield page
    close(page)


def test_the_digits_of_the_page_are_those_of_the_file(engine):
    script = (ROOT / "book" / "_static" / "lab" / "digits.js").read_text(encoding="utf-8")
    engine.add_script_tag(content=script)
    found = engine.evaluate(
        "(() => { const one = ganLabEngine().unpack(ganLabDigits); return Array.from(one(1234)) })()"
    )
    wanted = np.pad(export_lab.unpack(script)[1234] / 7.5 - 1, 1, constant_values=-1)
    assert np.allclose(np.reshape(found, (14, 14)), wanted)


# What it shows

PLAY = """([name, steps]) => {
  const { settings } = ganLabPresets().PRESETS[name], game = ganLabEngine().game("plane", { ...settings }), modes = [];
  while (game.step < steps) {
    for (let i = 0; i < 100; i++) for (const who of "d".repeat(settings.moves) + "g") game.move(who);
    modes.push(game.observe("").modes);
  }
  return modes;
}"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "steps", "ends"),
    [
        ("healthy", 1800, lambda modes: 8 in modes),  # 30 seconds at 60 steps a second
        ("collapse", 600, lambda modes: max(modes) <= 2),
        ("wins", 300, lambda modes: max(modes) == 0),
        ("swings", 1000, lambda modes: max(modes[2:]) <= 3),
        ("swings-cure", 1200, lambda modes: 8 in modes),
    ],
)
def test_stories_end_as_they_say(engine, preset, steps, ends):
    """In steps, not in seconds, from the seed that a reader sees first."""
    modes = engine.evaluate(PLAY, [preset, steps])
    assert ends(modes), modes


def test_stored_runs_end_as_the_stories_say():
    """From every seed; a run has one count for each hundred steps."""
    stored = json.loads(export_lab.RAW.read_text(encoding="utf-8"))["stories"]
    runs = {name: np.array(list(story["modes"].values())) for name, story in stored.items()}
    assert (runs["healthy"][:, :18] == 8).any(axis=1).all()
    assert runs["collapse"].max() <= 3 and runs["collapse"][:, -1].max() <= 2
    assert runs["wins"][:, :15].max() == 0
    assert runs["swings"].max() <= 2
    for cure, least in (("collapse-cure", 7), ("wins-cure", 3), ("swings-cure", 8)):
        assert runs[cure][:, -1].min() >= least, cure


def test_the_table_is_that_of_the_stored_runs_and_these_of_the_presets(engine):
    raw = json.loads(export_lab.RAW.read_text(encoding="utf-8"))
    assert raw["engine"] == export_lab.engine_digest(), "engine.js has changed: run tools/export_lab.py stories"
    stored = raw["stories"]
    presets = engine.evaluate("() => ganLabPresets().PRESETS")
    assert list(stored) == list(presets)
    for name, preset in presets.items():
        assert stored[name]["settings"] == preset["settings"], f"{name}: run tools/export_lab.py stories"
        assert list(stored[name]["modes"]) == [str(seed) for seed in range(1, export_lab.SEEDS + 1)]
    assert export_lab.TABLE.read_text(encoding="utf-8") == export_lab.table(stored)


# Lower quartiles of short pieces of work: other work on the machine hardly changes them, but what is done in a second.
WORKER = """() => {
  const game = ganLabEngine().game("plane", { ...ganLabPresets().HEALTHY });
  const quick = (work) => {
    const times = Array.from({ length: 41 }, () => {
      const start = performance.now();
      work();
      return performance.now() - start;
    });
    return times.sort((a, b) => a - b)[10];
  };
  const step = () => { game.move("d"); game.move("g"); };
  return [step, () => game.observe("dg", false), () => game.observe("dg", true)].map(quick);
}"""
TIMED = """
  window.drawn = [];
  const request = window.requestAnimationFrame.bind(window);
  const frames = () => document.querySelector("[data-lab]")?.lab?.frames;
  window.requestAnimationFrame = (draw) => request((time) => {
    const start = performance.now(), before = frames();
    draw(time);
    if (before > 0 && frames() > before) window.drawn.push(performance.now() - start);
  });
"""


@pytest.mark.slow
def test_it_has_time_for_sixty_steps_and_thirty_frames_a_second(engine, browser, folder):
    """In a second the worker makes 60 steps, of which the page sees 30, four of them in detail.

    That takes a third of a second on the two cores of the book, and half of one beside a lot of other work, so that a
    whole second is there on the slower cores of CI. Where a core is faster, nothing may take too long beside a step.
    """
    for _ in range(5):  # other work on the machine may take the processor away for a while
        step, seen, detail = engine.evaluate(WORKER)
        second = 30 * step + 26 * seen + 4 * detail
        if second < min(1000, 200 * step):
            break
        engine.wait_for_timeout(500)
    page = opened(browser, folder, script=TIMED)
    page.wait_for_function("window.drawn.length > 40")
    draw = np.quantile(page.evaluate("window.drawn"), 0.25)
    print(f"a step {step:.1f} ms, one that is seen {seen:.1f}, in detail {detail:.1f}; drawing it {draw:.1f} ms")
    assert second < 1000 and second < 200 * step
    assert 30 * draw < 1000 and 30 * draw < 200 * step
    close(page)


PLAYED = """async () => {
  const { lab } = document.querySelector("[data-lab]"), now = () => [lab.step, lab.frames, performance.now() / 1000];
  const before = now();
  await new Promise((done) => setTimeout(done, 3000));
  const [steps, frames, seconds] = now().map((value, i) => value - before[i]);
  return [steps / seconds, frames / seconds];
}"""


@pytest.mark.slow
def test_it_plays_at_sixty_steps_and_thirty_frames_a_second(browser, folder):
    """All at once, for three seconds, in the best of some tries.

    The engine sends 31 to 35 frames, of which other work on the machine, such as the other tests, delays a few.
    """
    page = opened(browser, folder)
    until(page, "lab.step > 20")
    steps = frames = 0.0
    for _ in range(20):
        if steps >= 60 and frames >= 27:
            break
        steps, frames = page.evaluate(PLAYED)
    print(f"{steps:.0f} steps and {frames:.0f} frames a second")
    close(page)
    assert steps >= 60 and frames >= 27


def test_the_first_five_minutes(still):
    """One button leads from the healthy run to a collapse, and on to its cure; nothing else has to be found."""
    onward, words = still.locator(".lab-guide .primary"), still.locator(".lab-guide p")
    assert words.inner_text().startswith("Healthy.")
    for said, then in (("Mode collapse.", "Cure it"), ("Mode collapse, cured.", "Next")):
        onward.click()
        assert words.inner_text().startswith(said) and onward.inner_text().startswith(then)
        until(still, "lab.playing && lab.step > 0")
    assert still.get_by_role("button", name="Mode collapse", exact=True).get_attribute("aria-pressed") == "true"
    still.get_by_role("button", name="Once more without the cure").click()
    assert words.inner_text().startswith("Mode collapse.")
    assert "healthy: 0.001" in still.locator(".lab-slider").first.inner_text(), "what the story changed is marked"


def test_every_cure_changes_one_thing(still):
    presets = still.evaluate("() => ganLabPresets().PRESETS")
    cures = [name for name in presets if name.endswith("-cure")]
    assert len(cures) == 3
    for name in cures:
        story, cure = presets[name.removesuffix("-cure")]["settings"], presets[name]["settings"]
        assert sum(story[key] != cure[key] for key in story) == 1
        assert presets[name]["note"].startswith("The same start")


def test_everything_is_reached_from_the_first_story(still):
    presets = still.evaluate("() => ganLabPresets().PRESETS")
    name, seen = "healthy", []
    while name not in seen:
        seen.append(name)
        name = presets[name]["next"]
    assert sorted(seen) == sorted(presets)


def test_single_moves_change_one_network(still):
    assert lab(still, "step") == 0
    surface = pixels(still, ".lab-plane")
    still.get_by_role("button", name="Discriminator", exact=True).click()
    until(still, "lab.lossD > 0")
    assert lab(still, "step") == 0
    status = still.locator("[role=status]").first
    assert "Discriminator: its logit changed" in status.inner_text()
    assert pixels(still, ".lab-plane") != surface
    still.get_by_role("button", name="Generator", exact=True).click()
    until(still, "lab.step === 1")
    moved = "document.querySelector('[role=status]').textContent.startsWith('Generator: its points moved')"
    still.wait_for_function(moved)
    assert re.search(r"cover \d of 8 clusters", status.inner_text())
    assert "1.6" in still.locator(".lab-plane").get_attribute("aria-label")


def test_slow_motion_makes_one_move_at_a_time(browser, folder):
    page = opened(browser, folder)
    page.get_by_label("Slow motion").check()
    page.wait_for_timeout(300)
    start = lab(page, "step")
    page.wait_for_timeout(3500)
    assert lab(page, "playing") and start < lab(page, "step") <= start + 2
    page.get_by_role("button", name="Pause").click()
    close(page)


def test_the_address_holds_the_settings(browser, folder):
    where = "#preset=collapse&data=grid&loss=hinge&r1=1&moves=3&seed=7"
    first = opened(browser, folder, where, reduced_motion="reduce")
    assert lab(first, "settings")["data"] == "grid" and lab(first, "parts") == 25
    first.get_by_label("Learning rate of the generator").press("ArrowRight")
    until(first, WRITTEN)
    address = first.evaluate("location.hash")
    for part in ("loss=hinge", "r1=1", "moves=3", "seed=7", "d=0.02", "g=0.0002"):
        assert part in address
    second = opened(browser, folder, address, reduced_motion="reduce")
    assert lab(second, "settings") | {"points": []} == lab(first, "settings") | {"points": []}
    assert not second.get_by_label("Slow motion").is_checked()
    second.get_by_label("Slow motion").check()
    second.wait_for_function("location.hash.endsWith('&slow=1')")
    third = opened(browser, folder, second.evaluate("location.hash"), reduced_motion="reduce")
    assert third.get_by_label("Slow motion").is_checked()
    close(third)
    second.evaluate("location.hash = '#preset=wins'")
    until(second, "lab.settings.loss === 'saturating'")
    assert not second.get_by_label("Slow motion").is_checked()
    close(first)
    close(second)


def test_an_address_that_makes_no_sense_does_no_harm(browser, folder):
    page = opened(browser, folder, "#data=ring&points=%%%&d=x&seed=-3.7&loss=none&moves=1e9", reduced_motion="reduce")
    assert lab(page, "settings")["moves"] == 10 and lab(page, "settings")["loss"] == "ns"
    close(page)


# Who can use it


def test_it_is_used_by_keyboard(still):
    still.get_by_role("button", name="Play").focus()
    still.keyboard.press("Enter")
    until(still, "lab.step > 5")
    still.keyboard.press("Space")
    assert not lab(still, "playing")
    still.get_by_label("Weight of the R1 penalty").press("Home")
    assert lab(still, "settings")["r1"] == 0
    still.get_by_role("radio", name="Ring of eight").focus()
    still.keyboard.press("ArrowRight")
    until(still, "lab.settings.data === 'moons' && lab.parts === 10")
    still.get_by_role("radio", name="Hinge").press("Space")
    assert lab(still, "settings")["loss"] == "hinge"
    still.get_by_role("radio", name="Draw your own").press("Space")
    assert "arrow keys" in still.locator(".lab-guide p").inner_text()
    still.locator(".lab-plane").focus()
    for key in ("ArrowLeft", "Space", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "Space"):
        still.keyboard.press(key)
    assert lab(still, "settings")["points"] == pytest.approx(np.array([[-0.1, 0], [-0.1, 0.4]]), abs=0.01)
    until(still, "lab.parts === 2 && lab.step > 0")


def test_it_is_used_by_touch_on_a_phone(browser, folder):
    page = opened(browser, folder, reduced_motion="reduce", has_touch=True, viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Play").tap()
    until(page, "lab.step > 5")
    page.get_by_role("radio", name="Draw your own").tap(force=True)
    for x, y in ((60, 60), (200, 250), (300, 90)):
        page.locator(".lab-plane").tap(position={"x": x, "y": y})
    until(page, "lab.parts === 3 && lab.step > 3")
    until(page, WRITTEN)
    address = page.evaluate("location.hash")
    page.get_by_role("button", name="Clear the drawing").tap()
    until(page, "lab.settings.points.length === 0")
    until(page, WRITTEN)
    page.evaluate("hash => { location.hash = hash }", address)
    until(page, "lab.settings.points.length === 3 && lab.parts === 3")
    low = "[...document.querySelectorAll('.lab button')].filter(b => b.offsetHeight && b.offsetHeight < 40)"
    small = page.evaluate(f"{low}.length")
    assert small == 0, "fingers need room"
    close(page)


@pytest.mark.parametrize("width", [390, 1280])
def test_no_hindrance_to_access(browser, folder, width):
    page = opened(browser, folder, reduced_motion="reduce", viewport={"width": width, "height": 900})
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        found = Axe().run(page).response["violations"]
        assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found] == []
    assert lab(page, "step") == 0, "nothing moves until it is asked"
    close(page)


@pytest.mark.parametrize(("script", "workers"), [("", 1), ("delete window.Worker", 0)])
def test_it_trains_in_a_worker_or_without_one(browser, folder, script, workers):
    page = opened(browser, folder, script=script)
    until(page, "lab.step > 20")
    assert len(page.workers) == workers
    close(page)


def test_the_small_one_waits_and_leads_to_the_lab(browser, folder):
    page = opened(browser, folder, name="small")
    assert page.locator(".lab-settings, .lab-stories").count() == 0
    assert lab(page, "step") == 0 and not lab(page, "playing")
    assert page.get_by_role("link").get_attribute("href").endswith("book/lab.html#preset=collapse")
    page.get_by_role("button", name="Cure it").click()
    until(page, "lab.step > 5 && lab.settings.r1 > 0")
    page.wait_for_timeout(500)
    assert page.evaluate("location.hash") == "", "a chapter's address stays as it is"
    assert Axe().run(page).response["violations"] == []
    close(page)


def test_without_javascript_there_is_a_sentence(browser, folder):
    page = opened(browser, folder, java_script_enabled=False)
    lab = page.locator("[data-lab]").first
    assert "orange generated points" in lab.inner_text()
    assert lab.bounding_box()["height"] < 200, "no room for what will not come"
    page.context.close()


def test_what_does_not_load_is_named(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "lab")
    (tmp_path / "lab" / "_static" / "lab" / "draw.js").unlink()
    page = browser.new_page()
    page.goto((tmp_path / "lab" / "book" / "lab.html").as_uri())
    page.get_by_text("The lab could not be loaded (draw.js was not loaded)").first.wait_for()
    assert page.locator("[data-lab]").first.bounding_box()["height"] < 200, "no room for what will not come"
    page.close()


# The digits


@pytest.mark.slow
def test_digits_are_loaded_on_demand_and_train(browser, folder):
    page = opened(browser, folder, reduced_motion="reduce")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.get_by_role("button", name="Load the digits").click()
    digits = "document.querySelectorAll('[data-lab]')[1].lab"
    page.wait_for_function(f"{digits}?.step > 25")
    assert [url for url in requests if "digits.js" in url]
    page.get_by_role("button", name="Pause").click()
    scores = page.locator(".lab-sheet li").all_inner_texts()
    assert len(scores) == 48 and all(0 <= float(score) <= 1 for score in scores)
    assert "real digits" in page.locator("[role=status]").last.inner_text()
    assert Axe().run(page).response["violations"] == []
    close(page)


def test_most_digits_can_be_read_within_three_minutes():
    """After the steps that fit in them on two cores, beside real digits as small."""
    found = json.loads(export_lab.RAW.read_text(encoding="utf-8"))["digits"]
    assert found["steps"] == export_lab.DIGIT_STEPS and len(found["generated"]) == len(export_lab.DIGIT_SEEDS)
    assert found["real"] > 0.8 and min(found["generated"]) > 0.7 * found["real"]
    shares = [min(found["generated"]), max(found["generated"]), found["real"]]
    low, high, real = (f"{100 * share:.0f}" for share in shares)
    page = (ROOT / "book" / "lab.md").read_text(encoding="utf-8")
    assert f"after {found['steps']:,} steps" in page
    assert f"{low} to {high} of 100 generated digits" in page and f"{real} of 100 real ones" in page
    assert export_lab.DIGITS.stat().st_size <= 600_000


DIGIT_STEP = """() => {
  const images = ganLabEngine().unpack(ganLabDigits), settings = { ...ganLabPresets().HEALTHY, data: "digits" };
  const game = ganLabEngine().game("digits", settings, images);
  const times = Array.from({ length: 201 }, () => {
    const start = performance.now();
    game.move("d");
    game.move("g");
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[50];
}"""


@pytest.mark.slow
def test_the_digits_steps_fit_in_three_minutes(engine):
    """With ten seconds left for what the page shows meanwhile; other work hardly slows the quickest quarter down."""
    engine.add_script_tag(content=export_lab.DIGITS.read_text(encoding="utf-8"))
    tries: list[float] = []
    while len(tries) < 10 and not (tries and tries[-1] < 170):
        tries.append(engine.evaluate(DIGIT_STEP) / 1000 * export_lab.DIGIT_STEPS)
    print(f"10,000 steps in {min(tries):.0f} s")
    assert min(tries) < 170, tries


def test_digits_that_do_not_load_can_be_tried_again(browser, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "lab")
    (tmp_path / "lab" / "_static" / "lab" / "digits.js").unlink()
    page = opened(browser, tmp_path / "lab", reduced_motion="reduce")
    button = page.get_by_role("button", name="Load the digits")
    button.click()
    page.wait_for_function("document.body.textContent.includes('Press to try again')")
    assert button.is_enabled()
    page.context.close()
