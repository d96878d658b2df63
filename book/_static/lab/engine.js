// The mathematics of the lab: two small networks, their losses with all gradients, Adam, the data, and a session that
// trains. It stands in one function without outer names, so that lab.js can start a worker from its text (a page opened
// from file:// may not load a worker by its address). Node can load this file too.
"use strict";
function ganLabEngine() {
  // ---- random numbers ----

  /** Mulberry32: uniform numbers in [0, 1) that depend on the seed alone. */
  function uniforms(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  /** Normal numbers from uniform ones (Box and Muller). */
  const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  const noise = (n, size, random) => Float64Array.from({ length: n * size }, () => normal(random));

  const last = (list) => list[list.length - 1];

  // ---- matrices, row after row ----

  /** C (m x n) += A (m x k) times B (k x n). Row and column of A and of B lie `ai`, `al` and `bl`, `bj` apart, so that
   * a transposed matrix needs no copy. In blocks of 2 x 4 sums, which stay in registers. */
  function multiply(a, ai, al, b, bl, bj, c, m, n, k) {
    const m2 = m - m % 2, n4 = n - n % 4;
    for (let j = 0; j < n4; j += 4) {
      for (let i = 0; i < m2; i += 2) {
        let p0 = 0, p1 = 0, p2 = 0, p3 = 0, q0 = 0, q1 = 0, q2 = 0, q3 = 0;
        let a0 = i * ai, a1 = a0 + ai, b0 = j * bj, b1 = b0 + bj, b2 = b1 + bj, b3 = b2 + bj;
        for (let l = 0; l < k; l++) {
          const x = a[a0], y = a[a1], w0 = b[b0], w1 = b[b1], w2 = b[b2], w3 = b[b3];
          p0 += x * w0; p1 += x * w1; p2 += x * w2; p3 += x * w3;
          q0 += y * w0; q1 += y * w1; q2 += y * w2; q3 += y * w3;
          a0 += al; a1 += al; b0 += bl; b1 += bl; b2 += bl; b3 += bl;
        }
        const p = i * n + j, q = p + n;
        c[p] += p0; c[p + 1] += p1; c[p + 2] += p2; c[p + 3] += p3;
        c[q] += q0; c[q + 1] += q1; c[q + 2] += q2; c[q + 3] += q3;
      }
    }
    for (let i = 0; i < m; i++) { // what is left: the last columns, and the last row
      for (let j = i < m2 ? n4 : 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a[i * ai + l * al] * b[l * bl + j * bj];
        c[i * n + j] += sum;
      }
    }
  }

  // ---- networks ----

  const SLOPE = 0.2; // of the leaky ReLU

  /** A network of linear layers with leaky ReLUs between them, and a tanh at the end if `squash`. Its parameters lie in
   * one array; layer l has a matrix W (outputs x inputs) and a bias. They start as MLX's nn.Linear does. */
  function network(sizes, squash, random) {
    const layers = [];
    let size = 0;
    for (let l = 1; l < sizes.length; l++) {
      layers.push({ inputs: sizes[l - 1], outputs: sizes[l], start: size });
      size += (sizes[l - 1] + 1) * sizes[l];
    }
    const net = { sizes, squash, size, layers, buffers: new Map() };
    for (const name of ["values", "gradient", "m", "v"]) net[name] = new Float64Array(size);
    net.steps = 0;
    for (const layer of layers) {
      const end = layer.start + layer.inputs * layer.outputs, part = (name) => [net[name].subarray(layer.start, end), net[name].subarray(end, end + layer.outputs)];
      [layer.weight, layer.bias] = part("values");
      [layer.weightGradient, layer.biasGradient] = part("gradient");
      const bound = 1 / Math.sqrt(layer.inputs);
      for (let i = layer.start; i < end + layer.outputs; i++) net.values[i] = bound * (2 * random() - 1);
    }
    return net;
  }

  /** A buffer of the network under a name, made once. */
  function buffer(net, name, size) {
    const key = `${name} ${size}`;
    if (!net.buffers.has(key)) net.buffers.set(key, new Float64Array(size));
    return net.buffers.get(key);
  }

  /** Forward pass of n rows: h_0 = x, h_l = f(W_l h_(l-1) + b_l). Returns all h; `name` keeps the buffers apart. */
  function forward(net, x, n, name = "") {
    const h = [x];
    net.layers.forEach(({ inputs, outputs, weight, bias }, l) => {
      const y = buffer(net, `h${l} ${name}`, n * outputs), hidden = l < net.layers.length - 1;
      for (let i = 0; i < n; i++) y.set(bias, i * outputs);
      multiply(h[l], inputs, 1, weight, 1, inputs, y, n, outputs, inputs);
      if (hidden) for (let i = 0; i < y.length; i++) y[i] = y[i] > 0 ? y[i] : SLOPE * y[i];
      else if (net.squash) for (let i = 0; i < y.length; i++) y[i] = Math.tanh(y[i]);
      h.push(y);
    });
    return h;
  }

  /** Backward pass from `seed`, the gradient at the output: d_L = seed, d_(l-1) = (d_l W_l) f'. Returns all d; d_0 is
   * the gradient with respect to the input, left out unless `toInput`. */
  function backward(net, h, seed, n, toInput, name = "") {
    const depth = net.layers.length, d = [];
    d[depth] = seed;
    if (net.squash) for (let i = 0; i < seed.length; i++) seed[i] *= 1 - h[depth][i] ** 2;
    for (let l = depth - 1; l >= (toInput ? 0 : 1); l--) {
      const { inputs, outputs, weight } = net.layers[l];
      d[l] = buffer(net, `d${l} ${name}`, n * inputs).fill(0);
      multiply(d[l + 1], outputs, 1, weight, inputs, 1, d[l], n, inputs, outputs);
      if (l > 0) for (let i = 0; i < d[l].length; i++) if (h[l][i] <= 0) d[l][i] *= SLOPE;
    }
    return d;
  }

  /** Add to the gradient: dW_l = sum over rows of d_l times (c h_(l-1) + t_(l-1)), db_l = sum of c d_l. The weights c of
   * the rows are 1 if left out, the tangents t (see `penalty`) 0. */
  function accumulate(net, h, d, n, c, t) {
    net.layers.forEach(({ inputs, outputs, weightGradient, biasGradient }, l) => {
      let right = h[l];
      if (c) {
        right = buffer(net, `right${l}`, n * inputs);
        for (let i = 0, k = 0; i < n; i++) for (let j = 0; j < inputs; j++, k++) right[k] = c[i] * h[l][k] + (t ? t[l][k] : 0);
      }
      multiply(d[l + 1], 1, outputs, right, inputs, 1, weightGradient, outputs, inputs, n);
      for (let i = 0, k = 0; i < n; i++) for (let o = 0; o < outputs; o++, k++) biasGradient[o] += (c ? c[i] : 1) * d[l + 1][k];
    });
  }

  /** R1 (Mescheder et al., 2018): gamma / 2 times the mean of |d_0|^2 with d_0 = dD/dx. Its gradient with respect to the
   * weights: t_0 = gamma d_0 / n goes forward through the same linear pieces, t_l = (W_l t_(l-1)) f', and the gradient
   * of W_l is the sum of d_l t_(l-1). The leaky ReLU has no curvature, so no more terms. Returns [value, all t]. */
  function penalty(net, h, d, n, gamma) {
    const t = [d[0].map((v) => gamma / n * v)];
    const value = d[0].reduce((sum, v) => sum + v * v, 0) * gamma / 2 / n;
    net.layers.slice(0, -1).forEach(({ inputs, outputs, weight }, l) => {
      t[l + 1] = buffer(net, `t${l}`, n * outputs).fill(0);
      multiply(t[l], inputs, 1, weight, 1, inputs, t[l + 1], n, outputs, inputs);
      for (let i = 0; i < t[l + 1].length; i++) if (h[l + 1][i] <= 0) t[l + 1][i] *= SLOPE;
    });
    return [value, t];
  }

  // ---- losses ----

  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const real = [(x) => softplus(-x), (x) => -sigmoid(-x)], fake = [softplus, sigmoid]; // -log D(x), -log(1 - D(G(z)))
  const up = [(x) => -x, () => -1], down = [(x) => x, () => 1];
  /** For each loss three terms as [value, slope] of a logit: the discriminator's at a real and at a fake point, and the
   * generator's at a fake. A loss is the mean of its terms. */
  const LOSSES = {
    ns: { real, fake, generator: real },
    saturating: { real, fake, generator: [(x) => -softplus(x), (x) => -sigmoid(x)] },
    hinge: { real: [(x) => Math.max(0, 1 - x), (x) => (x < 1 ? -1 : 0)], fake: [(x) => Math.max(0, 1 + x), (x) => (x > -1 ? 1 : 0)], generator: up },
    wasserstein: { real: up, fake: down, generator: up },
  };
  const mean = (array, f = (x) => x) => array.reduce((sum, x) => sum + f(x), 0) / array.length;

  /** The discriminator's loss with R1, and its gradient in D.gradient. x and y are n real and n generated rows. */
  function lossOfD(D, x, y, n, loss, gamma) {
    const hx = forward(D, x, n, "x"), hy = forward(D, y, n, "y"), ones = buffer(D, "ones", n).fill(1);
    const [rx, ry] = [last(hx), last(hy)], terms = LOSSES[loss];
    const dx = backward(D, hx, ones, n, gamma > 0, "x"), dy = backward(D, hy, ones, n, false, "y");
    const [extra, t] = gamma > 0 ? penalty(D, hx, dx, n, gamma) : [0];
    D.gradient.fill(0);
    accumulate(D, hx, dx, n, rx.map((r) => terms.real[1](r) / n), t);
    accumulate(D, hy, dy, n, ry.map((r) => terms.fake[1](r) / n));
    return { loss: mean(rx, terms.real[0]) + mean(ry, terms.fake[0]) + extra, real: rx, fake: ry };
  }

  /** The generator's loss at n rows of noise, and its gradient in G.gradient. */
  function lossOfG(G, D, z, n, loss) {
    const h = forward(G, z, n), { logits, slopes } = pull(D, last(h), n, loss);
    G.gradient.fill(0);
    accumulate(G, h, backward(G, h, slopes, n, false), n);
    return { loss: mean(logits, LOSSES[loss].generator[0]), fake: logits };
  }

  /** D's logits at n fakes, and the gradient of G's loss with respect to each fake. */
  function pull(D, y, n, loss) {
    const h = forward(D, y, n, "g"), logits = last(h);
    return { logits, slopes: backward(D, h, logits.map((r) => LOSSES[loss].generator[1](r) / n), n, true, "g")[0] };
  }

  /** One step of Adam with bias correction, betas 0.5 and 0.999. */
  function adam(net, rate) {
    const { values, gradient, m, v } = net, t = ++net.steps;
    const first = rate / (1 - 0.5 ** t), second = 1 / Math.sqrt(1 - 0.999 ** t);
    for (let i = 0; i < net.size; i++) {
      const g = gradient[i];
      m[i] = 0.5 * m[i] + 0.5 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      values[i] -= first * m[i] / (Math.sqrt(v[i]) * second + 1e-8);
    }
  }

  // ---- real points ----

  const circle = (k, n) => [Math.cos(2 * Math.PI * k / n), Math.sin(2 * Math.PI * k / n)];
  const many = (n, f) => Array.from({ length: n }, (_, k) => f(k));
  const pick = (list, random) => list[Math.floor(list.length * random())];
  function moon(u) { // from 0 to 1 the upper one, from 1 to 2 the lower one
    const [x, y] = circle(u, 2);
    return u < 1 ? [x - 0.4, y - 0.2] : [x + 0.4, y + 0.2];
  }
  function turn(u) {
    const radius = 1.15 * Math.sqrt(u), [x, y] = circle(1.6 * Math.sqrt(u), 1);
    return [radius * x, radius * y];
  }
  /** The kinds of data: their parts (clusters, or pieces of a curve), what a part is called, how far a point may lie
   * from the middle of a part that it counts for, the spread around each point, and a point without spread. */
  const DATA = {
    ring: { parts: many(8, (k) => circle(k, 8)), word: "cluster", reach: 0.2, spread: 0.05 },
    moons: { parts: many(10, (k) => moon((k + 0.5) / 5)), word: "part", reach: 0.3, spread: 0.06, point: (random) => moon(2 * random()) },
    grid: { parts: many(25, (k) => [(k % 5 - 2) / 2, (Math.floor(k / 5) - 2) / 2]), word: "cluster", reach: 0.16, spread: 0.04 },
    spiral: { parts: many(10, (k) => turn((k + 0.5) / 10)), word: "part", reach: 0.3, spread: 0.04, point: (random) => turn(random()) },
  };

  /** Data drawn by the reader: [[x, y], ...]. A point that is far from all parts opens a new part. */
  function drawn(points) {
    const parts = [];
    for (const p of points) if (parts.every((q) => Math.hypot(p[0] - q[0], p[1] - q[1]) > 0.3)) parts.push(p);
    return { parts, word: "part", reach: 0.25, spread: 0.04, point: (random) => pick(points, random) };
  }

  /** n real points, as rows of x and y. */
  function draw({ parts, spread, point = (random) => pick(parts, random) }, n, random) {
    const rows = new Float64Array(2 * n);
    for (let i = 0; i < n; i++) rows.set(point(random).map((v) => v + spread * normal(random)), 2 * i);
    return rows;
  }

  /** For each part: is at least a quarter of its fair share of the n generated points within reach of it? */
  function covered({ parts, reach }, y, n) {
    return parts.map((p) => {
      let near = 0;
      for (let i = 0; i < n; i++) if (Math.hypot(y[2 * i] - p[0], y[2 * i + 1] - p[1]) < reach) near++;
      return near >= n / parts.length / 4;
    });
  }

  // ---- training ----

  /** What is played on: sizes of the networks, rows of a batch, rows that are shown, most steps a second, and the decay
   * of the moving average of G's weights that is shown; with 0, G itself is. */
  const TASKS = {
    plane: { G: [2, 64, 64, 2], D: [2, 64, 64, 1], squash: false, batch: 64, shown: 256, pace: 200, decay: 0 },
    digits: { G: [32, 128, 256, 196], D: [196, 256, 128, 1], squash: true, batch: 16, shown: 24, pace: 1000, decay: 0.995 },
  };
  const VIEW = 1.6, GRID = 33, POINTS = 200; // the plane from -VIEW to VIEW, its grid along a side, real points shown
  const lattice = new Float64Array(2 * GRID * GRID);
  for (let i = 0; i < GRID * GRID; i++) {
    const side = 2 * VIEW / (GRID - 1);
    lattice.set([side * (i % GRID) - VIEW, VIEW - side * Math.floor(i / GRID)], 2 * i);
  }

  /** A game between G and D from a seed. `settings`: data, points, loss, d and g (rates), moves (of D), r1, seed. */
  function game(task, settings, images) {
    const { batch, squash, shown, decay } = TASKS[task], latent = TASKS[task].G[0], plane = task === "plane";
    const random = uniforms(settings.seed);
    const G = network(TASKS[task].G, squash, random), D = network(TASKS[task].D, false, random);
    const average = decay ? network(TASKS[task].G, squash, random) : G, fixed = noise(shown, latent, random);
    const source = () => (settings.data === "drawn" ? drawn(settings.points) : DATA[settings.data]);
    const real = (n, random) => {
      if (plane) return draw(source(), n, random);
      const rows = new Float64Array(196 * n);
      for (let i = 0; i < n; i++) rows.set(images(Math.floor(images.count * random())), 196 * i);
      return rows;
    };
    const shownReal = () => real(plane ? POINTS : shown, uniforms(settings.seed + 1)); // leaves the game's numbers alone
    const output = (logits) => mean(logits, settings.loss === "ns" || settings.loss === "saturating" ? sigmoid : undefined);
    const surface = () => last(forward(D, lattice, GRID * GRID, "lattice")).slice();
    const fakes = () => last(forward(average, fixed, shown, "fixed")).slice();
    average.values.set(G.values);
    const self = { settings, G, D, average, step: 0, real: shownReal() };
    let sums;
    const clear = () => { sums = { d: 0, lossD: 0, outReal: 0, outFake: 0, g: 0, lossG: 0 }; };
    clear();

    /** Other settings from now on. */
    self.change = (changes) => {
      Object.assign(settings, changes);
      self.real = shownReal();
    };

    /** A move of D ("d") or of G ("g"), on a new batch. A step is over when G has moved. */
    self.move = (who) => {
      const z = noise(batch, latent, random);
      if (who === "g") {
        sums.lossG += lossOfG(G, D, z, batch, settings.loss).loss;
        sums.g++;
        adam(G, settings.g);
        self.step++;
        const keep = Math.min(decay, self.step / (self.step + 10)); // young averages forget faster
        if (decay) for (let i = 0; i < G.size; i++) average.values[i] = G.values[i] + keep * (average.values[i] - G.values[i]);
        return;
      }
      const found = lossOfD(D, real(batch, random), last(forward(G, z, batch)), batch, settings.loss, settings.r1);
      sums.lossD += found.loss;
      sums.outReal += output(found.real);
      sums.outFake += output(found.fake);
      sums.d++;
      adam(D, settings.d);
    };

    /** Make moves ("ddg", or less), and say what there is to see after them, and if `detail` is asked for, where the
     * points were before the last move of G, and what the surface was before the last move of D. */
    self.observe = (moves, detail = true) => {
      const frame = { moves: detail ? moves : "", from: undefined, before: undefined }, lastD = moves.lastIndexOf("d");
      if (detail && plane) Object.assign(frame, { from: fakes(), before: lastD < 0 ? surface() : undefined });
      [...moves].forEach((who, i) => {
        if (detail && plane && i === lastD) frame.before = surface();
        self.move(who);
      });
      const y = fakes(), { logits, slopes } = pull(D, y, shown, settings.loss), { d, g } = sums;
      Object.assign(frame, { step: self.step, real: self.real, fakes: y });
      Object.assign(frame, { lossD: sums.lossD / d, lossG: sums.lossG / g, outReal: sums.outReal / d, outFake: sums.outFake / d });
      clear();
      if (!plane) {
        const realScores = last(forward(D, self.real, shown, "shown")).map(sigmoid);
        return Object.assign(frame, { scores: logits.map(sigmoid), realScores });
      }
      // what lies above the middle looks real: 0, except to a critic, whose values only count beside each other
      const middle = settings.loss === "wasserstein" ? (mean(logits) + mean(last(forward(D, self.real, POINTS, "shown")))) / 2 : 0;
      const { parts, word, reach } = source(), found = covered(source(), y, shown), modes = found.filter(Boolean).length;
      const pulls = slopes.map((v) => -shown * v); // where G's loss falls, for each fake on its own
      return Object.assign(frame, { surface: surface(), middle, pulls, parts, word, reach, found, modes });
    };
    return self;
  }

  /** The digits of export_lab.py: 12 x 12 pixels of 4 bits. Returns a function from a number to 14 x 14 in [-1, 1]. */
  function unpack({ count, data }) {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), image = new Float64Array(196);
    const one = (k) => {
      image.fill(-1);
      for (let i = 0; i < 144; i++) {
        const byte = bytes[72 * k + (i >> 1)];
        image[14 * (1 + Math.floor(i / 12)) + 1 + i % 12] = (i % 2 ? byte & 15 : byte >> 4) / 7.5 - 1;
      }
      return image;
    };
    return Object.assign(one, { count });
  }

  /** Play games as messages say, and post frames: at most 35 a second, and at most two that were not yet seen. */
  function serve(post) {
    let match, images, pace, run, playing = false, unseen = 0, shownAt = 0, detailAt = 0, allowance = 0, before = 0;
    const now = () => performance.now(), turn = () => "d".repeat(match.settings.moves) + "g";
    const soon = new MessageChannel(); // waits for other messages only, where setTimeout would wait for 4 milliseconds
    soon.port1.onmessage = work;
    function send(moves, detail) {
      unseen++;
      shownAt = now();
      if (detail) detailAt = shownAt;
      post({ ...match.observe(moves, detail), run });
    }
    function work() {
      if (!playing) return;
      const start = now();
      allowance = Math.min(allowance + (start - before) * pace / 1000, pace / 10);
      before = start;
      for (; allowance >= 1 && now() - start < 12; allowance--) {
        if (unseen < 2 && now() - shownAt > 28) send(turn(), now() - detailAt > 250);
        else for (const who of turn()) match.move(who);
      }
      if (allowance >= 1) soon.port2.postMessage(0); else setTimeout(work, 4);
    }
    return (message) => {
      if (message.digits) images = unpack(message.digits);
      if (message.start) {
        ({ run } = message);
        ({ pace } = TASKS[message.task]);
        unseen = 0;
        match = game(message.task, message.start, images);
        send("", true);
      }
      if (message.change) match.change(message.change);
      if (message.move) send(message.move, true);
      if (message.seen && message.seen === run) unseen = Math.max(0, unseen - 1);
      if ("play" in message && message.play !== playing) {
        playing = message.play;
        before = now();
        if (playing) work();
      }
    };
  }

  return { uniforms, noise, network, forward, lossOfD, lossOfG, adam, sigmoid, game, unpack, serve, TASKS, VIEW, GRID, DATA };
}
if (typeof module !== "undefined") module.exports = ganLabEngine;
