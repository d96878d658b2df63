// The stories of the lab, the values of its controls, and how an address holds them. Node can load this file too.
"use strict";
function ganLabPresets() {
  const SEEDS = 2 ** 32, EXTENT = 1.6, MOST = 200; // drawn points lie within EXTENT, and are at most MOST
  /** Points as text, a byte for each coordinate, and back. */
  function toText(points) {
    const bytes = points.flatMap((p) => p.map((v) => Math.round((v / EXTENT + 1) * 127.5)));
    return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  }
  function toPoints(text) {
    const values = Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => (c.charCodeAt(0) / 127.5 - 1) * EXTENT);
    return Array.from({ length: Math.min(MOST, values.length >> 1) }, (_, i) => values.slice(2 * i, 2 * i + 2));
  }

  const rounded = (points) => toPoints(toText(points));

  /** The healthy run; every story says what it changes. */
  const HEALTHY = { data: "ring", points: [], loss: "ns", d: 1e-3, g: 1e-3, moves: 1, r1: 0.1, seed: 1 };

  const COLLAPSE = { ...HEALTHY, d: 0.02, g: 1e-4, moves: 5, r1: 0 };
  const angles = Array.from({ length: 7 }, (_, k) => Math.PI * k / 12);
  const arc = rounded(angles.map((angle) => [0.5 + 0.6 * Math.cos(angle), 0.5 + 0.6 * Math.sin(angle)]));
  const WINS = { ...HEALTHY, data: "drawn", points: arc, loss: "saturating", d: 5e-3, g: 2e-5, moves: 5, r1: 0 };
  const SWINGS = { ...HEALTHY, d: 1e-4, g: 2e-3 };

  /** All presets: what each is called, what is about to happen, and which one to try next, with the words for it. */
  const PRESETS = {
    healthy: {
      name: "Healthy", settings: HEALTHY,
      note: "The orange points know nothing of the eight blue clusters. Both networks learn at the same pace, so within half a minute the points should have found all eight.",
      next: "collapse", ask: "Then break it: make it collapse",
    },
    collapse: {
      name: "Mode collapse", settings: COLLAPSE,
      note: "The discriminator now learns far too fast: its rate is 0.02, and it has five moves for each of the generator’s. The orange points will crowd onto a few clusters, in the end onto one or two, and stay there.",
      next: "collapse-cure", ask: "Cure it: add the R1 penalty",
    },
    "collapse-cure": {
      name: "Mode collapse, cured", settings: { ...COLLAPSE, r1: 0.1 },
      note: "The same start and the same rates, but steep slopes at the real points are penalized. The ground stays gentle, the arrows reach farther, and the points should spread over the ring.",
      next: "wins", ask: "Next: a discriminator that wins",
    },
    wins: {
      name: "Discriminator wins", settings: WINS,
      note: "All real points lie in one corner, and the discriminator is soon sure of everything. Against a sure opponent the saturating loss has almost no gradient: the arrows will vanish, and the orange points will hardly move.",
      next: "wins-cure", ask: "Cure it: the non-saturating loss",
    },
    "wins-cure": {
      name: "Discriminator wins, cured", settings: { ...WINS, loss: "ns" },
      note: "The same start with the non-saturating loss, whose gradient is largest where the discriminator is sure. The arrows come back, and the points should walk to the corner.",
      next: "swings", ask: "Next: a generator that oscillates",
    },
    swings: {
      name: "Oscillation", settings: SWINGS,
      note: "The generator learns twenty times as fast as the discriminator. All its points will run to the place that looks best at the moment, and when the discriminator has caught up, on to the next.",
      next: "swings-cure", ask: "Cure it: equal learning rates",
    },
    "swings-cure": {
      name: "Oscillation, cured", settings: { ...SWINGS, d: 2e-3 },
      note: "The same start with a discriminator that learns as fast as the generator. It objects to a crowd as soon as one forms, so the points should share the ring.",
      next: "healthy", ask: "Back to the healthy run, to change it yourself",
    },
  };

  /** The values that a control can have. */
  const VALUES = {
    d: [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2],
    moves: [1, 2, 3, 5, 10],
    r1: [0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    loss: ["ns", "saturating", "hinge", "wasserstein"],
    data: ["ring", "moons", "grid", "spiral", "drawn"],
  };
  VALUES.g = VALUES.d;
  /** The name of the preset with these settings, whatever the seed; undefined if there is none. */
  function named(settings) {
    const same = (other) => Object.keys(HEALTHY).every((key) => {
      if (key === "seed" || (key === "points" && settings.data !== "drawn")) return true;
      return key === "points" ? toText(settings.points) === toText(other.points) : settings[key] === other[key];
    });
    return Object.keys(PRESETS).find((name) => same(PRESETS[name].settings));
  }

  /** The settings in the part of an address after "#", or null if there are none. What makes no sense is left out. */
  function read(hash) {
    const given = new URLSearchParams(hash.replace(/^#/, "")), name = given.get("preset");
    const preset = Object.keys(PRESETS).includes(name) ? PRESETS[name] : null;
    if (!preset && !VALUES.data.includes(given.get("data"))) return null;
    const settings = { ...(preset ? preset.settings : HEALTHY) };
    for (const key of ["data", "loss"]) if (VALUES[key].includes(given.get(key))) settings[key] = given.get(key);
    for (const key of ["d", "g", "moves", "r1"]) {
      const value = Number(given.get(key) || NaN);
      if (!Number.isNaN(value)) settings[key] = VALUES[key].reduce((a, b) => (Math.abs(b - value) < Math.abs(a - value) ? b : a));
    }
    const seed = Math.trunc(Number(given.get("seed") || NaN));
    if (seed >= 0) settings.seed = seed % SEEDS;
    try {
      if (given.get("points")) settings.points = toPoints(given.get("points"));
    } catch { /* not base64: nothing drawn */ }
    return settings;
  }

  const isSlow = (hash) => new URLSearchParams(hash.replace(/^#/, "")).get("slow") === "1";

  /** The settings as an address has them, and whether moves are slow. */
  function write(settings, slow) {
    const { points, seed, ...rest } = settings, preset = named(settings);
    const given = preset ? { preset, seed } : { ...rest, seed, ...(settings.data === "drawn" && { points: toText(points) }) };
    return `#${new URLSearchParams({ ...given, ...(slow && { slow: 1 }) })}`;
  }

  return { PRESETS, HEALTHY, VALUES, SEEDS, EXTENT, MOST, rounded, named, read, isSlow, write };
}
if (typeof module !== "undefined") module.exports = ganLabPresets;
