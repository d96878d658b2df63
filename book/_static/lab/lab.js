// The lab: a GAN that trains in the page. <div data-lab> becomes the whole lab in the plane. With data-preset="collapse"
// it starts with that story, with data-compact it is a small one for a chapter, and <div data-lab="digits"> trains on
// digits. engine.js computes, in a worker where there is one; presets.js holds stories and settings; draw.js draws; this
// file makes the controls. What stands in the div is shown until then.
"use strict";
(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let engine, presets, pictures, number;

  /** Load a classic script or a style sheet beside this one, which works from file:// too. */
  const load = (tag, name) => new Promise((resolve, reject) => {
    const node = document.createElement(tag);
    Object.assign(node, tag === "link" ? { rel: "stylesheet", href: folder + name } : { src: folder + name });
    node.onload = resolve;
    node.onerror = () => { node.remove(); reject(new Error(`${name} was not loaded`)); };
    document.head.append(node);
  });

  // ---- small things for pages ----

  function element(tag, properties = {}, ...children) {
    const { attributes = {}, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  let count = 0;
  const unique = () => `lab-${count++}`;
  const group = (className, label, ...children) => element("div", { className, attributes: { role: "group", "aria-label": label } }, ...children);
  function button(text, onClick, className = "") {
    const made = element("button", { type: "button", className: `lab-button ${className}`, textContent: text });
    made.addEventListener("click", onClick);
    return made;
  }

  /** A text that is seen at once, and heard at most every six seconds, or at once if `now` is given. */
  function speaker() {
    const seen = element("p", { className: "lab-status", attributes: { "aria-hidden": "true" } });
    const heard = element("p", { className: "lab-heard", attributes: { role: "status" } });
    let last = -Infinity;
    return [element("div", {}, seen, heard), (text, now) => {
      seen.textContent = text;
      if (!now && performance.now() - last < 6000) return;
      last = performance.now();
      heard.textContent = text;
    }];
  }

  /** A large number with what it counts: [node, number, word]. */
  function counter(name) {
    const value = element("strong"), word = element("span", { textContent: name });
    return [element("p", { className: "lab-count" }, value, word), value, word];
  }

  const swatch = (kind, text) => element("span", { className: "lab-key" }, element("i", { className: `lab-swatch ${kind}` }), text);

  /** Curves with a title, and beside the key of each its last value; `range` is shown even if no value reaches it. */
  function chart(title, lines, range) {
    const canvas = element("canvas", { className: "lab-chart", attributes: { role: "img" } });
    const values = lines.map(() => element("span", { className: "lab-value" }));
    const keys = lines.map(({ name, color }, i) => element("span", {}, swatch(color, name), values[i]));
    const curve = pictures.curves(canvas, lines.map(({ color }) => color));
    return {
      ...curve,
      figure: element("div", {}, element("p", { className: "lab-title" }, element("strong", { textContent: title }), ...keys), canvas),
      draw(colors) {
        curve.draw(colors, range);
        const last = curve.last();
        lines.forEach((_, i) => { values[i].textContent = last ? number(last[i]) : "–"; });
        const text = last ? lines.map(({ name }, i) => `${name} ${number(last[i])}`).join(", ") : "nothing yet";
        canvas.setAttribute("aria-label", `${title} over the steps: ${text}`);
      },
    };
  }
  const losses = () => chart("Losses", [{ name: "discriminator", color: "disc" }, { name: "generator", color: "fake" }]);
  const outputs = () => chart("Mean output of the discriminator", [{ name: "real", color: "real" }, { name: "generated", color: "fake" }]);

  // ---- a game, seen from the page ----

  /** A game in a worker, or in this thread where the browser allows no worker. Returns a function that sends messages. */
  function connect(receive) {
    try {
      const text = `"use strict"; const answer = (${ganLabEngine})().serve(postMessage); onmessage = (event) => answer(event.data);`;
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      worker.onmessage = (event) => receive(event.data);
      return (message) => worker.postMessage(message);
    } catch {
      return engine.serve((frame) => setTimeout(receive, 0, frame));
    }
  }

  /** What all labs share: playing, pausing, frames as they come, and rest while nobody looks. */
  function player(root, task, onFrame) {
    const self = { wanted: false, slow: false, frames: 0, frame: null };
    let shown = false, run = 0;
    const send = connect((frame) => {
      if (frame.run !== run) return;
      requestAnimationFrame(() => {
        if (frame.run !== run) return;
        self.frames++;
        self.frame = frame;
        onFrame(frame, true);
        send({ seen: run });
      });
    });
    const update = () => send({ play: self.wanted && !self.slow && shown && !document.hidden });
    const again = () => { if (self.frame) onFrame(self.frame, false); };
    new IntersectionObserver((entries) => { shown = entries[entries.length - 1].isIntersecting; update(); }).observe(root);
    document.addEventListener("visibilitychange", update);
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    new ResizeObserver(again).observe(root);
    return Object.assign(self, {
      send,
      start(settings) {
        self.frame = null;
        send({ start: { ...settings }, task, run: ++run });
      },
      stop() { self.frame = null; run++; },
      play(wanted) { self.wanted = wanted; update(); },
    });
  }

  /** What a script may read, and the tests do. */
  const expose = (root, game, more) => {
    const get = (name, otherwise) => () => (game.frame && name in game.frame ? game.frame[name] : otherwise);
    const properties = { step: get("step", 0), modes: get("modes", 0), lossD: () => game.lossD, lossG: () => game.lossG };
    Object.assign(properties, { frames: () => game.frames, playing: () => game.wanted, frame: () => game.frame, ...more });
    root.lab = {};
    for (const [name, read] of Object.entries(properties)) Object.defineProperty(root.lab, name, { get: read, enumerable: true });
  };

  /** Note a fresh frame in the curves, and its losses in the game. */
  function record(game, [loss, output], { step, lossD, lossG, outReal, outFake }) {
    loss.add(step, lossD, lossG);
    output.add(step, outReal, outFake);
    if (Number.isFinite(lossD)) game.lossD = lossD;
    if (Number.isFinite(lossG)) game.lossG = lossG;
  }

  // ---- the plane ----

  const LOSSES = { ns: "Non-saturating", saturating: "Saturating", hinge: "Hinge", wasserstein: "Wasserstein with R1" };
  const KINDS = { ring: "Ring of eight", moons: "Two moons", grid: "Grid of 25", spiral: "Spiral", drawn: "Draw your own" };

  function plane(root, compact) {
    const { PRESETS, HEALTHY, VALUES } = presets, first = PRESETS[root.dataset.preset] ? root.dataset.preset : "healthy";
    const settings = { ...((!compact && presets.read(location.hash)) || PRESETS[first].settings) };
    const ready = () => settings.data !== "drawn" || settings.points.length > 0;
    const game = player(root, "plane", show), curves = [losses(), outputs()];
    let phase = 0, animation = 0, timer = 0, writing = 0;

    // what is to be seen
    const canvas = element("canvas", { className: "lab-plane", attributes: { role: "img" } });
    const change = element("canvas", { className: "lab-change", attributes: { role: "img" } }), changeText = element("p");
    const [status, say] = speaker(), [stepsNode, steps] = counter("steps"), [modesNode, modes, word] = counter("");
    function describe({ modes, parts, word, step, outReal, outFake }) {
      const means = Number.isFinite(outReal) ? ` The discriminator’s mean output is ${number(outReal)} at real points and ${number(outFake)} at generated ones.` : "";
      return `At step ${step.toLocaleString("en")} the generated points cover ${modes} of ${parts.length} ${word}s.${means}`;
    }
    function show(frame, fresh) {
      const colors = pictures.palette(root), single = frame.moves.length === 1;
      if (fresh) {
        cancelAnimationFrame(animation);
        record(game, curves, frame);
      }
      steps.textContent = frame.step.toLocaleString("en");
      modes.textContent = `${frame.modes} of ${frame.parts.length}`;
      word.textContent = `${frame.word}s covered`;
      for (const curve of curves) curve.draw(colors);
      if (frame.before) {
        changeText.textContent = pictures.change(change, frame, colors) || "Nothing yet.";
        change.setAttribute("aria-label", changeText.textContent);
      }
      const text = describe(frame);
      canvas.setAttribute("aria-label", `The plane, from −1.6 to 1.6 both ways. ${text}`);
      if (fresh && single) return slowly(frame, colors, text);
      pictures.plane(canvas, frame, colors);
      if (fresh) say(text, !game.wanted || frame.step === 0);
    }
    /** Show a single move: over 1.2 seconds, or at once where motion is not wanted. */
    function slowly(frame, colors, text) {
      const start = performance.now(), length = still.matches ? 0 : 1200;
      say(`${changeText.textContent} ${text}`, true);
      const draw = () => {
        const t = length ? Math.min(1, (performance.now() - start) / length) : 1;
        pictures.plane(canvas, frame, colors, t * t * (3 - 2 * t));
        if (t < 1) animation = requestAnimationFrame(draw);
        else if (game.wanted && game.slow) timer = setTimeout(next, length ? 400 : 1600);
      };
      draw();
    }

    // what is to be done
    function move(who) {
      clearTimeout(timer);
      if (ready()) game.send({ move: who });
    }
    function next() {
      const who = phase < settings.moves ? "d" : "g";
      phase = who === "d" ? phase + 1 : 0;
      move(who);
    }
    function play(wanted) {
      clearTimeout(timer);
      game.play(wanted && ready());
      toggle.textContent = game.wanted ? "Pause" : "Play";
      if (game.wanted && game.slow) next();
      else if (game.frame) say(describe(game.frame), true);
    }
    function restart() {
      clearTimeout(timer);
      cancelAnimationFrame(animation);
      phase = 0;
      game.lossD = game.lossG = NaN;
      for (const curve of curves) curve.clear();
      if (ready()) {
        game.start(settings);
        play(game.wanted);
      } else {
        game.stop();
        play(false);
        [steps.textContent, modes.textContent, word.textContent] = ["0", "–", "parts covered"];
        pictures.plane(canvas, null);
        say("There are no real points yet.", true);
      }
    }
    /** New settings: data and seed start afresh, the others change the rules of the game that is going on. */
    function set(changes, afresh = "seed" in changes || "data" in changes) {
      const was = ready();
      Object.assign(settings, changes);
      if (afresh || !was) restart();
      else game.send({ change: changes });
      refresh();
      writeSoon();
    }
    function writeSoon() { // browsers refuse to have it changed all the time
      clearTimeout(writing);
      if (!compact) writing = setTimeout(writeAddress, 300);
    }
    const writeAddress = () => history.replaceState(null, "", presets.write(settings, game.slow));
    function choose(name) {
      game.wanted = true;
      set({ ...PRESETS[name].settings, seed: settings.seed }, true);
    }

    // the stories
    const story = (name) => name && name.replace("-cure", "");
    const stories = Object.keys(PRESETS).filter((name) => name === story(name));
    const tabs = new Map(stories.map((name) => [name, button(PRESETS[name].name, () => choose(name))]));
    const words = element("p", { attributes: { "aria-live": "polite" } });
    let current;
    const onward = button("", () => choose(current ? PRESETS[current].next : first), "primary");
    const back = button("", () => choose(story(current)));
    const guide = element("div", { className: "lab-guide" }, words, element("div", { className: "lab-bar" }, onward, back));
    function refresh() {
      for (const show of shows) show();
      current = presets.named(settings);
      const preset = PRESETS[current], cure = current !== story(current);
      for (const [name, tab] of tabs) tab.setAttribute("aria-pressed", String(name === story(current)));
      const own = settings.loss === "wasserstein" && !settings.r1 ? "Nothing holds this loss back without R1: expect the curves to run away." : "These settings are your own. The address of this page holds them, so a link to it shares them.";
      const drawing = "Draw where the real points should be: with a finger, with the mouse, or with the arrow keys and the space bar.";
      words.replaceChildren(...(preset ? [element("strong", { textContent: `${preset.name}. ` }), preset.note] : [ready() ? own : drawing]));
      onward.textContent = preset ? preset.ask : compact ? "Back to the story" : "Back to the healthy run";
      onward.hidden = compact && Boolean(preset) && story(preset.next) !== story(first);
      back.textContent = `Once more without the cure`;
      back.hidden = !cure;
    }

    // the controls
    const shows = [];
    const differs = (key, format) => (settings[key] === HEALTHY[key] ? "" : ` (healthy: ${format(HEALTHY[key])})`);
    function slider(label, key, format) {
      const id = unique(), list = VALUES[key], input = element("input", { id, type: "range", min: 0, max: list.length - 1, step: 1 });
      const output = element("output", { htmlFor: id });
      input.addEventListener("input", () => set({ [key]: list[Number(input.value)] }));
      shows.push(() => {
        input.value = list.indexOf(settings[key]);
        output.textContent = format(settings[key]) + differs(key, format);
        input.setAttribute("aria-valuetext", format(settings[key]));
      });
      return element("div", { className: "lab-slider" }, element("label", { htmlFor: id, textContent: label }), output, input);
    }
    function pick(label, key, names, inside = (name) => names[name]) {
      const name = unique(), hint = element("span", { className: "lab-hint" });
      const inputs = VALUES[key].map((value) => element("input", { type: "radio", name, value }));
      for (const input of inputs) input.addEventListener("change", () => set({ [key]: input.value }));
      shows.push(() => {
        for (const input of inputs) input.checked = input.value === settings[key];
        hint.textContent = differs(key, (value) => names[value].toLowerCase());
      });
      return element("fieldset", { className: "lab-pick" }, element("legend", {}, label, hint),
        ...inputs.map((input) => element("label", {}, input, element("span", {}, inside(input.value)))));
    }
    function thumbnail(kind) {
      const points = kind in engine.DATA ? engine.DATA[kind].parts : [[-1, -0.4], [-0.6, 0.2], [-0.2, 0.5], [0.2, 0.2], [0.5, -0.3], [0.9, -0.1], [1.1, 0.5]];
      const holder = element("template");
      holder.innerHTML = `<svg viewBox="-1.6 -1.6 3.2 3.2" aria-hidden="true">${points.map(([x, y]) => `<circle cx="${x}" cy="${-y}" r="0.15"/>`).join("")}</svg>`;
      return element("span", { className: "lab-kind" }, holder.content, KINDS[kind]);
    }
    const toggle = button("Play", () => play(!game.wanted), "primary");
    const single = (who) => () => { if (game.wanted) play(false); move(who); };
    const slow = element("input", { type: "checkbox", id: unique() });
    slow.addEventListener("change", () => { game.slow = slow.checked; play(game.wanted); writeSoon(); });
    const readSlow = () => { if (!compact) slow.checked = game.slow = presets.isSlow(location.hash); };
    const bar = group("lab-bar", "Training", toggle, button("Restart", restart), element("label", { className: "lab-check", htmlFor: slow.id }, slow, "Slow motion"));

    const seed = element("input", { type: "number", id: unique(), min: 0, max: presets.SEEDS - 1, step: 1 });
    seed.addEventListener("change", () => set({ seed: Math.abs(Math.trunc(Number(seed.value))) % presets.SEEDS || 0 }));
    const clear = button("Clear the drawing", () => set({ points: [] }, true));
    shows.push(() => { seed.value = settings.seed; clear.hidden = settings.data !== "drawn" || !settings.points.length; });
    const copied = element("span", { className: "lab-hint", attributes: { role: "status" } });
    async function copy() {
      writeAddress();
      try {
        await navigator.clipboard.writeText(location.href);
        copied.textContent = "Copied.";
      } catch {
        copied.textContent = "The link is in the address bar.";
      }
    }
    const controls = group("lab-settings", "Settings", pick("Real points", "data", KINDS, thumbnail), clear, pick("Loss", "loss", LOSSES),
      element("div", { className: "lab-sliders" }, slider("Learning rate of the discriminator", "d", String), slider("Learning rate of the generator", "g", String),
        slider("Discriminator’s moves for one of the generator", "moves", String), slider("Weight of the R1 penalty", "r1", (v) => (v ? String(v) : "off"))),
      element("div", { className: "lab-bar" }, element("label", { htmlFor: seed.id, textContent: "Seed" }), seed,
        button("New seed", () => set({ seed: Math.floor(1000 * Math.random()) })), button("Copy a link to these settings", copy), copied));

    // the reader's own points
    const pen = sketch(canvas, (points) => {
      if (!ready()) game.wanted = true;
      set({ points: [...settings.points, ...presets.rounded(points)].slice(-presets.MOST) });
    });
    if (!compact) shows.push(() => pen.enable(settings.data === "drawn"));

    const legend = element("p", { className: "lab-legend" }, swatch("dot real", "real points"), swatch("dot fake", "generated points"),
      swatch("arrow fake", "the gradient: where a point would look more real"), swatch("area", "the discriminator: looks real (blue), looks generated (orange)"));
    const counts = element("div", { className: "lab-counts" }, stepsNode, modesNode);
    const moves = group("lab-bar", "One move", "One move:", button("Discriminator", single("d"), "disc"), button("Generator", single("g"), "fake"));
    const changes = element("div", { className: "lab-last" }, element("div", { className: "lab-title" }, element("strong", { textContent: "What the last step changed" }), moves), element("div", { className: "lab-changes" }, change, changeText));
    const stage = element("div", { className: "lab-stage" }, element("div", { className: "lab-screen" }, canvas, pen.cross), legend, status, ...(compact ? [] : [changes]));
    const side = element("div", { className: "lab-side" }, counts, ...curves.map(({ figure }) => figure));
    const link = element("a", { textContent: "Open the lab" });
    link.addEventListener("click", () => { link.href = `${folder}../../book/lab.html${presets.write(settings, game.slow)}`; });
    link.href = `${folder}../../book/lab.html#preset=${first}`;
    const notes = compact ? null : document.querySelector(".lab-notes"); // of the page
    const main = element("div", { className: "lab-main" }, guide, bar, stage, side, ...(notes ? [notes] : []));
    root.replaceChildren(...(compact ? [main, element("p", {}, link)] : [group("lab-stories", "Stories", ...tabs.values()), main, controls]));
    expose(root, game, { parts: () => (game.frame ? game.frame.parts.length : 0), settings: () => ({ ...settings }) });
    if (!compact) addEventListener("hashchange", () => { const found = presets.read(location.hash); if (found) { readSlow(); set(found, true); } });
    readSlow();
    refresh();
    restart();
    if (!compact && !still.matches) play(true);
  }

  /** Drawing on a canvas by pointer, or by arrow keys and space; calls `add` with the new points. */
  function sketch(canvas, add) {
    const cross = element("div", { className: "lab-cross", hidden: true }), at = [0, 0], limit = engine.VIEW - 0.1;
    const keys = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1], " ": null, Enter: null };
    const inside = (v) => Math.max(-limit, Math.min(limit, v));
    let enabled = false, last;
    function follow(event) {
      const box = canvas.getBoundingClientRect();
      const x = engine.VIEW * (2 * (event.clientX - box.left) / box.width - 1), y = engine.VIEW * (1 - 2 * (event.clientY - box.top) / box.height);
      if (last && Math.hypot(x - last[0], y - last[1]) < 0.06) return;
      last = [x, y];
      add([last.map(inside)]);
    }
    canvas.addEventListener("pointerdown", (event) => {
      if (!enabled) return;
      canvas.setPointerCapture(event.pointerId);
      last = null;
      follow(event);
    });
    canvas.addEventListener("pointermove", (event) => { if (enabled && canvas.hasPointerCapture(event.pointerId)) follow(event); });
    canvas.addEventListener("keydown", (event) => {
      if (!enabled || !(event.key in keys)) return;
      event.preventDefault();
      event.stopPropagation();
      if (keys[event.key]) at.forEach((v, i) => { at[i] = inside(v + keys[event.key][i]); });
      else add([[...at]]);
      cross.style.left = `${50 + 50 * at[0] / engine.VIEW}%`;
      cross.style.top = `${50 - 50 * at[1] / engine.VIEW}%`;
      cross.hidden = false;
    });
    canvas.addEventListener("blur", () => { cross.hidden = true; });
    return {
      cross,
      enable(on) {
        enabled = on;
        canvas.classList.toggle("drawing", on);
        if (on) canvas.tabIndex = 0; else canvas.removeAttribute("tabindex");
        canvas.setAttribute("role", on ? "application" : "img");
      },
    };
  }

  // ---- the digits ----

  function digits(root) {
    const [status, say] = speaker(), first = button("Load the digits and train (0.6 MB)", open, "primary");
    root.replaceChildren(first, status);
    async function open() {
      first.disabled = true;
      say("Loading 6,000 digits.", true);
      try {
        if (!globalThis.ganLabDigits) await load("script", "digits.js");
        build();
      } catch (error) {
        first.disabled = false;
        say(`The digits could not be loaded (${error.message}). Press to try again.`, true);
      }
    }
    function build() {
      const settings = { ...presets.HEALTHY, data: "digits" };
      const game = player(root, "digits", show), curves = [losses(), outputs()];
      const [stepsNode, steps] = counter("steps"), [secondsNode, seconds] = counter("seconds");
      let time = 0, last = 0;
      /** A sheet of images, each with its score as a bar and a number. Returns [node, show]. */
      function sheet(title, kind) {
        const items = Array.from({ length: engine.TASKS.digits.shown }, () => {
          const canvas = element("canvas", { width: 14, height: 14, attributes: { "aria-hidden": "true" } });
          return { canvas, bar: element("i"), score: element("span") };
        });
        const list = element("ol", {}, ...items.map(({ canvas, bar, score }) => element("li", {}, canvas, bar, score)));
        const mean = element("span", { className: "lab-hint" });
        return [element("section", { className: "lab-sheet" }, element("h3", { className: kind }, title, mean), list), (images, scores, colors) => {
          mean.textContent = ` mean score ${average(scores)}`;
          items.forEach(({ canvas, bar, score }, i) => {
            pictures.digit(canvas, images.subarray(196 * i, 196 * (i + 1)), colors);
            bar.style.setProperty("--score", scores[i]);
            score.textContent = number(scores[i]);
          });
        }];
      }
      const average = (list) => number(list.reduce((a, b) => a + b, 0) / list.length);
      const [fakeNode, showFakes] = sheet("Generated", "fake"), [realNode, showReal] = sheet("Real", "real");
      const describe = ({ step, scores, realScores }) => `At step ${step.toLocaleString("en")} the discriminator gives the 24 real digits ${average(realScores)} on average, and the 24 generated ones ${average(scores)}.`;
      function show(frame, fresh) {
        const colors = pictures.palette(root), now = performance.now();
        if (fresh) {
          if (game.wanted && last) time += Math.min(1000, now - last);
          last = now;
          record(game, curves, frame);
          say(describe(frame));
        }
        for (const curve of curves) curve.draw(colors);
        steps.textContent = frame.step.toLocaleString("en");
        seconds.textContent = Math.round(time / 1000);
        showFakes(frame.fakes, frame.scores, colors);
        showReal(frame.real, frame.realScores, colors);
      }
      function play(wanted) {
        game.play(wanted);
        last = 0;
        toggle.textContent = wanted ? "Pause" : "Play";
        if (!wanted && game.frame) say(describe(game.frame), true);
      }
      function restart() {
        time = last = 0;
        for (const curve of curves) curve.clear();
        game.start(settings);
      }
      const toggle = button("Play", () => play(!game.wanted), "primary");
      const bar = group("lab-bar", "Training on digits", toggle, button("Restart", restart),
        button("New seed", () => { settings.seed = Math.floor(1000 * Math.random()); restart(); }));
      const counts = element("div", { className: "lab-counts" }, stepsNode, secondsNode);
      root.replaceChildren(bar, element("div", { className: "lab-sheets" }, fakeNode, realNode),
        element("div", { className: "lab-curves" }, counts, ...curves.map(({ figure }) => figure)), status);
      expose(root, game);
      game.send({ digits: globalThis.ganLabDigits });
      restart();
      play(true);
      toggle.focus();
    }
  }

  async function startAll() {
    const roots = [...document.querySelectorAll("[data-lab]:not(.lab)")];
    if (!roots.length) return;
    for (const root of roots) root.classList.add("lab");
    const needed = [["script", "engine.js"], ["script", "presets.js"], ["script", "draw.js"], ["link", "lab.css"]];
    const linked = document.querySelector('link[href$="lab/lab.css"]');
    try {
      await Promise.all(needed.filter(([tag]) => tag === "script" || !linked).map(([tag, name]) => load(tag, name)));
    } catch (error) {
      for (const root of roots) {
        root.classList.add("built"); // no place is kept for what will not come
        root.replaceChildren(element("p", { textContent: `The lab could not be loaded (${error.message}). Load the page again to try once more.` }));
      }
      return;
    }
    engine = ganLabEngine();
    presets = ganLabPresets();
    pictures = ganLabDraw(engine);
    ({ number } = pictures);
    for (const root of roots) {
      root.classList.add("built");
      if (root.dataset.lab === "digits") digits(root); else plane(root, "compact" in root.dataset);
    }
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll);
  else startAll();
})();
