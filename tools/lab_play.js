// Play the lab without a page: `node tools/lab_play.js PRESET SEED STEPS` prints as JSON the settings, and how many parts
// of the real points the generated ones cover after every hundred steps. With `digits` for PRESET it trains on digits, and
// prints 200 images of the average generator, 14 x 14 gray levels each.
"use strict";
const path = require("path");
const load = (name) => require(path.join(__dirname, "../book/_static/lab", name));
const engine = load("engine.js")(), { PRESETS, HEALTHY } = load("presets.js")();

const [preset, seed, steps] = process.argv.slice(2), digits = preset === "digits";
const settings = digits ? { ...HEALTHY, data: "digits" } : PRESETS[preset].settings;
if (digits) load("digits.js");
const game = engine.game(digits ? "digits" : "plane", { ...settings, seed: Number(seed) }, digits && engine.unpack(ganLabDigits));
const modes = [];
let frame = game.observe("");
while (game.step < Number(steps)) {
  for (let i = 0; i < 100; i++) for (const who of "d".repeat(settings.moves) + "g") game.move(who);
  frame = game.observe("");
  modes.push(frame.modes);
}
if (digits) {
  const levels = engine.forward(game.average, engine.noise(200, 32, engine.uniforms(0)), 200).pop();
  const images = Array.from({ length: 200 }, (_, k) => Array.from(levels.subarray(196 * k, 196 * (k + 1)), (v) => Math.round((v + 1) * 127.5)));
  console.log(JSON.stringify(images));
} else console.log(JSON.stringify({ settings, parts: frame.parts.length, modes }));
