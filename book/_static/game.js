// Real or generated? Ten digits of a sheet, one click each, then the score and what each of them was.
"use strict";
for (const game of document.querySelectorAll("[data-game]")) {
  const { real, columns } = JSON.parse(game.dataset.game);
  const ROUND = 10, rows = Math.ceil(real.length / columns);
  const names = { 1: "real", 0: "generated" };
  let unseen = [], asked, answers;

  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const button = (text, name, act) => {
    const made = element("button", { type: "button", className: `game-${name}`, textContent: text });
    made.addEventListener("click", act);
    return made;
  };
  const tile = (digit) => {
    const made = element("span", { className: "game-digit" });
    made.style.setProperty("--column", (digit % columns) / (columns - 1));
    made.style.setProperty("--row", Math.floor(digit / columns) / (rows - 1));
    return made;
  };
  const said = element("p", { className: "game-said" });
  said.setAttribute("role", "status");
  const stage = element("div", { className: "game-stage" });
  const buttons = element("div", { className: "game-buttons" });
  game.style.setProperty("--columns", columns);
  game.style.setProperty("--rows", rows);

  // Every digit of the sheet comes once before any comes again.
  function start() {
    if (unseen.length < ROUND) {
      unseen = [...real].map((_, digit) => digit);
      for (let i = unseen.length - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        [unseen[i], unseen[j]] = [unseen[j], unseen[i]];
      }
    }
    asked = unseen.splice(0, ROUND);
    answers = [];
    game.classList.remove("game-over");
    buttons.replaceChildren(button("Real", "real", () => answer("1")), button("Generated", "fake", () => answer("0")));
    ask();
  }

  function ask() {
    const picture = tile(asked[answers.length]);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `digit ${answers.length + 1}`);
    stage.replaceChildren(picture);
    said.textContent = `Digit ${answers.length + 1} of ${ROUND}: did a person write it?`;
  }

  function answer(which) {
    answers.push(which);
    if (answers.length < ROUND) return ask();
    const right = answers.filter((given, k) => given === real[asked[k]]).length;
    game.classList.add("game-over");
    stage.replaceChildren(element("ol", { className: "game-all" }, ...asked.map((digit, k) => {
      const truth = names[real[digit]], hit = answers[k] === real[digit];
      const label = element("span", { className: "game-truth", textContent: `${hit ? "✓" : "✗"} ${truth}` });
      const item = element("li", { className: `is-${truth}` }, tile(digit), label);
      item.setAttribute("aria-label", `Digit ${k + 1} is ${truth}. You said ${names[answers[k]]}.`);
      return item;
    })));
    said.textContent = `${right} of ${ROUND} right. Blue digits are real, orange ones generated.`;
    const again = button("Play again", "again", start);
    buttons.replaceChildren(again);
    again.focus({ preventScroll: true });
  }

  game.append(stage, element("div", { className: "game-side" }, said, buttons));
  start();
}
