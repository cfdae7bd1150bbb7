"use strict";
(() => {
  const box = document.querySelector(".find"), input = box.querySelector("input"), count = box.querySelector("output");
  const sessions = [...document.querySelectorAll(".session")], turns = [...document.querySelectorAll(".turn")];
  const links = new Map([...document.querySelectorAll("#index a")].map(a => [a.hash.slice(1), a.parentElement]));
  if (sessions.length > 1) document.title = `${sessions.length} conversations`;
  box.hidden = false;
  const texts = new Map();
  const text = one => { if (!texts.has(one)) texts.set(one, one.textContent.toLowerCase()); return texts.get(one); };
  const mark = (parts, word) => {
    if (!window.Highlight) return;
    CSS.highlights.delete("found");
    const found = new Highlight();
    for (const part of word.length < 2 ? [] : parts.slice(0, 200)) {
      const walk = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
      for (let node; (node = walk.nextNode());) {
        const low = node.data.toLowerCase();
        if (low.length !== node.data.length) continue;
        for (let at = low.indexOf(word); at >= 0; at = low.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at); range.setEnd(node, at + word.length); found.add(range);
          const fold = node.parentElement.closest("details");
          if (fold) fold.open = true;
        }
      }
    }
    CSS.highlights.set("found", found);
  };
  const search = () => {
    const word = input.value.trim().toLowerCase();
    for (const one of turns) one.hidden = Boolean(word) && !text(one).includes(word);
    for (const one of sessions) {
      const head = one.querySelector("h1").textContent.toLowerCase().includes(word);
      one.hidden = Boolean(word) && !head && !one.querySelector(".turn:not([hidden])");
      if (links.has(one.id)) links.get(one.id).hidden = one.hidden;
    }
    const shown = turns.filter(one => !one.hidden);
    count.textContent = word ? `${shown.length} of ${turns.length} turns` : "";
    mark(word ? shown : [], word);
  };
  let timer;
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 120); });
  document.addEventListener("keydown", event => {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
    if (event.key === "Escape" && document.activeElement === input) { input.value = ""; search(); input.blur(); }
  });
})();
