// Draws with the page's generator (book/_static/generator.js), outside a browser.
//
//   node tools/draw_in_node.js INPUTS OUT [REPEATS]
//
// INPUTS is a .safetensors file with noise z, float32 (n, 100), and labels, int32 (n). OUT gets the images, (n, 28, 28)
// raw float32 in [-1, 1]. The page draws one image at a time. Prints the median time of drawing all of them REPEATS times.
"use strict";
const fs = require("fs"), path = require("path"), vm = require("vm");
const [inputs, out, repeats = 1] = process.argv.slice(2);
const folder = path.join(__dirname, "..", "book", "_static");
const run = (name) => vm.runInThisContext(fs.readFileSync(path.join(folder, name), "utf8"), name);

// The page around the generator. Whatever the script asks of it gives the same thing, which does nothing; only a script
// that is put into the page is run.
const thing = new Proxy(function () {}, {
  get: (_, name) => (name === Symbol.toPrimitive ? () => "" : name === Symbol.iterator ? () => [].values() : thing),
  set: () => true,
  apply: () => thing,
  construct: () => thing,
});
const head = { append: (node) => { run(node.src); node.onload(); } };
const createElement = (tag) => (tag === "script" ? { remove() {}, append() {} } : thing);
const page = { currentScript: { src: "" }, head, createElement, querySelectorAll: () => [thing], readyState: "complete" };
Object.assign(globalThis, { document: page, location: thing, addEventListener: thing, matchMedia: thing });
run("generator.js");

const bytes = fs.readFileSync(inputs), start = 8 + Number(bytes.readBigUInt64LE(0));
const header = JSON.parse(bytes.subarray(8, start));
function array(name, Kind) {
  const [first, last] = header[name].data_offsets;
  return new Kind(new Uint8Array(bytes.subarray(start + first, start + last)).buffer);
}
const z = array("z", Float32Array), size = header.z.shape[1];
const classes = Array.from(array("labels", Int32Array), (label) => Array.from({ length: 10 }, (_, d) => Number(d === label)));
const drawAll = () => classes.map((mix, i) => mlxganGenerator.draw(z.subarray(i * size, (i + 1) * size), mix));

const timer = setInterval(() => { // until the weights are there
  if (!globalThis.mlxganGenerator) return;
  clearInterval(timer);
  const images = drawAll(), times = [];
  for (let i = 0; i < repeats; i++) {
    const before = performance.now();
    drawAll();
    times.push(performance.now() - before);
  }
  console.log(`${images.length} images, ${times.sort((a, b) => a - b)[Math.floor(repeats / 2)].toFixed(4)} ms`);
  fs.writeFileSync(out, Buffer.concat(images.map((image) => Buffer.from(Float32Array.from(image).buffer))));
  process.exit(); // what the script does with the page later is of no interest
});
