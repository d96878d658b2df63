// The conditional generator of chapter 10 in the page. Every <div data-generator> becomes a generator: the whole one,
// or with data-generator="small" one digit and its controls, loaded after a press. tools/export_generator.py writes
// what is loaded. No library; what stands in the div is shown until the weights are there.
"use strict";
(() => {
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${folder}generator.css` });
  document.head.append(style);

  // ---- the network ----

  // The arrays of the export, each column after column: whole numbers in bit planes, times the scale of their row.
  function unpack(weights) {
    const text = atob(weights.data), bytes = new Uint8Array(text.length), arrays = {};
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    for (const [name, [rows, columns, bits, offset]] of Object.entries(weights.arrays)) {
      const n = rows * columns, start = offset + 4 * rows, plane = Math.ceil(n / 8);
      const scale = new Float32Array(bytes.slice(offset, start).buffer);
      const values = arrays[name] = new Float32Array(n);
      for (let row = 0, i = 0; row < rows; row++) {
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

  // Normalisation with fixed statistics and the class: a scale and a shift for each channel, mixed as `mix` says; ReLU.
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

  // ---- loading ----

  let loading; // the weights come once, for all generators of the page
  const load = () => loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${folder}generator/weights.js`;
    script.onload = () => {
      const weights = globalThis.mlxganWeights, arrays = unpack(weights);
      const draw = (z, mix) => generate(arrays, z, mix);
      resolve(globalThis.mlxganGenerator = { ...weights, data: undefined, axes: arrays.directions, draw });
    };
    script.onerror = () => { loading = undefined; script.remove(); reject(new Error("weights.js was not loaded")); };
    document.head.append(script);
  });

  // ---- the page ----

  function element(tag, properties = {}, ...children) {
    const { attributes = {}, ...rest } = properties, made = Object.assign(document.createElement(tag), rest);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }
  let count = 0;
  const unique = (name) => `gan-${name}-${count++}`;
  const canvas = (size, className) => element("canvas", { width: size, height: size, className, attributes: { role: "img" } });
  const one = (digit) => Array.from({ length: 10 }, (_, d) => Number(d === digit));
  const number = (x) => x.toFixed(1).replace("-", "−");
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

  // Black ink whose opacity is the pixel, so that it lies on any ground; the dark theme inverts it.
  function paint(target, image, x = 0, y = 0) {
    const pixels = new ImageData(28, 28);
    image.forEach((value, i) => { pixels.data[4 * i + 3] = (value + 1) * 127.5; });
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
    const options = one(chosen).map((checked, digit) => {
      const input = element("input", { type: "radio", name, value: digit, checked: Boolean(checked) });
      input.addEventListener("change", () => onChange(digit));
      return element("label", {}, input, element("span", { textContent: digit }));
    });
    return element("fieldset", { className: "gan-digits" }, element("legend", { textContent: legend }), ...options);
  }

  const panel = (title, text, ...children) => element("section", { className: "gan-panel" },
    element("h3", { textContent: title }), element("p", { textContent: text }), ...children);

  // One digit: class, handwriting, new sample. `changed(z)` is told of each new noise.
  function single(model, shown, changed) {
    const directions = model.directions, picture = canvas(28, "gan-picture"), [said, say] = status();
    let digit = 3, rest, place;
    const noise = () => rest.map((r, i) => place.reduce((sum, p, k) => sum + p * model.axes[i * directions.length + k], r));
    function show() {
      const z = noise();
      paint(picture, model.draw(z, one(digit)));
      const where = directions.slice(0, shown).map(({ name }, k) => `${name.toLowerCase()} ${number(place[k])}`).join(", ");
      picture.setAttribute("aria-label", `A generated ${digit}; ${where}`);
      say(`A generated ${digit}: ${where}.`);
      changed(z);
    }
    const sliders = directions.slice(0, shown).map(({ name, ends }, k) =>
      slider(name, ends, { min: -3.5, max: 3.5, step: 0.1 }, (value) => { place[k] = value; show(); }));
    function sample() { // the sliders show its place along the directions; the rest of the noise has no slider
      const z = Array.from({ length: 100 }, normal);
      const along = directions.map((_, k) => z.reduce((sum, v, i) => sum + v * model.axes[i * directions.length + k], 0));
      rest = z.map((v, i) => along.reduce((left, p, k) => left - p * model.axes[i * directions.length + k], v));
      place = along.map((p) => Math.round(10 * Math.min(3.5, Math.max(-3.5, p))) / 10);
      sliders.forEach(([, input], k) => { input.value = place[k]; });
      show();
    }
    const button = element("button", { type: "button", className: "gan-button", textContent: "New sample" });
    button.addEventListener("click", sample);
    const hands = element("fieldset", { className: "gan-sliders" }, element("legend", { textContent: "Handwriting" }), ...sliders.map(([row]) => row));
    sample();
    const controls = element("div", { className: "gan-controls" }, choice("Digit", digit, (chosen) => { digit = chosen; show(); }), hands, button);
    return element("div", { className: "gan-columns" }, element("div", {}, picture, said), controls);
  }

  // A plane with a class in each corner: every point is a mix of the four, drawn with the noise of the single digit.
  function plane(model) {
    const tiles = 7, corners = [3, 8, 5, 6], map = canvas(28 * tiles, "gan-map"), picture = canvas(28, "gan-picture");
    const knob = element("div", { className: "gan-knob" }), [said, say] = status();
    let x = 0.5, y = 0, z, run = 0; // between the upper two
    map.setAttribute("aria-label", "A plane of 49 digits that change from corner to corner");
    function mixAt(u, v) {
      const mix = one(-1);
      [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v].forEach((share, k) => { mix[corners[k]] += share; });
      return mix;
    }
    function show() {
      const mix = mixAt(x, y);
      paint(picture, model.draw(z, mix));
      const parts = mix.map((share, digit) => [Math.round(100 * share), digit]).filter(([share]) => share).sort((a, b) => b[0] - a[0]);
      const text = parts.map(([share, digit]) => `${share}\u00a0% of ${digit}`).join(", ");
      picture.setAttribute("aria-label", `A generated digit, a mix: ${text}`);
      say(`A mix: ${text}.`);
      knob.style.left = `${100 * (x * (tiles - 1) + 0.5) / tiles}%`; // 0 and 1 are the middles of the outer tiles
      knob.style.top = `${100 * (y * (tiles - 1) + 0.5) / tiles}%`;
      across.value = Math.round(100 * x);
      down.value = Math.round(100 * y);
    }
    function fill() { // a few tiles a frame, so that the page stays responsive; a newer call ends an older one
      const mine = ++run;
      let tile = 0;
      const some = () => {
        const until = performance.now() + 8;
        while (mine === run && tile < tiles ** 2 && performance.now() < until) {
          const column = tile % tiles, row = Math.floor(tile / tiles);
          paint(map, model.draw(z, mixAt(column / (tiles - 1), row / (tiles - 1))), 28 * column, 28 * row);
          tile++;
        }
        if (mine === run && tile < tiles ** 2) requestAnimationFrame(some);
      };
      some();
    }
    const [acrossRow, across] = slider("Left to right", ["", ""], { min: 0, max: 100, value: 50 }, (value) => { x = value / 100; show(); });
    const [downRow, down] = slider("Top to bottom", ["", ""], { min: 0, max: 100, value: 50 }, (value) => { y = value / 100; show(); });
    const field = element("div", { className: "gan-plane" }, map, knob);
    const follow = (event) => {
      const box = field.getBoundingClientRect();
      const place = (share) => Math.min(1, Math.max(0, (share * tiles - 0.5) / (tiles - 1)));
      [x, y] = [place((event.clientX - box.left) / box.width), place((event.clientY - box.top) / box.height)];
      show();
    };
    field.addEventListener("pointerdown", (event) => { field.setPointerCapture(event.pointerId); follow(event); });
    field.addEventListener("pointermove", (event) => { if (field.hasPointerCapture(event.pointerId)) follow(event); });
    const selects = ["Upper left", "Upper right", "Lower left", "Lower right"].map((label, k) => {
      const select = element("select", {}, ...one(corners[k]).map((chosen, digit) => new Option(digit, digit, false, Boolean(chosen))));
      select.addEventListener("change", () => { corners[k] = Number(select.value); show(); fill(); });
      return element("label", {}, element("span", { textContent: label }), select);
    });
    const controls = element("div", { className: "gan-controls" }, element("div", { className: "gan-result" }, picture, said),
      element("fieldset", { className: "gan-corners" }, element("legend", { textContent: "Corners" }), ...selects), acrossRow, downRow);
    return [element("div", { className: "gan-columns" }, field, controls), (noise) => { z = noise; show(); fill(); }];
  }

  // Ten fixed noise vectors, one a digit, as the generator drew them after each epoch: a window on epochs.png.
  function training(epochs) {
    const [said, say] = status(), sprite = `url("${folder}generator/epochs.png")`;
    const cells = one(0).map((_, digit) => {
      const cell = element("span", {});
      cell.style.cssText = `background-image: ${sprite}; background-size: 1000% ${100 * (epochs + 1)}%; background-position-x: ${digit / 9 * 100}%`;
      return cell;
    });
    const strip = element("div", { className: "gan-strip", attributes: { role: "img" } }, ...cells);
    function show(epoch) {
      for (const cell of cells) cell.style.backgroundPositionY = `${epoch / epochs * 100}%`;
      const text = epoch ? `The digits 0 to 9 after epoch ${epoch} of ${epochs}` : "The digits 0 to 9 before training: grey noise";
      strip.setAttribute("aria-label", text);
      say(`${text}.`);
    }
    const [row] = slider("Epoch", ["untrained", `epoch ${epochs}`], { min: 0, max: epochs, value: epochs }, show);
    show(epochs);
    return element("div", { className: "gan-training" }, strip, row, said);
  }

  function build(root, model, small) {
    if (small) return root.replaceChildren(single(model, 2, () => {}));
    const [field, setNoise] = plane(model);
    const parts = [
      panel("Choose a digit", "The class and the noise decide together what is drawn.", single(model, model.directions.length, setNoise)),
      panel("Between four digits", "The handwriting of the digit above, and a mix of four classes. Drag the point.", field),
    ];
    if (model.epochs) parts.push(panel("How it learnt", "The same ten noise vectors after each epoch of the training.", training(model.epochs)));
    root.replaceChildren(...parts);
  }

  function start(root) {
    const small = root.dataset.generator === "small", [said, say] = status();
    const button = element("button", { type: "button", className: "gan-button", textContent: "Draw digits here (2.6 MB)" });
    root.classList.add("gan");
    const open = async () => {
      button.disabled = true;
      say("Loading the generator's weights.");
      try {
        build(root, await load(), small);
        if (small) root.querySelector("input").focus();
      } catch (error) {
        say(`The generator could not be loaded (${error.message}). Press to try again.`);
        button.disabled = false;
        root.append(button, said);
      }
    };
    button.addEventListener("click", open);
    root.append(...(small ? [button, said] : [said]));
    if (small) return;
    new IntersectionObserver(([entry], observer) => {
      if (entry.isIntersecting) { observer.disconnect(); open(); }
    }).observe(root);
  }

  const startAll = () => document.querySelectorAll("[data-generator]:not(.gan)").forEach(start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll);
  else startAll();
})();
