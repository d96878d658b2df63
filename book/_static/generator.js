// The generator of the chapter "To the floor" in the page: <div data-generator="digit"> becomes one digit with its
// controls, "referee" a sheet of digits that its referee accepts or rejects, "plane" a plane between four digits,
// "training" the digits of an earlier generator after each epoch. tools/export_generator.py writes what is loaded. No
// library.
"use strict";
(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");

  // ---- the network ----

  // The arrays of the export, each column after column: whole numbers in bit planes, times the scale of their row.
  const damaged = () => new Error("its weights are damaged");
  async function unpack({ bytes: size, checksum, arrays: layout }, parts) {
    let text;
    try { text = parts.map((part) => atob(part)).join(""); } catch { throw damaged(); }
    const bytes = Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
    let [a, b] = [1, 0]; // Adler-32, in steps that stay below 2 ** 53
    for (let i = 0; i < bytes.length; i++) {
      a += bytes[i];
      b += a;
      if (i % 4096 === 4095) [a, b] = [a % 65521, b % 65521];
    }
    if (bytes.length !== size || b % 65521 * 65536 + a % 65521 !== checksum) throw damaged();
    const arrays = {};
    let until = performance.now() + 30;
    for (const [name, [rows, columns, bits, offset]] of Object.entries(layout)) {
      const n = rows * columns, start = offset + 4 * rows, plane = Math.ceil(n / 8);
      const scale = new Float32Array(bytes.slice(offset, start).buffer);
      const values = arrays[name] = new Float32Array(n);
      for (let row = 0, i = 0; row < rows; row++) {
        if (performance.now() > until) { await rest(); until = performance.now() + 30; }
        for (let column = 0; column < columns; column++, i++) {
          let code = bytes[start + i] << 24 >> 24;
          for (let k = 0; k < bits - 8; k++) code = 2 * code + (bytes[start + n + k * plane + (i >> 3)] >> (i & 7) & 1);
          values[column * rows + row] = code * scale[row];
        }
      }
    }
    return arrays;
  }

  function linear(x, weight, bias) {
    const y = bias.slice(), m = y.length;
    for (let j = 0; j < x.length; j++) {
      if (x[j]) for (let i = 0, w = j * m; i < m; i++) y[i] += x[j] * weight[w + i];
    }
    return y;
  }

  // Convolution, kernel 4, stride 2, padding 1: (size, size, in) to (size / 2, size / 2, out).
  function downsample(x, size, weight, bias) {
    const inputs = x.length / size ** 2, outputs = bias.length, half = size / 2;
    const y = new Float32Array(half * half * outputs).map((_, i) => bias[i % outputs]);
    for (let row = 0; row < half; row++) for (let column = 0; column < half; column++) for (let tap = 0; tap < 16; tap++) {
      const above = 2 * row - 1 + (tap >> 2), left = 2 * column - 1 + (tap & 3);
      if (above < 0 || left < 0 || above >= size || left >= size) continue;
      const to = (row * half + column) * outputs, from = (above * size + left) * inputs;
      for (let c = 0; c < inputs; c++) {
        const value = x[from + c], w = (tap * inputs + c) * outputs;
        for (let i = 0; i < outputs; i++) y[to + i] += value * weight[w + i];
      }
    }
    return y;
  }

  // Transposed convolution, kernel 4, stride 2, padding 1: (size, size, in) to (2 size, 2 size, out).
  function upsample(x, size, weight, bias) {
    const inputs = x.length / size ** 2, outputs = bias.length, wide = 2 * size;
    const y = new Float32Array(wide * wide * outputs).map((_, i) => bias[i % outputs]);
    for (let row = 0; row < size; row++) for (let column = 0; column < size; column++) for (let tap = 0; tap < 16; tap++) {
      const below = 2 * row - 1 + (tap >> 2), right = 2 * column - 1 + (tap & 3);
      if (below < 0 || right < 0 || below >= wide || right >= wide) continue;
      const to = (below * wide + right) * outputs, from = (row * size + column) * inputs;
      for (let c = 0; c < inputs; c++) {
        const value = x[from + c], w = (tap * inputs + c) * outputs;
        if (value) for (let i = 0; i < outputs; i++) y[to + i] += value * weight[w + i];
      }
    }
    return y;
  }

  // Normalization with fixed statistics and the class: a scale and a shift for each channel, mixed as `mix` says; ReLU.
  function activate(x, scales, shifts, mix) {
    const channels = scales.length / 10, blend = (table, c) => mix.reduce((sum, m, d) => sum + m * table[c * 10 + d], 0);
    const scale = new Float32Array(channels).map((_, c) => blend(scales, c));
    const shift = new Float32Array(channels).map((_, c) => blend(shifts, c));
    for (let i = 0; i < x.length; i++) x[i] = Math.max(0, x[i] * scale[i % channels] + shift[i % channels]);
    return x;
  }

  // Noise (100) and the shares of the ten classes, which add up to 1, to an image (784) in [-1, 1].
  function generate(a, z, mix) {
    const h = activate(linear(z, a.project, a["project bias"]), a["scale 1"], a["shift 1"], mix);
    const x = activate(linear(h, a.expand, a["expand bias"]), a["scale 2"], a["shift 2"], mix);
    const y = activate(upsample(x, 7, a.up1, a["up1 bias"]), a["scale 3"], a["shift 3"], mix);
    return upsample(y, 14, a.up2, a["up2 bias"]).map(Math.tanh);
  }

  // An image (784) in the 256 shades that a screen shows.
  const shades = (image) => image.map((v) => Math.round((v + 1) * 127.5) / 127.5 - 1);

  // The probability that an image is real, as a discriminator sees it.
  function opinion(a, image) {
    const leaky = (x) => x.map((v) => (v < 0 ? 0.2 * v : v));
    const x = leaky(downsample(shades(image), 28, a.down1, a["down1 bias"]));
    const h = leaky(linear(leaky(downsample(x, 14, a.down2, a["down2 bias"])), a.shrink, a["shrink bias"]));
    return 1 / (1 + Math.exp(-linear(h, a.out, a["out bias"])[0]));
  }

  // The referee's estimate of log p(image, digit) of real images minus that of samples, up to a constant.
  function logRatio(a, image, digit) {
    const layer = (x, name) => linear(x, a[name], a[`${name} bias`]), relu = (x) => x.map((v) => Math.max(0, v));
    const x = relu(downsample(shades(image), 28, a.conv1, a["conv1 bias"]));
    const features = relu(layer(relu(downsample(x, 14, a.conv2, a["conv2 bias"])), "hidden")), logits = layer(features, "output");
    const label = Math.log(logits.reduce((sum, v) => sum + Math.exp(v - logits[digit]), 0));
    return layer(relu(layer(relu(layer(features, "ratio 1")), "ratio 2")), "ratio 3")[0] - label;
  }

  // ---- loading ----

  let attempt = 0;
  const script = (name) => new Promise((resolve, reject) => {
    const node = element("script", { src: `${folder}generator/${name}${attempt ? `?${attempt}` : ""}` });
    node.onload = () => { node.remove(); resolve(); };
    node.onerror = () => { node.remove(); attempt++; reject(new Error(`${name} did not load`)); };
    document.head.append(node);
  });
  globalThis.mlxganParts = {}; // what the scripts bring
  async function arrays(name, progress) {
    const { about } = mlxganParts;
    if (!about) throw damaged();
    const { parts } = about[name], numbers = Array.from({ length: parts }, (_, k) => k);
    let done = 0;
    mlxganParts[name] = [];
    progress(0);
    await Promise.all(numbers.map((k) => script(`${name}-${k}.js`).then(() => progress(++done / parts))));
    return unpack(about[name], mlxganParts[name]).catch((error) => { attempt++; throw error; });
  }
  async function loadGenerator(progress) {
    await script("weights.js");
    const a = await arrays("weights", progress), { about } = mlxganParts, draw = (z, mix) => generate(a, z, mix);
    const propose = (z, mix) => draw(z.map((v) => about.width * v), mix); // from normal noise, made as wide as it should be
    return globalThis.mlxganGenerator = { ...about, axes: a.directions, draw, propose, opinion: (image) => opinion(a, image) };
  }
  async function loadReferee(progress) {
    const a = await arrays("referee", progress), { rates } = mlxganParts.about;
    const chance = (ratio, digit, rate) => Math.min(1, Math.exp(ratio - rates[rate].thresholds[digit]));
    return globalThis.mlxganReferee = { logRatio: (image, digit) => logRatio(a, image, digit), chance };
  }

  // ---- small parts of the page ----

  function element(tag, properties = {}, ...children) {
    const { attributes = {}, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  let count = 0;
  const unique = (name) => `gan-${name}-${count++}`;
  const undrawn = { role: "img", "aria-label": "Not drawn yet" };
  const canvas = (width, height, className, attributes = undrawn) =>
    element("canvas", { width, height, className, attributes });
  const one = (digit) => Array.from({ length: 10 }, (_, d) => Number(d === digit));
  const number = (x, places = 1) => x.toFixed(places).replace("-", "−");
  const percent = (x) => (x < 0.01 ? "under 1%" : x > 0.99 ? "over 99%" : `${Math.round(100 * x)}%`);
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const rest = () => new Promise((resolve) => setTimeout(resolve)); // lets the page answer in between

  // Random numbers that a seed decides (mulberry32; Box and Muller), so that a link brings the same digits back.
  function random(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6D2B79F5) >>> 0;
      let t = Math.imul(state ^ state >>> 15, 1 | state);
      t = (t + Math.imul(t ^ t >>> 7, 61 | t)) ^ t;
      return ((t ^ t >>> 14) >>> 0) / 4294967296;
    };
  }
  function normal(uniform, n) {
    return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  // Black ink whose opacity is the pixel, so that it lies on any ground; the dark theme inverts it.
  function paint(target, image, x = 0, y = 0, strength = 1) {
    const pixels = new ImageData(28, 28);
    image.forEach((value, i) => { pixels.data[4 * i + 3] = strength * (value + 1) * 127.5; });
    target.getContext("2d").putImageData(pixels, x, y);
  }

  // A text that a screen reader says when it has come to rest.
  function status() {
    const node = element("p", { className: "gan-status", attributes: { role: "status", "aria-live": "polite" } });
    let timer;
    return [node, (text) => { clearTimeout(timer); timer = setTimeout(() => { node.textContent = text; }, 250); }];
  }

  function slider(label, ends, range, onInput) {
    const id = unique("slider"), input = element("input", { id, type: "range", ...range });
    input.addEventListener("input", () => onInput(Number(input.value)));
    const notes = ends.map((end) => element("span", { textContent: end, attributes: { "aria-hidden": "true" } }));
    const caption = element("label", { htmlFor: id, textContent: label });
    if (ends[0]) input.title = `${ends[0]} to ${ends[1]}`;
    return [element("div", { className: "gan-slider" }, caption, input, element("div", { className: "gan-ends" }, ...notes)), input];
  }

  function choice(legend, chosen, onChange) {
    const name = unique("digit");
    const inputs = one(chosen).map((checked, digit) => {
      const input = element("input", { type: "radio", name, value: digit, checked: Boolean(checked) });
      input.addEventListener("change", () => onChange(digit));
      return input;
    });
    const labels = inputs.map((input, digit) => element("label", {}, input, element("span", { textContent: digit })));
    return [element("fieldset", { className: "gan-digits" }, element("legend", { textContent: legend }), ...labels), inputs];
  }

  function button(text, act, className = "gan-button") {
    const made = element("button", { type: "button", className, textContent: text });
    made.addEventListener("click", act);
    return made;
  }

  // Draws a few pictures a frame, so that the page stays responsive; a newer call ends an older one.
  function painter() {
    let run = 0;
    return (jobs) => {
      const mine = ++run;
      let next = 0;
      const some = () => {
        const until = performance.now() + 8;
        while (mine === run && next < jobs.length && performance.now() < until) jobs[next++]();
        if (mine === run && next < jobs.length) requestAnimationFrame(some);
      };
      requestAnimationFrame(some);
    };
  }

  // ---- the state, which a link can hold: #digit=3&seed=7&to=9&turn=0.2&at=0,1.5,...&corners=3856&mix=50,0&rate=3&sheet=1 ----
  // The noise stands on the way from that of one seed to that of another; `at` is where it lies along the directions.
  // `rate` is the place of an acceptance rate among those of the export, `sheet` the seed of a sheet.

  const START = { digit: 3, seed: 1, to: 1, turn: 0, at: null, corners: [3, 8, 5, 6], mix: [50, 0], rate: 3, sheet: 1 };
  function read() {
    const given = new URLSearchParams(location.hash.slice(1)), state = structuredClone(START);
    const numbers = (text, length, low, high) => {
      const values = (text ?? "").split(",").map(Number);
      return values.length === length && values.every(Number.isFinite) ? values.map((value) => clamp(value, low, high)) : null;
    };
    if (/^\d$/.test(given.get("digit"))) state.digit = Number(given.get("digit"));
    for (const name of ["seed", "to", "sheet"]) if (/^\d{1,9}$/.test(given.get(name))) state[name] = Number(given.get(name));
    [state.turn] = numbers(given.get("turn"), 1, 0, 1) ?? [0];
    state.at = numbers(given.get("at"), 6, -3.5, 3.5);
    if (/^\d{4}$/.test(given.get("corners"))) state.corners = [...given.get("corners")].map(Number);
    state.mix = numbers(given.get("mix"), 2, 0, 100) ?? state.mix;
    if (/^[0-5]$/.test(given.get("rate"))) state.rate = Number(given.get("rate"));
    return state;
  }
  const state = read(), fresh = () => Math.floor(1e9 * Math.random());
  let keeping;
  function keep() { // browsers refuse to change the address too often
    clearTimeout(keeping);
    keeping = setTimeout(() => history.replaceState(null, "", `#${link()}`), 300);
  }
  const link = () => `digit=${state.digit}&seed=${state.seed}&to=${state.to}&turn=${state.turn}&at=${state.at.join(",")}&corners=${state.corners.join("")}&mix=${state.mix.join(",")}&rate=${state.rate}&sheet=${state.sheet}`;

  // ---- one digit: class, handwriting, new sample ----

  let shown, referee, ask = () => {}; // its noise; the referee, once it is there; what asks it about the digit
  const listeners = []; // who is told of a new digit
  function single(root, model) {
    const directions = model.directions, steps = [-3, -2, -1, 0, 1, 2, 3], draft = painter();
    const picture = canvas(28, 28, "gan-picture"), [said, say] = status();
    const verdict = element("p", { className: "gan-verdict" }), bar = element("div", { className: "gan-opinion", attributes: { "aria-hidden": "true" } });
    const ruling = element("p", { className: "gan-verdict gan-ruling" });
    let left, walking = 0; // the noise without its part along the directions
    const noise = (at = state.at) => left.map((r, i) => at.reduce((sum, p, k) => sum + p * model.axes[i * directions.length + k], r));
    const where = () => directions.map(({ name }, k) => `${name.toLowerCase()} ${number(state.at[k])}`).join(", ");
    function split(z) {
      const along = directions.map((_, k) => z.reduce((sum, v, i) => sum + v * model.axes[i * directions.length + k], 0));
      left = z.map((v, i) => along.reduce((sum, p, k) => sum - p * model.axes[i * directions.length + k], v));
      return along.map((p) => Math.round(10 * clamp(p, -3.5, 3.5)) / 10);
    }
    function show() {
      const z = shown = noise(), image = model.propose(z, one(state.digit)), real = model.opinion(image);
      paint(picture, image);
      bar.style.setProperty("--opinion", real);
      verdict.textContent = `The discriminator: ${percent(real)} real`;
      ask = () => {
        if (!referee) return ruling.textContent = "The referee comes with the sheet below";
        const ratio = referee.logRatio(image, state.digit), chance = referee.chance(ratio, state.digit, state.rate);
        ruling.textContent = `The referee accepts ${chance < 1 ? percent(chance) : "all"} of such digits (log ratio ${number(ratio, 2)})`;
      };
      ask();
      if (walking) return;
      picture.setAttribute("aria-label", `A generated ${state.digit}; ${where()}`);
      say(`A generated ${state.digit}: ${where()}.`);
      keep();
      draft(sliders.flatMap(({ strip }, k) => steps.map((step, place) => () => {
        paint(strip, model.propose(noise(state.at.map((p, other) => (other === k ? step : p))), one(state.digit)), 28 * place, 0);
      })));
      for (const listener of listeners) listener();
    }
    // Each slider has the digits that it leads to above it.
    const sliders = directions.map(({ name, ends }, k) => {
      const [row, input] = slider(name, ends, { min: -3.5, max: 3.5, step: 0.1 }, (value) => { stop(); state.at[k] = value; show(); });
      const strip = canvas(28 * steps.length, 28, "gan-way", { role: "presentation" });
      row.insertBefore(strip, input);
      return { row, input, strip };
    });
    const place = (at) => {
      state.at = at;
      sliders.forEach(({ input }, k) => { input.value = at[k]; });
    };
    // On a circle around the origin, as noise lies (see "Generating").
    function base() {
      const from = normal(random(state.seed), 100), to = normal(random(state.to), 100), angle = Math.PI / 2 * state.turn;
      return from.map((v, i) => Math.cos(angle) * v + Math.sin(angle) * to[i]);
    }
    function restore(at) {
      const own = split(base());
      place(at ?? own);
      show();
    }
    function sample() {
      stop();
      Object.assign(state, { seed: fresh(), turn: 0 });
      restore();
    }
    function walk() {
      if (walking) return stop();
      const mine = walking = fresh() + 1, own = split(base());
      let moved = state.at.map((p, k) => p - own[k]), began = performance.now() - 2600 * state.turn;
      if (!state.turn) state.to = fresh();
      walker.textContent = "Stop";
      walker.setAttribute("aria-pressed", "true");
      const step = (now) => {
        if (mine !== walking) return;
        state.turn = Math.round(1000 * Math.max(0, now - began) / 2600) / 1000;
        if (state.turn >= 1) {
          Object.assign(state, { seed: state.to, to: fresh(), turn: 0 });
          [began, moved] = [now, moved.map(() => 0)];
        }
        place(split(base()).map((p, k) => Math.round(10 * clamp(p + (1 - state.turn) * moved[k], -3.5, 3.5)) / 10));
        show();
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }
    function stop() {
      if (!walking) return;
      walking = 0;
      walker.textContent = "Walk";
      walker.setAttribute("aria-pressed", "false");
      show();
    }
    function save() {
      const large = canvas(280, 280), to = large.getContext("2d");
      to.fillStyle = "#fff";
      to.fillRect(0, 0, 280, 280);
      to.imageSmoothingEnabled = false;
      to.drawImage(picture, 0, 0, 280, 280);
      element("a", { href: large.toDataURL(), download: `generated-${state.digit}.png` }).click();
    }
    async function share() {
      keep();
      const address = `${location.href.split("#")[0]}#${link()}`;
      try {
        await navigator.clipboard.writeText(address);
        say("The link is copied: it brings back this digit.");
      } catch {
        say("Copy the address of this page: it brings back this digit.");
      }
    }
    const [digits, inputs] = choice("Digit", state.digit, (digit) => { state.digit = digit; show(); });
    const walker = button("Walk", walk, "gan-quiet");
    walker.setAttribute("aria-pressed", "false");
    const bring = (wanted) => {
      stop();
      Object.assign(state, wanted);
      inputs[state.digit].checked = true;
      restore(state.at);
    };
    const reset = () => bring(structuredClone(START));
    const hands = element("fieldset", { className: "gan-sliders" }, element("legend", { textContent: "Handwriting" }), ...sliders.map(({ row }) => row));
    const acts = element("div", { className: "gan-acts" }, button("New sample", sample),
      walker, button("Reset", reset, "gan-quiet"), button("Save picture", save, "gan-quiet"), button("Copy link", share, "gan-quiet"));
    root.replaceChildren(element("div", { className: "gan-columns" }, element("div", { className: "gan-view" }, picture, element("div", {}, verdict, bar, ruling, said)),
      element("div", { className: "gan-controls" }, digits, acts, hands)));
    restore(state.at);
    addEventListener("hashchange", () => {
      if (location.hash.includes("=")) bring(read()); // otherwise a section of the page
    });
  }

  // ---- the referee and a sheet of digits, each class a column, of which it rejects some ----

  function sheet(root, model) {
    const rows = 5, board = canvas(280, 28 * rows, "gan-sheet"), [said, say] = status(), draft = painter();
    const listed = document.querySelectorAll(".gan-rates tbody tr");
    let seed, digits;
    // Each digit has a coin of its own, so that a stricter referee rejects more of the same.
    const passes = ({ ratio, digit, coin }) => coin < referee.chance(ratio, digit, state.rate);
    const put = (one) => paint(board, one.image, 28 * one.digit, 28 * one.row, passes(one) ? 1 : 0.15);
    function tell() {
      const { rate, fid, precision, recall } = model.rates[state.rate], at = rate < 1 ? `At ${percent(rate)}` : "Without a referee";
      const counted = `${digits.filter(passes).length} of ${digits.length} digits accepted`;
      board.setAttribute("aria-label", `A sheet of generated digits, five of each; ${counted}`);
      say(`${counted}. ${at}, the judge finds an FID of ${fid[0].toFixed(2)}, a precision of ${precision[0].toFixed(3)} and a recall of ${recall[0].toFixed(3)}.`);
    }
    function show() {
      const { rate } = model.rates[state.rate], text = `${Math.round(100 * rate)}%`;
      input.value = state.rate;
      input.setAttribute("aria-valuetext", text);
      value.textContent = text;
      listed.forEach((row, k) => row.setAttribute("aria-current", k === state.rate));
      digits.forEach(put);
      if (digits.length === 10 * rows) tell();
      ask();
    }
    function renew() {
      if (seed !== state.sheet) {
        const uniform = random(seed = state.sheet), mine = digits = [];
        board.getContext("2d").clearRect(0, 0, board.width, board.height);
        draft(Array.from({ length: 10 * rows }, (_, place) => () => {
          const digit = place % 10, image = model.propose(normal(uniform, 100), one(digit));
          mine.push({ image, digit, row: Math.floor(place / 10), coin: uniform(), ratio: referee.logRatio(image, digit) });
          put(mine.at(-1));
          if (mine.length === 10 * rows) tell();
        }));
      }
      show();
    }
    const value = element("output", {});
    const [row, input] = slider("Acceptance rate", ["no referee", "strict"], { min: 0, max: model.rates.length - 1 }, (place) => { state.rate = place; show(); keep(); });
    row.insertBefore(value, input);
    const again = button("New sheet", () => { state.sheet = fresh(); renew(); keep(); });
    root.replaceChildren(board, element("div", { className: "gan-strict" }, row, again), said);
    renew();
    listeners.push(() => { if (seed !== state.sheet || Number(input.value) !== state.rate) renew(); });
  }

  // ---- a plane with a class in each corner: every point is a mix of the four, with the noise of the digit above ----

  function plane(root, model) {
    const tiles = 7, map = canvas(28 * tiles, 28 * tiles, "gan-map"), picture = canvas(28, 28, "gan-picture"), fill = painter();
    const knob = element("div", { className: "gan-knob" }), [said, say] = status();
    let z;
    map.setAttribute("aria-label", "A plane of 49 digits that change from corner to corner");
    function mixAt(u, v) {
      const mix = one(-1);
      [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v].forEach((share, k) => { mix[state.corners[k]] += share; });
      return mix;
    }
    function show() {
      const [x, y] = state.mix.map((share) => share / 100), mix = mixAt(x, y);
      paint(picture, model.propose(z, mix));
      const parts = mix.map((share, digit) => [Math.round(100 * share), digit]).filter(([share]) => share).sort((a, b) => b[0] - a[0]);
      const text = parts.map(([share, digit]) => `${share}% of ${digit}`).join(", ");
      picture.setAttribute("aria-label", `A generated digit, a mix: ${text}`);
      say(`A mix: ${text}.`);
      knob.style.left = `${100 * (x * (tiles - 1) + 0.5) / tiles}%`; // 0 and 1 are the middles of the outer tiles
      knob.style.top = `${100 * (y * (tiles - 1) + 0.5) / tiles}%`;
      [across.value, down.value] = state.mix;
    }
    const redraw = () => fill(Array.from({ length: tiles ** 2 }, (_, tile) => () => {
      const column = tile % tiles, row = Math.floor(tile / tiles);
      paint(map, model.propose(z, mixAt(column / (tiles - 1), row / (tiles - 1))), 28 * column, 28 * row);
    }));
    const move = (k, value) => { state.mix[k] = value; show(); keep(); };
    const [acrossRow, across] = slider("Left to right", ["", ""], { min: 0, max: 100 }, (value) => move(0, value));
    const [downRow, down] = slider("Top to bottom", ["", ""], { min: 0, max: 100 }, (value) => move(1, value));
    const field = element("div", { className: "gan-plane" }, map, knob);
    const follow = (event) => {
      const box = field.getBoundingClientRect();
      const place = (share) => Math.round(100 * clamp((share * tiles - 0.5) / (tiles - 1), 0, 1));
      state.mix = [place((event.clientX - box.left) / box.width), place((event.clientY - box.top) / box.height)];
      show();
      keep();
    };
    field.addEventListener("pointerdown", (event) => { field.setPointerCapture(event.pointerId); follow(event); });
    field.addEventListener("pointermove", (event) => { if (field.hasPointerCapture(event.pointerId)) follow(event); });
    const selects = ["Upper left", "Upper right", "Lower left", "Lower right"].map((label, k) => {
      const select = element("select", {}, ...one(state.corners[k]).map((chosen, digit) => new Option(digit, digit, false, Boolean(chosen))));
      select.addEventListener("change", () => { state.corners[k] = Number(select.value); show(); redraw(); keep(); });
      return element("label", {}, element("span", { textContent: label }), select);
    });
    const controls = element("div", { className: "gan-controls" }, element("div", { className: "gan-result" }, picture, said),
      element("fieldset", { className: "gan-corners" }, element("legend", { textContent: "Corners" }), ...selects), acrossRow, downRow);
    root.replaceChildren(element("div", { className: "gan-columns" }, field, controls));
    const renew = () => {
      z = shown;
      selects.forEach((label, k) => { label.lastChild.value = state.corners[k]; });
      show();
      redraw();
    };
    renew();
    listeners.push(renew);
  }

  // ---- ten fixed noise vectors, one a digit, as the generator drew them after each epoch: a window on epochs.png ----

  function training(root, { epochs }) {
    const [said, say] = status(), sprite = `url("${folder}generator/epochs.png")`;
    const cells = one(0).map((_, digit) => {
      const cell = element("span", {});
      cell.style.cssText = `background-image: ${sprite}; background-size: 1000% ${100 * (epochs + 1)}%; background-position-x: ${digit / 9 * 100}%`;
      return cell;
    });
    const strip = element("div", { className: "gan-strip", attributes: undrawn }, ...cells);
    function show(epoch) {
      for (const cell of cells) cell.style.backgroundPositionY = `${epoch / epochs * 100}%`;
      const text = epoch ? `The digits 0 to 9 after epoch ${epoch} of ${epochs}` : "The digits 0 to 9 before training: an even gray";
      strip.setAttribute("aria-label", text);
      say(`${text}.`);
    }
    const [row] = slider("Epoch", ["untrained", `epoch ${epochs}`], { min: 0, max: epochs, value: epochs }, show);
    root.replaceChildren(strip, row, said);
    show(epochs);
  }

  // ---- start ----

  const builders = { digit: single, referee: summon, plane, training };

  // Shows how much has come, then builds; or says what did not come, with a way to try again.
  async function open(root, name, size, load, build) {
    const bar = element("progress", { max: 1, attributes: { "aria-label": `loading the ${name}` } }), [said, say] = status();
    const wait = element("div", { className: "gan-wait" }, bar, said);
    root.replaceChildren(wait);
    say(`Loading the ${name}: ${size} MB of weights.`);
    try {
      await build(await load((share) => { bar.value = share; }));
    } catch (error) {
      bar.remove();
      say(`The ${name} could not be loaded: ${error.message}.`);
      wait.append(button("Try again", () => open(root, name, size, load, build)));
    }
  }

  // The referee comes when its sheet is about to be seen.
  function summon(root, model) {
    const observer = new IntersectionObserver((seen) => {
      if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      open(root, "referee", (model.referee.bytes / 1e6).toFixed(1), loadReferee, (found) => { referee = found; sheet(root, model); });
    }, { rootMargin: "100px" });
    observer.observe(root);
  }

  function start() {
    const roots = [...document.querySelectorAll("[data-generator]")];
    for (const root of roots) root.classList.add("gan");
    const begin = () => open(roots[0], "generator", 2, loadGenerator, async (model) => {
      for (const root of roots) {
        await rest();
        builders[root.dataset.generator](root, model);
      }
    });
    if (document.readyState === "complete") begin();
    else addEventListener("load", begin);
  }
  start();
})();
