"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (id) => document.getElementById(id);
  const bodies = all("table.rows > tbody");
  const left = (table) => [...table.tBodies].filter((body) => !body.hidden); // those behind a row are not among them
  const text = new Map(bodies.map((body) => [body, body.rows[0].textContent.toLowerCase()]));

  // Rows

  const button = (body) => body.querySelector(".opens");
  function toggle(body, open = body.rows[1].hidden) {
    body.rows[1].hidden = !open;
    button(body).setAttribute("aria-expanded", String(open));
  }
  for (const body of bodies) {
    body.rows[0].addEventListener("click", (event) => {
      if (event.target.closest("a")) return;
      if (!event.target.closest("button") && String(getSelection())) return; // text was being selected
      toggle(body);
    });
    button(body).addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const shown = left(body.parentElement);
      const next = shown[shown.indexOf(body) + step];
      if (next) button(next).focus();
    });
  }
  one("every").addEventListener("click", ({ currentTarget }) => {
    const open = currentTarget.getAttribute("aria-pressed") !== "true";
    currentTarget.setAttribute("aria-pressed", String(open));
    currentTarget.textContent = open ? "Close all rows" : "Open all rows";
    for (const body of bodies) if (!body.hidden) toggle(body, open);
  });

  // Sorting: up, down, as printed

  const value = (body, column) => {
    const cell = body.rows[0].cells[column];
    return (cell.querySelector(".badge, .opens") || cell).textContent.trim();
  };
  const number = (said) => parseFloat(said.replace("\u2212", "-").replace(/,/g, ""));
  function compare(a, b, numeric) {
    if (!numeric) return a.localeCompare(b, undefined, { numeric: true });
    return number(a) - number(b);
  }
  for (const head of all("table.rows > thead th")) {
    const table = head.closest("table");
    const printed = [...table.tBodies];
    head.querySelector("button").addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const now = { ascending: "descending", descending: null }[was];
      const order = now === undefined ? "ascending" : now;
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      if (order) head.setAttribute("aria-sort", order);
      const numeric = head.classList.contains("right");
      const empty = (body) => (numeric ? Number.isNaN(number(value(body, head.cellIndex))) : !value(body, head.cellIndex));
      const sign = order === "descending" ? -1 : 1;
      const sorted = [...printed];
      if (order) {
        sorted.sort((a, b) =>
          empty(a) || empty(b)
            ? empty(a) - empty(b) // what has no number comes last, either way
            : sign * compare(value(a, head.cellIndex), value(b, head.cellIndex), numeric));
      }
      table.append(...sorted);
    });
  }

  // Filtering

  const initial = new Map(all("details.table:has(table.rows)").map((part) => [part, part.open]));
  let filtering = false;
  function filter() {
    const words = one("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = one("verdict").value;
    const measured = one("measured").checked;
    let count = 0;
    for (const body of bodies) {
      const fits =
        words.every((word) => text.get(body).includes(word)) &&
        (!verdict || body.dataset.verdict === verdict) &&
        (!measured || "measured" in body.dataset);
      body.hidden = !fits;
      count += fits;
    }
    const active = Boolean(words.length || verdict || measured);
    for (const [part, open] of initial) {
      const some = left(part.querySelector("table.rows")).length > 0;
      part.hidden = active && !some;
      if (active) part.open = some;
      else if (filtering) part.open = open;
    }
    filtering = active;
    one("count").textContent = active ? `${count} of ${bodies.length} rows` : "";
  }
  for (const id of ["filter", "verdict", "measured"]) one(id).addEventListener("input", filter);
  document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
  for (const shows of all("[data-show]")) {
    shows.addEventListener("click", () => {
      one("verdict").value = shows.dataset.show;
      filter();
      one("tables").scrollIntoView();
      one("verdict").focus({ preventScroll: true });
    });
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      one("filter").focus();
    }
    if (event.key === "Escape" && event.target === one("filter")) {
      one("filter").value = "";
      filter();
    }
  });

  // What is typed, copied

  for (const copy of all(".copy")) {
    copy.addEventListener("click", async () => {
      const code = copy.parentElement.querySelector("code");
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Selected"; // a file may not write the clipboard everywhere
      }
      setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    });
  }

  // What scrolls can be reached by keyboard; a link to a row opens it

  function reachable() {
    for (const box of all(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  function follow() {
    const target = location.hash.length > 1 && one(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const part = target.closest("details.table");
    if (part) part.open = true;
    if (target.matches("table.rows > tbody")) toggle(target, true);
    target.scrollIntoView();
  }
  addEventListener("resize", reachable);
  document.addEventListener("click", () => requestAnimationFrame(reachable));
  document.addEventListener("toggle", reachable, true);
  addEventListener("hashchange", follow);
  reachable();
  follow();
})();
