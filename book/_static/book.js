// Films, and search where pages are files.

// Search shows excerpts that it fetches, which browsers forbid to pages that are opened as files.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

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
    const label = labels[frame] || `${frame + 1} of ${labels.length}`;
    film.style.setProperty("--frame", frame);
    slider.value = frame;
    slider.setAttribute("aria-valuetext", label);
    output.textContent = label;
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
    }, 200);
  };

  button.addEventListener("click", () => (timer ? stop() : play()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  film.append(controls);
  stop();
  show(last);
  if ("autoplay" in film.dataset && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
}
