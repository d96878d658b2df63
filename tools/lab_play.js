// Play a preset of the lab without a page: `node tools/lab_play.js PRESET SEED STEPS` prints as JSON the settings, and
// how many parts of the real points the generated ones cover after every hundred steps.
"use strict";
const path = require("path");
const load = (name) => require(path.join(__dirname, "../book/_static/lab", name))();
const engine = load("engine.js"), { PRESETS } = load("presets.js");

const [preset, seed, steps] = process.argv.slice(2), { settings } = PRESETS[preset];
const game = engine.game("plane", { ...settings, seed: Number(seed) }), modes = [];
let frame = game.observe("");
while (game.step < Number(steps)) {
  for (let i = 0; i < 100; i++) for (const who of "d".repeat(settings.moves) + "g") game.move(who);
  frame = game.observe("");
  modes.push(frame.modes);
}
console.log(JSON.stringify({ settings, parts: frame.parts.length, modes }));
