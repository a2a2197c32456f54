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
    remember();
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
  one("every").addEventListener("click", () => every(one("every").getAttribute("aria-pressed") !== "true"));
  function every(open) {
    one("every").setAttribute("aria-pressed", String(open));
    one("every").textContent = open ? "Close all rows" : "Open all rows";
    for (const body of bodies) if (!body.hidden) toggle(body, open);
  }

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
  const printed = new Map(all("table.rows").map((table) => [table, [...table.tBodies]]));
  function sort(head, order) {
    const table = head.closest("table");
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    if (order) head.setAttribute("aria-sort", order);
    table.classList.toggle("sorted", Boolean(order));
    const numeric = head.classList.contains("right");
    const empty = (body) => (numeric ? Number.isNaN(number(value(body, head.cellIndex))) : !value(body, head.cellIndex));
    const sign = order === "descending" ? -1 : 1;
    const sorted = [...printed.get(table)];
    if (order) {
      sorted.sort((a, b) =>
        empty(a) || empty(b)
          ? empty(a) - empty(b) // what has no number comes last, either way
          : sign * compare(value(a, head.cellIndex), value(b, head.cellIndex), numeric));
    }
    table.append(...sorted);
  }
  for (const head of all("table.rows > thead th")) {
    head.querySelector("button").addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      sort(head, next === undefined ? "ascending" : next);
      remember();
    });
  }

  // Filtering

  const initial = new Map(all("details.table:has(table.rows)").map((part) => [part, part.open]));
  let filtering = false;
  const keys = { t: "t", timesteps: "t", method: "method", network: "network", architecture: "network", dataset: "dataset",
    data: "dataset", verdict: "verdict", claim: "claim", row: "row" };
  const names = (body, key) => (body.dataset[key] || "").toLowerCase().split("|");
  function fitting(word) {
    const [, said, wanted] = /^(\w+)[:=](.+)$/.exec(word) || [];
    const key = keys[said];
    if (!key) return (body) => text.get(body).includes(word);
    // A whole name where there is such a one (T=1 is not T=10), else how it begins
    const whole = key === "t" || key === "row" || bodies.some((body) => names(body, key).includes(wanted));
    return (body) => names(body, key).some((name) => (whole ? name === wanted : name.startsWith(wanted)));
  }
  function filter() {
    const typed = one("filter").value.toLowerCase().replace(/\s*([:=])\s*/g, "$1");
    const words = typed.split(/\s+/).filter(Boolean).map(fitting);
    const verdict = one("verdict").value;
    const measured = one("measured").checked;
    let count = 0;
    for (const body of bodies) {
      const fits =
        words.every((fits) => fits(body)) &&
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
    one("count").textContent = !active ? "" : count ? `${count} of ${bodies.length} rows` : "No row fits";
    one("clear").hidden = !active;
    remember();
  }
  function clear() {
    one("filter").value = one("verdict").value = "";
    one("measured").checked = false;
    filter();
  }
  one("clear").addEventListener("click", () => {
    clear();
    one("filter").focus();
  });
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
    if (event.key === "Escape" && event.target === one("filter")) clear();
  });

  // What is typed, copied; where it stands, linked; what is drawn, saved

  async function copied(said, control, what = control.textContent) {
    try {
      await navigator.clipboard.writeText(said);
      control.textContent = "Copied";
    } catch {
      control.textContent = control.matches("a") ? "In the address" : "Selected"; // a file may not write the clipboard everywhere
    }
    setTimeout(() => { control.textContent = what; }, 2000);
  }
  for (const link of all("a.link")) {
    link.addEventListener("click", () => copied(link.href, link)); // and goes there, so that the address says it too
  }
  const drawn = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity", "font-family",
    "font-size", "font-weight", "text-anchor"];
  function picture(svg) {
    const copy = svg.cloneNode(true);
    const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      to[i].setAttribute("style", drawn.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
      to[i].removeAttribute("class");
    });
    copy.setAttribute("xmlns", svg.namespaceURI);
    copy.style.background = getComputedStyle(document.body).backgroundColor;
    return new XMLSerializer().serializeToString(copy);
  }
  for (const save of all("[data-save]")) {
    save.addEventListener("click", () => {
      const plot = save.closest(".plot");
      const form = save.dataset.save;
      const content = form === "csv" ? plot.querySelector(".numbers").textContent : picture(plot.querySelector("figure svg"));
      const made = document.createElement("a");
      made.href = URL.createObjectURL(new Blob([content], { type: form === "csv" ? "text/csv" : "image/svg+xml" }));
      made.download = `${plot.dataset.name}.${form}`;
      made.click();
      setTimeout(() => URL.revokeObjectURL(made.href), 10000);
    });
  }
  for (const copy of all(".copy")) {
    copy.addEventListener("click", () => {
      const code = copy.parentElement.querySelector("code");
      getSelection().selectAllChildren(code);
      copied(code.textContent, copy, "Copy");
    });
  }

  // The address says filter, order and open rows, so that it can be sent: #q=mpbn&open=table1-row-4

  let following = false;
  function remember() {
    if (following) return;
    const said = new URLSearchParams();
    if (one("filter").value.trim()) said.set("q", one("filter").value.trim());
    if (one("verdict").value) said.set("verdict", one("verdict").value);
    if (one("measured").checked) said.set("measured", "1");
    for (const head of all("[aria-sort]")) {
      said.append("sort", [head.closest("details").id, head.cellIndex, head.getAttribute("aria-sort")].join(":"));
    }
    const open = bodies.filter((body) => !body.rows[1].hidden).map((body) => body.id);
    if (open.length) said.set("open", open.length === bodies.length ? "all" : open.join(","));
    const plain = open.length === 1 && [...said.keys()].length === 1;
    try {
      history.replaceState(null, "", `#${plain ? open[0] : said}`);
    } catch {
      // a browser that lets no page change its address
    }
  }
  function restore(said) {
    one("filter").value = said.get("q") || "";
    one("verdict").value = said.get("verdict") || "";
    one("measured").checked = said.has("measured");
    filter();
    for (const part of said.getAll("sort")) {
      const [id, column, order] = part.split(":");
      const head = one(id)?.querySelector("table.rows > thead tr")?.cells[column];
      if (head && ["ascending", "descending"].includes(order)) sort(head, order);
    }
    if (said.get("open") === "all") return every(true);
    for (const id of (said.get("open") || "").split(",")) {
      const body = one(id);
      if (!body?.matches("table.rows > tbody")) continue;
      body.closest("details.table").open = true;
      toggle(body, true);
    }
    if (active()) one("tables").scrollIntoView();
    else if (said.get("open")) one(said.get("open").split(",")[0])?.scrollIntoView();
  }
  const active = () => !one("clear").hidden;

  // What scrolls can be reached by keyboard; a link to a row opens it

  function reachable() {
    for (const box of all(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  function follow() {
    following = true;
    try {
      if (location.hash.includes("=")) restore(new URLSearchParams(location.hash.slice(1)));
      else go(location.hash.slice(1));
    } finally {
      following = false;
    }
  }
  function go(name) {
    const target = name && one(name);
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
