// The pictures of the lab: the plane, what a step changed, and curves.
"use strict";
function ganLabDraw({ VIEW, GRID }) {
  const FINE = 132; // pixels of the surface along a side, before they are enlarged
  const tile = Object.assign(document.createElement("canvas"), { width: FINE, height: FINE });
  /** A number as text: a dash if there is none, and powers of ten if it is huge, as it is when a game runs away. */
  function number(x, digits = 2) {
    if (!Number.isFinite(x)) return "–";
    const text = Math.abs(x) < 1e4 ? x.toFixed(digits).replace(/^-(?=[0.]*$)/, "") : x.toExponential(0).replace("+", "");
    return text.replace(/-/g, "−");
  }

  /** Fit a canvas to its place at the resolution of the screen; returns its context in CSS pixels, and its size. */
  function fit(canvas) {
    const { clientWidth: width, clientHeight: height } = canvas, ratio = Math.min(2, devicePixelRatio || 1);
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)], context = canvas.getContext("2d");
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return [context, width, height];
  }

  const palettes = new Map();
  /** The colors of the page's scheme: each as CSS writes it, and with RGB behind its name as [r, g, b]. */
  function palette(root) {
    const scheme = document.documentElement.dataset.theme;
    if (!palettes.has(scheme)) {
      const style = getComputedStyle(root), colors = { font: style.fontFamily }, context = tile.getContext("2d");
      for (const name of ["real", "fake", "disc", "paper", "ink", "muted", "line"]) {
        context.fillStyle = style.getPropertyValue(`--lab-${name}`).trim();
        colors[name] = context.fillStyle;
        colors[`${name}RGB`] = [1, 3, 5].map((i) => parseInt(colors[name].slice(i, i + 2), 16));
      }
      palettes.set(scheme, colors);
    }
    return palettes.get(scheme);
  }

  /** Color values in [-1, 1] on the engine's grid from orange over paper to blue, in bands like a map's. */
  function paint(context, size, grid, colors, strength) {
    const pixels = new ImageData(FINE, FINE), { realRGB, fakeRGB, paperRGB } = colors, last = GRID - 1;
    for (let row = 0, k = 0; row < FINE; row++) {
      const w = row / (FINE - 1) * last, i = Math.min(last - 1, Math.floor(w)), t = w - i;
      for (let column = 0; column < FINE; column++, k += 4) {
        const u = column / (FINE - 1) * last, j = Math.min(last - 1, Math.floor(u)), s = u - j, p = i * GRID + j;
        const above = (1 - s) * grid[p] + s * grid[p + 1], below = (1 - s) * grid[p + GRID] + s * grid[p + GRID + 1];
        const v = (1 - t) * above + t * below, band = Math.round(8 * Math.sqrt(Math.abs(v))) / 8;
        const tint = v > 0 ? realRGB : fakeRGB, share = strength * band;
        for (let c = 0; c < 3; c++) pixels.data[k + c] = paperRGB[c] + share * (tint[c] - paperRGB[c]);
        pixels.data[k + 3] = 255;
      }
    }
    tile.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(tile, 0, 0, size, size);
  }

  const scaled = (size) => (v, axis) => (axis ? VIEW - v : VIEW + v) * size / 2 / VIEW; // from the plane to pixels

  function dots(context, place, points, radius, fill, edge) {
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const x = place(points[i], 0), y = place(points[i + 1], 1);
      context.moveTo(x + radius, y);
      context.arc(x, y, radius, 0, 2 * Math.PI);
    }
    Object.assign(context, { fillStyle: fill, strokeStyle: edge, lineWidth: 1 });
    context.stroke();
    context.fill();
  }

  /** Circles around clusters: drawn through where enough points have arrived, dotted elsewhere. */
  function rings(context, place, { parts, found, reach }, colors) {
    parts.forEach(([x, y], k) => {
      context.beginPath();
      context.arc(place(x, 0), place(y, 1), place(reach, 0) - place(0, 0), 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: found[k] ? colors.ink : colors.muted, lineWidth: found[k] ? 1.5 : 1 });
      context.setLineDash(found[k] ? [] : [2, 4]);
      context.stroke();
    });
    context.setLineDash([]);
  }

  /** An arrow from each point. It is at most 0.15 of the picture long, and half of that for a pull of 1. */
  function arrows(context, place, points, pulls, size) {
    context.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const root = Math.sqrt(Math.hypot(pulls[i], pulls[i + 1])), length = 0.15 * size * root / (1 + root);
      if (!(length >= 1.5)) continue;
      const angle = Math.atan2(-pulls[i + 1], pulls[i]), head = Math.min(size / 90, length / 2.5);
      const x = place(points[i], 0), y = place(points[i + 1], 1);
      const tip = [x + length * Math.cos(angle), y + length * Math.sin(angle)];
      context.moveTo(x, y);
      context.lineTo(...tip);
      for (const side of [2.6, -2.6]) {
        context.moveTo(...tip);
        context.lineTo(tip[0] + head * Math.cos(angle + side), tip[1] + head * Math.sin(angle + side));
      }
    }
    context.stroke();
  }

  /** How far the points moved on average, and how many times as long their ways are drawn. */
  function ways({ from, fakes }) {
    let way = 0;
    for (let i = 0; i < fakes.length; i += 2) way += Math.hypot(fakes[i] - from[i], fakes[i + 1] - from[i + 1]);
    way /= fakes.length / 2;
    return { way, times: way > 1e-9 ? Math.max(1, Math.min(1e6, Number((0.2 / way).toPrecision(1)))) : 0 };
  }

  /** What the last move of D changed, as a share of the largest change, and that change. */
  function rises({ before, surface }) {
    const change = surface.map((v, i) => v - before[i]), most = change.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    return { change: most ? change.map((v) => v / most) : change, most };
  }

  /** Draw a frame. `slow`, from 0 to 1, is how far its single move has come: a move of D shows its change of the surface
   * and lets it fade into the new one, a move of G lets the points run. */
  function plane(canvas, frame, colors, slow = 1) {
    const [context, size] = fit(canvas), place = scaled(size);
    if (!frame) return;
    const moving = slow < 1 ? frame.moves : "", { surface, before, middle } = frame;
    let ground = surface, points = frame.fakes;
    if (moving === "d") ground = surface.map((v, i) => before[i] + slow * (v - before[i]));
    ground = ground.map((logit) => Math.tanh((logit - middle) / 2));
    if (moving === "d") {
      const { change } = rises(frame), share = Math.sin(Math.PI * slow) ** 2;
      ground = ground.map((v, i) => v + share * (change[i] - v));
    }
    if (moving === "g") points = points.map((v, i) => frame.from[i] + slow * (v - frame.from[i]));
    paint(context, size, ground, colors, 0.42);
    if (frame.word === "cluster") rings(context, place, frame, colors);
    dots(context, place, frame.real, size / 210, colors.real, colors.paper);
    Object.assign(context, { strokeStyle: colors.fake, lineWidth: frame.moves.length === 1 ? 1.4 : 0.9, globalAlpha: 0.6 });
    arrows(context, place, points, frame.pulls, size);
    context.globalAlpha = 1;
    dots(context, place, points, size / 142, colors.fake, colors.paper);
  }

  /** Draw what the last move of each network changed: D's logit as colors, the fakes' ways as lines; say it in words. */
  function change(canvas, frame, colors) {
    const [context, size] = fit(canvas), place = scaled(size), { from, fakes, moves } = frame, said = [];
    const { change, most } = rises(frame), { way, times } = ways(frame);
    paint(context, size, change, colors, 0.6);
    context.beginPath();
    for (let i = 0; i < fakes.length; i += 2) {
      context.moveTo(place(fakes[i], 0), place(fakes[i + 1], 1));
      context.lineTo(...[0, 1].map((c) => place(fakes[i + c] + times * (fakes[i + c] - from[i + c]), c)));
    }
    Object.assign(context, { strokeStyle: colors.fake, lineWidth: 1 });
    context.stroke();
    if (moves.includes("d")) said.push(`Discriminator: its logit changed by up to ${number(most, 3)} (it rose where the ground is blue, and fell where it is orange).`);
    if (moves.includes("g")) said.push(`Generator: its points moved by ${way < 1e-4 ? "less than 0.0001" : number(way, 4)} on average (the lines are ${times.toLocaleString("en")} times as long).`);
    return said.join(" ");
  }

  /** Round limits around values: [low, high, step]. */
  function limits(low, high) {
    const size = 10 ** Math.floor(Math.log10((high - low) / 2)), step = [1, 2, 5, 10].map((k) => k * size).find((s) => (high - low) / s <= 3);
    return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step, step];
  }

  /** Curves over the steps, on a canvas. At most 300 points are kept: when there are more, neighbors are averaged. */
  function curves(canvas, names) {
    let rows = [], every = 1, pending = [];
    const average = (list) => list[0].map((_, i) => list.reduce((sum, row) => sum + row[i], 0) / list.length);
    return {
      clear() { [rows, every, pending] = [[], 1, []]; },
      last: () => (rows.length ? rows[rows.length - 1].slice(1) : null),
      add(step, ...values) {
        if (!values.every(Number.isFinite)) return;
        pending.push([step, ...values]);
        if (pending.length < every) return;
        rows.push(average(pending));
        pending = [];
        if (rows.length <= 300) return;
        rows = rows.flatMap((_, i) => (i % 2 ? [average(rows.slice(i - 1, i + 1))] : []));
        every *= 2;
      },
      draw(colors, range = [0, 1]) {
        const [context, width, height] = fit(canvas), all = rows.flatMap((row) => row.slice(1));
        const [low, high, tick] = limits(Math.min(range[0], ...all), Math.max(range[1], ...all)), left = 34, bottom = 18;
        const steps = rows.length ? rows[rows.length - 1][0] : 0;
        const y = (v) => 7 + (height - bottom - 14) * (high - v) / (high - low), x = (step) => left + (width - left - 2) * step / Math.max(1, steps);
        Object.assign(context, { lineWidth: 1, font: `12px ${colors.font}`, fillStyle: colors.muted, strokeStyle: colors.line, textBaseline: "middle", textAlign: "right" });
        for (let v = low; v < high + tick / 2; v += tick) {
          context.fillText(number(v, tick < 1 ? 1 : 0), left - 6, y(v));
          context.beginPath();
          context.moveTo(left, y(v));
          context.lineTo(width, y(v));
          context.stroke();
        }
        context.fillText(`step ${Math.round(steps).toLocaleString("en")}`, width - 2, height - 6);
        names.forEach((name, i) => {
          Object.assign(context, { strokeStyle: colors[name], lineWidth: 1.75, lineJoin: "round" });
          context.beginPath();
          for (const row of rows) context.lineTo(x(row[0]), y(row[i + 1]));
          context.stroke();
        });
      },
    };
  }

  /** Draw 14 by 14 gray levels in [-1, 1] as ink. */
  function digit(canvas, image, colors) {
    const pixels = new ImageData(14, 14);
    image.forEach((v, i) => pixels.data.set([...colors.inkRGB, (v + 1) * 127.5], 4 * i));
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  return { number, palette, plane, change, curves, digit };
}
