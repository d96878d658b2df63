// Printing, keys that turn pages, films, and the search, which is loaded when its dialog opens.
"use strict";

// On paper nothing unfolds, so all that is folded is printed; and paper is white.
let opened = [], theme;
addEventListener("beforeprint", () => {
  ({ theme } = document.documentElement.dataset);
  document.documentElement.dataset.theme = "light";
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = theme;
  for (const details of opened) details.open = false;
});

// The keys turn the page only where they move nothing else: not in a field, and not in code that scrolls.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || document.activeElement !== document.body) return;
  const link = { ArrowLeft: ".left-prev", ArrowRight: ".right-next" }[event.key];
  if (link) document.querySelector(`.prev-next-area ${link}`)?.click();
});

const searchField = document.querySelector("[data-search] input");
searchField?.addEventListener("focus", () => {
  const add = (names) => {
    const [name, ...rest] = names;
    const script = Object.assign(document.createElement("script"), { src: `${searchField.form.dataset.search}/${name}` });
    if (rest.length) script.onload = () => add(rest);
    document.head.append(script);
  };
  add(["minisearch.js", "search-sections.js", "search.js"]);
}, { once: true });

// A film is one picture with its frames under one another; without this script its last frame stands still.
for (const film of document.querySelectorAll(".film")) {
  const labels = JSON.parse(film.dataset.labels);
  const last = labels.length - 1;
  const controls = document.createElement("div");
  controls.className = "film-controls";
  controls.innerHTML = '<button type="button"></button><input type="range" min="0" step="1"><output></output>';
  const [button, slider, output] = controls.children;
  slider.max = last;
  slider.setAttribute("aria-label", "frame of the film");
  let timer = null;

  const show = (frame) => {
    film.style.setProperty("--frame", frame);
    slider.value = frame;
    slider.setAttribute("aria-valuetext", labels[frame]);
    output.textContent = labels[frame];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.setAttribute("aria-label", "play");
    button.className = "film-play";
  };
  const play = () => {
    if (Number(slider.value) === last) show(0);
    button.setAttribute("aria-label", "pause");
    button.className = "film-pause";
    timer = setInterval(() => {
      show(Number(slider.value) + 1);
      if (Number(slider.value) === last) stop();
    }, 150);
  };

  button.addEventListener("click", () => (timer ? stop() : play()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  film.append(controls);
  stop();
  show(last);
  if ("autoplay" in film.dataset && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    new IntersectionObserver(([entry], observer) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      play();
    }, { threshold: 0.6 }).observe(film);
  }
}
