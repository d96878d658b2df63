// The search in the dialog. MiniSearch finds the sections; both it and the sections come when the dialog opens.
"use strict";
(() => {
  const dialog = document.getElementById("pst-search-dialog");
  const [field, hits, said] = ["input", ".search-hits", ".search-said"].map((part) => dialog.querySelector(part));
  const root = document.documentElement.dataset.content_root;
  const words = (text) => text.toLowerCase().normalize("NFD").match(/[\p{L}\p{N}]+/gu) || [];
  // one word for its forms: batch, batches; normalize, normalized, normalization
  const stem = (word) => (word.length < 4 ? word : word.replace(/(ization|ations?|izing|ized?|ing|ies|ers?|ed|es|s|e|y)$/, ""));
  const stems = (text) => words(text.replace(/^(an?|the) /i, "")).map(stem).join(" ");
  const index = new MiniSearch({
    fields: ["title", "terms", "page", "text"],
    idField: "to",
    tokenize: words,
    processTerm: stem,
    searchOptions: {
      boost: { title: 6, terms: 4, page: 2 },
      prefix: (term) => term.length > 2,
      fuzzy: (term) => (term.length > 5 ? 0.2 : false),
      weights: { prefix: 0.6, fuzzy: 0.2 },
      combineWith: "AND",
    },
  });
  index.addAll(bookSections);
  const sections = new Map(bookSections.map((section) => [section.to, section]));
  const about = new Map(bookSections.map(({ to, title, terms }) => [to, [title, ...terms.split(" · ")].map(stems)]));
  // Chapters explain, most of all the section that is about just what was asked; else the earlier one comes first.
  const weight = (to, asked) => {
    if (!to.startsWith("notebooks/")) return to.startsWith("book/bibliography") ? 0.5 : 1;
    return (1.5 - to.slice(10, 12) / 100) * (about.get(to).includes(asked) ? 3 : 1);
  };

  // The sentences around the first place that has the words, with these marked; at the end of a text, some before them.
  function excerpt(text, terms) {
    const starts = terms.map((term) => text.toLowerCase().indexOf(term.toLowerCase())).filter((start) => start >= 0);
    const first = Math.max(0, Math.min(...starts, starts.length ? text.length - 100 : 0));
    const sentence = text.lastIndexOf(". ", first - 1) + 1, near = text.indexOf(" ", first - 90);
    const from = Math.max(sentence, first > 90 ? near : 0), to = text.lastIndexOf(" ", from + 190);
    const part = document.createElement("p");
    if (from > sentence) part.append("… ");
    const piece = text.slice(from, text.length > from + 190 ? to : undefined).trim();
    const pattern = terms.map((term) => term.replace(/[^\p{L}\p{N}]/gu, "\\$&")).join("|");
    piece.split(new RegExp(`((?:${pattern})\\p{L}*)`, "iu")).forEach((text, k) => {
      part.append(k % 2 ? Object.assign(document.createElement("mark"), { textContent: text }) : text);
    });
    if (from + 190 < text.length) part.append(" …");
    return part;
  }

  function search() {
    const query = field.value.trim();
    const asked = stems(query), boostDocument = (to) => weight(to, asked);
    let found = query ? index.search(query, { boostDocument }) : [];
    if (!found.length && query) found = index.search(query, { boostDocument, combineWith: "OR" });
    hits.replaceChildren(...found.slice(0, 20).map((hit) => {
      const section = sections.get(hit.id);
      const link = Object.assign(document.createElement("a"), { href: root + section.to });
      const title = Object.assign(document.createElement("strong"), { textContent: section.title });
      link.append(title);
      if (section.page !== section.title) {
        link.append(Object.assign(document.createElement("small"), { textContent: ` · ${section.page}` }));
      }
      link.append(excerpt(section.text, hit.terms));
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
    said.textContent = !query ? "" : found.length ? `${Math.min(20, found.length)} of ${found.length} sections` : "Nothing found";
  }

  field.addEventListener("input", search);
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    hits.querySelector("a")?.click();
  });
  dialog.addEventListener("keydown", (event) => {
    const links = [field, ...hits.querySelectorAll("a")], here = links.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || here < 0) return;
    event.preventDefault();
    links[Math.min(links.length - 1, Math.max(0, here + step))].focus();
  });
  hits.addEventListener("click", () => dialog.close()); // a hit on this page changes only the address
  search();
})();
