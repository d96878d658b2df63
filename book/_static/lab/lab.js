// The lab: a GAN that trains in the page. <div data-lab> becomes the whole one in the plane, <div data-lab="plane"
// data-preset="collapse"> a small one for a chapter, <div data-lab="digits"> the one on digits. engine.js trains, in a
// worker where there is one; this file draws and listens. What stands in the div is shown until then.
"use strict";
(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let engine;

  /** Load a classic script or a style sheet beside this one, which works from file:// too. */
  const load = (tag, name) => new Promise((resolve, reject) => {
    const node = document.createElement(tag);
    Object.assign(node, tag === "link" ? { rel: "stylesheet", href: folder + name } : { src: folder + name });
    node.onload = resolve;
    node.onerror = () => { node.remove(); reject(new Error(`${name} was not loaded`)); };
    document.head.append(node);
  });

  /** A game in a worker, or in this thread where the browser allows no worker. Returns a function that sends it messages. */
  function connect(receive) {
    const here = () => engine.serve((frame) => setTimeout(receive, 0, frame));
    try {
      const text = `"use strict"; const answer = (${ganLabEngine})().serve(postMessage); onmessage = (event) => answer(event.data);`;
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      worker.onmessage = (event) => receive(event.data);
      return (message) => worker.postMessage(message);
    } catch {
      return here();
    }
  }

  // ---- stories and settings ----

  const DEFAULT = { data: "ring", points: [], loss: "ns", d: 1e-3, g: 1e-3, moves: 1, r1: 0.1, seed: 1 };
  const corner = Array.from({ length: 7 }, (_, k) => [0.5 + 0.6 * Math.cos(Math.PI * k / 12), 0.5 + 0.6 * Math.sin(Math.PI * k / 12)]);
  const healthy = { name: "Healthy", set: {}, note: "Both networks learn at the same pace. The orange points spread until all eight clusters have their share, and both mean outputs settle near 0.5." };
  const STORIES = {
    healthy,
    collapse: {
      name: "Mode collapse", set: { d: 0.02, g: 1e-4, moves: 5, r1: 0 },
      note: "The generator huddles on one or two clusters and stays there. Its points look real, but its arrows lead to no other cluster.",
      cure: { name: "Cure: R1 penalty", set: { r1: 0.1 }, note: "The same start, with a penalty on steep slopes at real points. The surface stays gentle, the arrows reach farther, and the points spread over the ring." },
    },
    wins: {
      name: "Discriminator wins", set: { data: "drawn", points: corner, loss: "saturating", d: 5e-3, g: 2e-5, moves: 5, r1: 0 },
      note: "The discriminator is soon sure of everything. Under the saturating loss a sure opponent teaches nothing: the arrows vanish and the orange points stand still.",
      cure: { name: "Cure: non-saturating loss", set: { loss: "ns" }, note: "The same start with the non-saturating loss, whose gradient is largest where the discriminator is sure. The points march to the real ones." },
    },
    swings: {
      name: "Oscillation", set: { d: 1e-4, g: 2e-3 },
      note: "The generator learns twenty times as fast as the discriminator. All its points run to the place that looks best at the moment, and when the discriminator has caught up they run to the next.",
      cure: { name: "Cure: equal rates", set: { d: 2e-3 }, note: "The same start with a discriminator that learns as fast as the generator. A crowd on one spot is rejected before it forms, and the points share the ring." },
    },
  };
  /** All presets by name: a story, or with -cure its cure. */
  const PRESETS = {};
  for (const [key, { name, set, note, cure }] of Object.entries(STORIES)) {
    PRESETS[key] = { name, note, settings: { ...DEFAULT, ...set } };
    if (cure) PRESETS[`${key}-cure`] = { name: cure.name, note: cure.note, settings: { ...DEFAULT, ...set, ...cure.set } };
  }
  const RATES = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2], MOVES = [1, 2, 3, 5, 10], R1 = [0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
  const LOSSES = { ns: "Non-saturating", saturating: "Saturating", hinge: "Hinge", wasserstein: "Wasserstein (with R1)" };
  const KINDS = { ring: "Ring of eight", moons: "Two moons", grid: "Grid of 25", spiral: "Spiral", drawn: "Draw your own" };

  /** Points as text for an address, a byte for each coordinate, and back. */
  const toText = (points) => btoa(String.fromCharCode(...points.flat().map((v) => Math.round((v / engine.VIEW + 1) * 127.5)))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  function toPoints(text) {
    const bytes = [...atob(text.replace(/-/g, "+").replace(/_/g, "/"))].map((c) => (c.charCodeAt(0) / 127.5 - 1) * engine.VIEW);
    return bytes.flatMap((_, i) => (i % 2 && i < 400 ? [[bytes[i - 1], bytes[i]]] : []));
  }

  /** The settings that an address holds, or null: a preset by name, or single settings, or both. */
  function read(hash) {
    const given = new URLSearchParams(hash.slice(1)), preset = PRESETS[given.get("preset")];
    if (!preset && !KINDS[given.get("data")]) return null;
    const settings = { ...(preset?.settings ?? DEFAULT) }, near = (list, v) => list.reduce((a, b) => (Math.abs(b - v) < Math.abs(a - v) ? b : a));
    if (KINDS[given.get("data")]) settings.data = given.get("data");
    if (LOSSES[given.get("loss")]) settings.loss = given.get("loss");
    for (const [key, list] of [["d", RATES], ["g", RATES], ["moves", MOVES], ["r1", R1]]) if (given.has(key)) settings[key] = near(list, Number(given.get(key)) || 0);
    if (given.has("seed")) settings.seed = Math.abs(Math.trunc(Number(given.get("seed")))) % 2 ** 32 || 0;
    try { if (given.has("points")) settings.points = toPoints(given.get("points")); } catch { /* not base64: nothing drawn */ }
    return settings;
  }
  const write = ({ points, ...settings }) => `#${new URLSearchParams({ ...settings, ...(settings.data === "drawn" && { points: toText(points) }) })}`;

  // ---- small things for pages ----

  function element(tag, properties = {}, ...children) {
    const { attributes = {}, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  let count = 0;
  const unique = () => `lab-${count++}`;
  const number = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "−") : "–");
  function button(text, onClick, className = "lab-button") {
    const made = element("button", { type: "button", className, textContent: text });
    made.addEventListener("click", onClick);
    return made;
  }

  /** A slider over the values of a list; says the value as `format` writes it. Returns [row, show]. */
  function slider(label, list, format, onChange) {
    const id = unique(), input = element("input", { id, type: "range", min: 0, max: list.length - 1, step: 1 }), output = element("output", { htmlFor: id });
    const show = (value) => {
      input.value = list.indexOf(value);
      output.textContent = format(value);
      input.setAttribute("aria-valuetext", format(value));
    };
    input.addEventListener("input", () => { const value = list[Number(input.value)]; show(value); onChange(value); });
    return [element("div", { className: "lab-slider" }, element("label", { htmlFor: id, textContent: label }), output, input), show];
  }

  /** A text that is seen at once, and said by a screen reader at most every six seconds, or when `now` is given. */
  function speaker() {
    const live = element("p", { className: "lab-status", attributes: { role: "status", "aria-live": "polite" } });
    let last = performance.now();
    return [live, (text, now) => {
      if (!now && performance.now() - last < 6000) return;
      last = performance.now();
      live.textContent = text;
    }];
  }

  /** Fit a canvas to its place at the resolution of the screen; returns its context, scaled to CSS pixels, and its size. */
  function fit(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas, ratio = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return [context, width, height];
  }

  /** The colors of the page's scheme: each as CSS writes it, and real, fake and paper as [r, g, b]. */
  function palette(root) {
    const style = getComputedStyle(root), colors = {}, context = element("canvas").getContext("2d");
    for (const name of ["real", "fake", "disc", "paper", "ink", "muted", "line"]) {
      context.fillStyle = colors[name] = style.getPropertyValue(`--lab-${name}`).trim();
      colors[`${name}RGB`] = [1, 3, 5].map((i) => parseInt(context.fillStyle.slice(i, i + 2), 16));
    }
    return colors;
  }

  /** A figure with its title and the keys to its colors. */
  const panel = (title, keys, ...content) => element("div", { className: "lab-figure" },
    element("p", { className: "lab-title" }, element("strong", { textContent: title }), ...keys), ...content);

  /** A large number with what it counts: [node, number, word]. */
  function counter(name) {
    const value = element("strong"), word = element("span", { textContent: name });
    return [element("p", { className: "lab-count" }, value, word), value, word];
  }

  /** Curves over the steps. At most 300 points are kept: when there are more, neighbors are averaged. */
  function chart(title, lines, range) {
    const canvas = element("canvas", { className: "lab-chart", attributes: { role: "img" } });
    const values = lines.map(() => element("span", { className: "lab-value" }));
    const keys = lines.map(({ name, color }, i) => element("span", { className: "lab-key" }, element("i", { className: `lab-swatch ${color}` }), name, values[i]));
    const figure = panel(title, keys, canvas);
    let rows = [], every = 1, pending = [];
    const average = (list) => list[0].map((_, i) => list.reduce((sum, row) => sum + row[i], 0) / list.length);
    return {
      figure,
      clear() { [rows, every, pending] = [[], 1, []]; },
      add(step, ...row) {
        if (!row.every(Number.isFinite)) return;
        pending.push([step, ...row]);
        if (pending.length < every) return;
        rows.push(average(pending));
        pending = [];
        if (rows.length <= 300) return;
        rows = rows.flatMap((_, i) => (i % 2 ? [average(rows.slice(i - 1, i + 1))] : []));
        every *= 2;
      },
      draw(colors, probability) {
        const [context, width, height] = fit(canvas), all = rows.flatMap((row) => row.slice(1)), last = rows.at(-1);
        let [low, high] = range?.(probability) ?? [Math.min(0, ...all), Math.max(1, ...all)];
        if (high - low < 0.1) [low, high] = [low - 0.1, high + 0.1];
        const y = (v) => 6 + (height - 12) * (high - v) / (high - low), left = 30;
        const x = (step) => left + (width - left - 4) * step / Math.max(1, last?.[0] ?? 1);
        Object.assign(context, { lineWidth: 1, font: `12px ${getComputedStyle(figure).fontFamily}`, fillStyle: colors.muted, strokeStyle: colors.line, textBaseline: "middle", textAlign: "right" });
        for (const v of [low, (low + high) / 2, high]) {
          context.fillText(number(v, high - low < 3 ? 1 : 0), left - 5, y(v));
          context.beginPath();
          context.moveTo(left, y(v));
          context.lineTo(width, y(v));
          context.stroke();
        }
        lines.forEach(({ color }, i) => {
          Object.assign(context, { strokeStyle: colors[color], lineWidth: 1.75, lineJoin: "round" });
          context.beginPath();
          for (const row of rows) context.lineTo(x(row[0]), y(row[i + 1]));
          context.stroke();
          values[i].textContent = last ? number(last[i + 1]) : "–";
        });
        canvas.setAttribute("aria-label", `${title} over the steps. ${last ? lines.map(({ name }, i) => `${name}: ${number(last[i + 1])}`).join(", ") : "Nothing yet"}`);
      },
    };
  }
  const losses = () => chart("Losses", [{ name: "discriminator", color: "disc" }, { name: "generator", color: "fake" }]);
  const outputs = () => chart("Mean output of D", [{ name: "real", color: "real" }, { name: "generated", color: "fake" }], (probability) => (probability ? [0, 1] : null));

  /** What all labs share: playing, pausing, frames as they come, and rest while nobody looks. */
  function player(root, task, onFrame) {
    const self = { wanted: false, frames: 0, run: 0 };
    let shown = false, latest;
    const send = self.send = connect((frame) => {
      if (frame.run !== self.run) return;
      latest = frame;
      requestAnimationFrame(() => {
        self.frames++;
        self.frame = latest;
        onFrame(latest);
        send({ seen: true });
      });
    });
    self.start = (settings) => { self.frame = null; send({ start: { ...settings }, task, run: ++self.run, seen: true }); };
    const update = () => send({ play: self.wanted && !self.slow && shown && !document.hidden });
    self.play = (wanted) => { self.wanted = wanted; update(); };
    new IntersectionObserver(([entry]) => { shown = entry.isIntersecting; update(); self.onShown?.(shown); }).observe(root);
    document.addEventListener("visibilitychange", update);
    new MutationObserver(() => self.frame && onFrame(self.frame)).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return self;
  }

  // ---- pictures of the plane ----

  const FINE = 132; // pixels of the surface along a side
  const tile = element("canvas", { width: FINE, height: FINE });

  /** Color a grid of values in [-1, 1] from orange over paper to blue, in bands like a map's. */
  function paint(context, size, grid, value, colors, strength) {
    const pixels = new ImageData(FINE, FINE), N = engine.GRID, { realRGB, fakeRGB, paperRGB } = colors;
    for (let row = 0, k = 0; row < FINE; row++) {
      const w = row / (FINE - 1) * (N - 1), i = Math.min(N - 2, Math.floor(w)), t = w - i;
      for (let column = 0; column < FINE; column++, k += 4) {
        const u = column / (FINE - 1) * (N - 1), j = Math.min(N - 2, Math.floor(u)), s = u - j, p = i * N + j;
        const logit = (1 - t) * ((1 - s) * grid[p] + s * grid[p + 1]) + t * ((1 - s) * grid[p + N] + s * grid[p + N + 1]);
        const v = value(logit), x = Math.sign(v) * Math.round(8 * Math.sqrt(Math.abs(v))) / 8, tint = x > 0 ? realRGB : fakeRGB, share = strength * Math.abs(x);
        for (let c = 0; c < 3; c++) pixels.data[k + c] = paperRGB[c] + share * (tint[c] - paperRGB[c]);
        pixels.data[k + 3] = 255;
      }
    }
    tile.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(tile, 0, 0, size, size);
  }

  /** Draw a frame; `t` from 0 to 1 is how far its last move has come, and `slow` shows that move. */
  function drawPlane(canvas, frame, settings, colors, t = 1, slow = false) {
    const [context, size] = fit(canvas), place = (v, i) => (i % 2 ? engine.VIEW - v : engine.VIEW + v) * size / 2 / engine.VIEW;
    if (!frame) return;
    const { fakes, from, pulls, real, before, surface, parts, found, reach, word } = frame, scale = size / 440;
    const middle = settings.loss === "wasserstein" ? (frame.outReal + frame.outFake) / 2 || 0 : 0;
    const now = t < 1 ? surface.map((v, i) => before[i] + t * (v - before[i])) : surface;
    paint(context, size, now, (logit) => Math.tanh((logit - middle) / 2), colors, 0.42);
    const dots = (points, radius, fill, edge) => {
      context.beginPath();
      for (let i = 0; i < points.length; i += 2) {
        const x = place(points[i], 0), y = place(points[i + 1], 1);
        context.moveTo(x + radius, y);
        context.arc(x, y, radius, 0, 2 * Math.PI);
      }
      Object.assign(context, { fillStyle: fill, strokeStyle: colors.paper, lineWidth: 1 });
      if (edge) context.stroke();
      context.fill();
    };
    if (word === "cluster") parts.forEach((p, k) => {
      context.beginPath();
      context.arc(place(p[0], 0), place(p[1], 1), reach * size / 2 / engine.VIEW, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: found[k] ? colors.ink : colors.muted, lineWidth: found[k] ? 1.5 : 1 });
      context.setLineDash(found[k] ? [] : [2, 4]);
      context.stroke();
    });
    context.setLineDash([]);
    dots(real, 2.1 * scale, colors.real, true);
    const at = t < 1 ? fakes.map((v, i) => from[i] + t * (v - from[i])) : fakes;
    context.beginPath();
    for (let i = 0; i < at.length; i += 2) { // an arrow is at most 0.15 of the picture long, and half of that for a pull of 1
      const root = Math.sqrt(Math.hypot(pulls[i], pulls[i + 1])) || 1, reach = 0.15 * size / root / (1 + root), x = place(at[i], 0), y = place(at[i + 1], 1);
      const dx = pulls[i] * reach, dy = -pulls[i + 1] * reach, span = Math.hypot(dx, dy), head = Math.min(5 * scale, span / 2.5);
      if (span < 1.5) continue;
      context.moveTo(x, y);
      context.lineTo(x + dx, y + dy);
      for (const turn of [2.6, -2.6]) {
        const angle = Math.atan2(dy, dx) + turn;
        context.moveTo(x + dx, y + dy);
        context.lineTo(x + dx + head * Math.cos(angle), y + dy + head * Math.sin(angle));
      }
    }
    Object.assign(context, { strokeStyle: colors.fake, lineWidth: slow ? 1.4 : 0.9, globalAlpha: slow ? 0.9 : 0.55 });
    context.stroke();
    context.globalAlpha = 1;
    dots(at, 3.1 * scale, colors.fake, true);
  }

  /** Draw what the last move of each network changed: D's logit as colors, the fakes' ways as lines. Returns the scales. */
  function drawChange(canvas, frame, colors) {
    const [context, size] = fit(canvas);
    const change = frame.surface.map((v, i) => v - frame.before[i]), most = change.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    paint(context, size, change, (v) => (most ? v / most : 0), colors, 0.6);
    const { from, fakes } = frame, n = fakes.length / 2;
    let way = 0;
    for (let i = 0; i < 2 * n; i += 2) way += Math.hypot(fakes[i] - from[i], fakes[i + 1] - from[i + 1]) / n;
    const times = way > 1e-9 ? Math.max(1, Math.min(1e6, Number((0.2 / way).toPrecision(1)))) : 0;
    const place = (v, i) => (i % 2 ? engine.VIEW - v : engine.VIEW + v) * size / 2 / engine.VIEW;
    context.beginPath();
    for (let i = 0; i < 2 * n; i += 2) {
      context.moveTo(place(fakes[i], 0), place(fakes[i + 1], 1));
      context.lineTo(place(fakes[i] + times * (fakes[i] - from[i]), 0), place(fakes[i + 1] + times * (fakes[i + 1] - from[i + 1]), 1));
    }
    Object.assign(context, { strokeStyle: colors.fake, lineWidth: 1 });
    context.stroke();
    return { most, way, times };
  }

  // ---- the plane ----

  function plane(root, small) {
    let settings = { ...(PRESETS[root.dataset.preset] ?? PRESETS.healthy).settings }, colors, phase = 0, animation = 0, timer, changedAt = 0;
    if (!small) settings = read(location.hash) ?? settings;
    const canvas = element("canvas", { className: "lab-plane", attributes: { role: "img" } }), curves = [losses(), outputs()];
    const [status, say] = speaker(), game = player(root, "plane", show);
    const [stepsNode, steps] = counter("step"), [modesNode, modes, word] = counter(""), note = element("p", { className: "lab-note" });
    const ready = () => settings.data !== "drawn" || settings.points.length > 0;
    const probability = () => settings.loss === "ns" || settings.loss === "saturating";

    // what is to be seen
    const change = element("canvas", { className: "lab-change", attributes: { role: "img", "aria-label": "No step yet" } }), changeText = element("p");
    const changes = panel("What the last step changed", [], element("div", { className: "lab-changes" }, change, changeText));
    function describe(frame) {
      const { modes, parts, word, step, outReal, outFake } = frame;
      const means = Number.isFinite(outReal) ? ` The discriminator's mean output is ${number(outReal)} at real points and ${number(outFake)} at generated ones.` : "";
      return `At step ${step.toLocaleString("en")} the generated points cover ${modes} of ${parts.length} ${word}s.${means}`;
    }
    function show(frame) {
      colors = palette(root);
      const { moves, step, lossD, lossG, outReal, outFake } = frame, fresh = frame !== game.drawn;
      if (fresh) {
        cancelAnimationFrame(animation);
        curves[0].add(step, lossD, lossG);
        curves[1].add(step, outReal, outFake);
        game.drawn = frame;
        if (Number.isFinite(lossD)) game.lossD = lossD;
        if (Number.isFinite(lossG)) game.lossG = lossG;
      }
      steps.textContent = step.toLocaleString("en");
      modes.textContent = `${frame.modes} of ${frame.parts.length}`;
      word.textContent = `${frame.word}s covered`;
      for (const curve of curves) curve.draw(colors, probability());
      if (!small && moves && (!fresh || performance.now() - changedAt > 250)) {
        changedAt = performance.now();
        const { most, way, times } = drawChange(change, frame, colors), both = [];
        if (moves.includes("d")) both.push(`Discriminator: its logit changed by up to ${number(most, 3)} (blue rose, orange fell).`);
        if (moves.includes("g")) both.push(`Generator: its points moved by ${number(way, 4)} on average (lines: ${times.toLocaleString("en")} times as long).`);
        changeText.textContent = both.join(" ");
        change.setAttribute("aria-label", changeText.textContent);
      }
      const text = describe(frame);
      canvas.setAttribute("aria-label", `The plane from −1.6 to 1.6. ${text}`);
      if (fresh && moves.length === 1) slowly(frame, text);
      else {
        drawPlane(canvas, frame, settings, colors);
        if (moves || !game.wanted) say(text, !game.wanted);
      }
    }
    /** Show a single move: over 0.9 seconds, or at once where motion is not wanted. */
    function slowly(frame, text) {
      const start = performance.now(), length = still.matches ? 1 : 900, who = frame.moves === "d" ? "Discriminator" : "Generator";
      say(`${small ? `${who}'s move.` : changeText.textContent} ${text}`, !game.wanted);
      const draw = () => {
        const t = Math.min(1, (performance.now() - start) / length);
        drawPlane(canvas, frame, settings, colors, t * t * (3 - 2 * t), true);
        if (t < 1) animation = requestAnimationFrame(draw);
        else if (game.wanted && game.slow) timer = setTimeout(next, still.matches ? 900 : 250);
      };
      draw();
    }

    // what is to be done
    function move(who) {
      if (!ready()) return;
      clearTimeout(timer);
      changedAt = 0;
      game.send({ move: who });
    }
    const next = () => { const who = phase < settings.moves ? "d" : "g"; phase = who === "d" ? phase + 1 : 0; move(who); };
    function play(wanted) {
      wanted &&= ready();
      game.play(wanted);
      clearTimeout(timer);
      toggle.textContent = wanted ? "Pause" : "Play";
      if (wanted && game.slow) next();
      if (!wanted && game.frame) say(describe(game.frame), true);
    }
    function restart() {
      clearTimeout(timer);
      phase = 0;
      [game.lossD, game.lossG] = [NaN, NaN];
      for (const curve of curves) curve.clear();
      if (ready()) {
        game.start(settings);
        game.play(game.wanted);
      } else {
        [steps.textContent, modes.textContent, word.textContent] = ["0", "–", "parts covered"];
        drawPlane(canvas, game.frame = null);
      }
      if (game.wanted && game.slow) timer = setTimeout(next, 600);
    }
    /** New settings: data and seed start afresh, the others change the rules of the game that is going on. */
    function set(changes, afresh = "seed" in changes || "data" in changes) {
      const was = ready();
      Object.assign(settings, changes);
      if (afresh || !was) restart();
      else game.send({ change: changes });
      refresh();
      if (!small) history.replaceState(null, "", write(settings));
    }
    const toggle = button("Play", () => play(!game.wanted), "lab-button primary");
    const single = (who) => () => { if (game.wanted) play(false); move(who); };
    const slow = element("input", { type: "checkbox", id: unique() });
    slow.addEventListener("change", () => { game.slow = slow.checked; play(game.wanted); });
    const bar = element("div", { className: "lab-bar", attributes: { role: "group", "aria-label": "Training" } }, toggle, button("Restart", restart),
      button("Discriminator step", single("d"), "lab-button disc"), button("Generator step", single("g"), "lab-button fake"),
      element("label", { className: "lab-check", htmlFor: slow.id }, slow, "Slow motion"));

    const presets = new Map(), own = STORIES[(root.dataset.preset ?? "healthy").replace("-cure", "")] ?? healthy;
    const choose = (key) => { set({ ...PRESETS[key].settings, seed: settings.seed }, true); play(true); };
    const stories = element("div", { className: "lab-stories", attributes: { role: "group", "aria-label": "Stories" } });
    for (const key of Object.keys(STORIES).filter((key) => !small || STORIES[key] === own)) {
      const box = element("div", { className: "lab-story" });
      for (const name of [key, `${key}-cure`].filter((name) => PRESETS[name])) {
        presets.set(name, button(PRESETS[name].name, () => choose(name), name === key ? "lab-button" : "lab-button cure"));
        box.append(presets.get(name));
      }
      stories.append(box);
    }

    // settings
    const shows = [], row = (label, key, list, format) => {
      const [made, show] = slider(label, list, format, (value) => set({ [key]: value }));
      shows.push(() => show(settings[key]));
      return made;
    };
    function pick(legend, key, names, inside = (name) => names[name]) {
      const group = unique(), inputs = Object.keys(names).map((value) => element("input", { type: "radio", name: group, value }));
      for (const input of inputs) input.addEventListener("change", () => set({ [key]: input.value }));
      shows.push(() => { for (const input of inputs) input.checked = input.value === settings[key]; });
      return element("fieldset", { className: `lab-pick ${key}` }, element("legend", { textContent: legend }),
        ...inputs.map((input) => element("label", {}, input, element("span", {}, inside(input.value)))));
    }
    function thumbnail(kind) {
      const points = engine.DATA[kind]?.parts ?? [[-1, -0.4], [-0.6, 0.2], [-0.2, 0.5], [0.2, 0.2], [0.5, -0.3], [0.9, -0.1], [1.1, 0.5]];
      const holder = element("template");
      holder.innerHTML = `<svg viewBox="-1.6 -1.6 3.2 3.2" aria-hidden="true">${points.map(([x, y]) => `<circle cx="${x}" cy="${-y}" r="0.15"/>`).join("")}</svg>`;
      return element("span", { className: "lab-kind" }, holder.content, KINDS[kind]);
    }
    const seed = element("input", { type: "number", id: unique(), min: 0, max: 4294967295, step: 1 });
    seed.addEventListener("change", () => set({ seed: Math.abs(Math.trunc(Number(seed.value))) % 2 ** 32 || 0 }));
    shows.push(() => { seed.value = settings.seed; });
    const clear = button("Clear the drawing", () => { play(false); set({ points: [] }, true); });
    const rate = (v) => String(v).replace(/^1e-5$/, "0.00001").replace(/^2e-5$/, "0.00002").replace(/^5e-5$/, "0.00005");
    const controls = element("div", { className: "lab-settings" },
      pick("Real points", "data", KINDS, thumbnail), clear, pick("Loss", "loss", LOSSES),
      element("div", { className: "lab-sliders" },
        row("Learning rate of the discriminator", "d", RATES, rate), row("Learning rate of the generator", "g", RATES, rate),
        row("Discriminator moves per generator move", "moves", MOVES, String), row("Weight of the R1 penalty", "r1", R1, (v) => (v ? String(v) : "off")),
        element("div", { className: "lab-seed" }, element("label", { htmlFor: seed.id, textContent: "Seed" }), seed,
          button("New seed", () => set({ seed: Math.floor(1000 * Math.random()) })))));

    function refresh() {
      for (const show of shows) show();
      const rules = (settings) => write({ ...settings, seed: 0 }), current = Object.keys(PRESETS).find((key) => rules(PRESETS[key].settings) === rules(settings));
      for (const [key, made] of presets) made.setAttribute("aria-pressed", String(key === current));
      note.textContent = !ready() ? "Draw where the real points are: with a finger, a mouse, or the arrow keys and the space bar." : PRESETS[current]?.note ?? "Settings of your own. They stand in the address of this page, which you can share.";
      clear.hidden = settings.data !== "drawn";
      if (!small) drawing.enable(settings.data === "drawn");
    }
    const drawing = sketch(canvas, (points) => {
      const started = ready();
      set({ points: [...settings.points, ...points].slice(-200) });
      if (!started && !game.wanted) play(true);
    });

    const key = (kind, text) => element("span", { className: "lab-key" }, element("i", { className: `lab-swatch ${kind}` }), text);
    const legend = element("p", { className: "lab-legend" }, key("dot real", "real points"), key("dot fake", "generated points"), key("fake", "way that a point's loss falls"), key("area", "discriminator: real (blue), generated (orange)"));
    const stage = element("div", { className: "lab-stage" }, element("div", { className: "lab-screen" }, canvas, drawing.cross), legend, status);
    const side = element("div", { className: "lab-side" }, element("div", { className: "lab-counts" }, stepsNode, modesNode), ...curves.map(({ figure }) => figure), ...(small ? [] : [changes]));
    const link = element("a", { href: `${folder}../../book/lab.html#preset=${root.dataset.preset ?? "healthy"}`, textContent: "Open this in the lab" });
    const foot = small ? [element("p", { className: "lab-caption" }, "A generator (orange) and a discriminator (the surface), training in this page. ", link)] : [controls];
    root.replaceChildren(stories, note, bar, element("div", { className: "lab-main" }, stage, side), ...foot);
    new ResizeObserver(() => { if (game.frame) show(game.frame); }).observe(canvas);
    root.lab = {
      get step() { return game.frame?.step ?? 0; },
      get modes() { return game.frame?.modes ?? 0; },
      get lossD() { return game.lossD; },
      get lossG() { return game.lossG; },
      get parts() { return game.frame?.parts.length ?? 0; },
      get frames() { return game.frames; },
      get playing() { return game.wanted; },
      get settings() { return settings; },
    };
    if (!small) addEventListener("hashchange", () => { const found = read(location.hash); if (found) set(found, true); });
    restart();
    refresh();
    if (!small && !still.matches) play(true);
  }

  /** Drawing on a canvas by pointer, or by arrow keys and space; calls `add` with the new points. */
  function sketch(canvas, add) {
    const cross = element("div", { className: "lab-cross", hidden: true }), at = [0, 0];
    let enabled = false, last;
    const put = (p) => { last = p; add([p]); };
    const follow = (event) => {
      const box = canvas.getBoundingClientRect(), limit = (v) => Math.max(-1, Math.min(1, v)) * (engine.VIEW - 0.1);
      const p = [limit(2 * (event.clientX - box.left) / box.width - 1), limit(1 - 2 * (event.clientY - box.top) / box.height)];
      if (!last || Math.hypot(p[0] - last[0], p[1] - last[1]) > 0.06) put(p);
    };
    canvas.addEventListener("pointerdown", (event) => { if (enabled) { canvas.setPointerCapture(event.pointerId); last = null; follow(event); } });
    canvas.addEventListener("pointermove", (event) => { if (enabled && canvas.hasPointerCapture(event.pointerId)) follow(event); });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (!enabled || (!step && event.key !== " " && event.key !== "Enter")) return;
      event.preventDefault();
      event.stopPropagation();
      if (step) step.forEach((v, i) => { at[i] = Math.max(-1.5, Math.min(1.5, at[i] + v)); });
      else put([...at]);
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
    const [status, say] = speaker(), first = button("Train on digits here (0.6 MB)", open, "lab-button primary");
    root.append(first, status);
    async function open() {
      first.disabled = true;
      say("Loading 6,000 digits.", true);
      try {
        globalThis.ganLabDigits ?? await load("script", "digits.js");
        build();
      } catch (error) {
        first.disabled = false;
        say(`The digits could not be loaded (${error.message}). Press to try again.`, true);
      }
    }
    function build() {
      const settings = { data: "digits", loss: "ns", d: 1e-3, g: 5e-4, moves: 1, r1: 1, seed: 1 }, curves = [losses(), outputs()];
      const [stepsNode, steps] = counter("step"), [secondsNode, seconds] = counter("seconds");
      let time = 0, last = 0;
      const tiles = [0, 1].map(() => Array.from({ length: 24 }, () => element("canvas", { width: 14, height: 14, attributes: { "aria-hidden": "true" } })));
      const labels = tiles.map((list) => list.map(() => element("span")));
      const sheets = tiles.map((list, k) => element("section", { className: "lab-sheet" }, element("h3", { textContent: ["Generated", "Real"][k], className: ["fake", "real"][k] }),
        element("ol", {}, ...list.map((canvas, i) => element("li", {}, canvas, labels[k][i])))));
      const game = player(root, "digits", show);
      function show(frame) {
        const colors = palette(root);
        if (game.wanted && frame !== game.drawn && last) time += Math.min(1000, performance.now() - last);
        last = performance.now();
        if (frame !== game.drawn) {
          curves[0].add(frame.step, frame.lossD, frame.lossG);
          curves[1].add(frame.step, frame.outReal, frame.outFake);
          Object.assign(game, { drawn: frame, lossD: frame.lossD, lossG: frame.lossG });
        }
        for (const curve of curves) curve.draw(colors, true);
        steps.textContent = frame.step.toLocaleString("en");
        seconds.textContent = Math.round(time / 1000);
        [[frame.fakes, frame.scores], [frame.real, frame.realScores]].forEach(([images, scores], k) => scores.forEach((score, i) => {
          const pixels = new ImageData(14, 14);
          for (let j = 0; j < 196; j++) pixels.data.set([...colors.inkRGB, (images[196 * i + j] + 1) * 127.5], 4 * j);
          tiles[k][i].getContext("2d").putImageData(pixels, 0, 0);
          labels[k][i].textContent = number(score);
        }));
        say(describe(frame));
      }
      const mean = (list) => number(list.reduce((a, b) => a + b, 0) / list.length);
      const describe = ({ step, scores, realScores }) => `At step ${step.toLocaleString("en")} the discriminator gives the 24 real digits ${mean(realScores)} on average, and the 24 generated ones ${mean(scores)}.`;
      function play(wanted) {
        game.play(wanted);
        last = 0;
        toggle.textContent = wanted ? "Pause" : "Play";
        if (!wanted && game.frame) say(describe(game.frame), true);
      }
      const restart = () => { time = last = 0; for (const curve of curves) curve.clear(); game.start(settings); game.play(game.wanted); };
      const toggle = button("Play", () => play(!game.wanted), "lab-button primary");
      const bar = element("div", { className: "lab-bar", attributes: { role: "group", "aria-label": "Training on digits" } }, toggle, button("Restart", restart),
        button("New seed", () => { settings.seed = Math.floor(1000 * Math.random()); restart(); }));
      const counts = element("div", { className: "lab-counts" }, stepsNode, secondsNode);
      root.replaceChildren(bar, element("div", { className: "lab-sheets" }, ...sheets), element("div", { className: "lab-curves" }, counts, ...curves.map(({ figure }) => figure)), status);
      root.lab = { get step() { return game.frame?.step ?? 0; }, get lossD() { return game.lossD; }, get lossG() { return game.lossG; }, get frames() { return game.frames; }, get playing() { return game.wanted; }, get frame() { return game.frame; } };
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
    const sheet = document.querySelector('link[href$="lab/lab.css"]') ? null : load("link", "lab.css");
    await Promise.all([sheet, globalThis.ganLabEngine ?? load("script", "engine.js")]);
    engine ??= ganLabEngine();
    for (const root of roots) root.classList.add("built");
    for (const root of roots) if (root.dataset.lab === "digits") digits(root); else plane(root, root.dataset.lab === "plane");
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll);
  else startAll();
})();
