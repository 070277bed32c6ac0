"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const head = document.getElementById("head");
const main = document.getElementById("main");
main.textContent = "";

// Everything from the image is put in as text, never as markup.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (size >= 1024 && at < units.length - 1) { size /= 1024; at += 1; }
  return (at === 0 ? String(size) : size.toFixed(size < 10 ? 2 : 1)) + " " + units[at];
}

function counted(count, one, several) {
  return count.toLocaleString("en") + " " + (count === 1 ? one : several);
}

function section(title, ...children) {
  const id = title.toLowerCase().replace(/ /g, "-");
  return make("section", { id, "aria-labelledby": id + "-title" }, make("h2", { id: id + "-title" }, title), ...children);
}

function figures(pairs) {
  return make("dl", { class: "figures" }, ...pairs.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function item(path, size, note, className) {
  return make("li", { class: className }, make("span", { class: "path" }, path), make("span", { class: "size" }, size), note ? make("small", {}, note) : null);
}

// A list that shows its first entries, and all on request.
function list(items, draw, id) {
  const shown = 12;
  const all = make("ul", { class: "list", id });
  all.append(...items.slice(0, shown).map(draw));
  const rest = items.length - shown;
  if (rest <= 0) return all;
  const more = make("button", { class: "plain", type: "button", onclick: () => {
    all.append(...items.slice(shown, 2000).map(draw));
    more.remove();
  } }, "Show " + rest.toLocaleString("en") + " more");
  return make("div", {}, all, more);
}

function table(rows) {
  const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return make("table", {}, make("tbody", {}, ...rows.map(([key, value]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, make("code", {}, shown(value)))))));
}

const FATES = ["", "replaced by a later layer", "deleted by a later layer"];

function image() {
  const files = data.files.map(([path, size, layer, fate, kind]) => ({ path, size, layer, fate, kind }));
  const seen = files.filter((file) => file.fate === 0);
  const state = { layer: null, path: [] };
  const compressed = data.layers.reduce((sum, layer) => sum + layer.size, 0);
  const wasted = data.waste.replaced + data.waste.deleted + data.waste.duplicate;
  head.append(
    make("h1", {}, data.title),
    make("p", { class: "digest" }, data.digest),
    make("p", { class: "soft" }, [data.platform, data.created ? "created " + data.created : ""].filter(Boolean).join(", ")),
    figures([
      ["Layers", String(data.layers.length)],
      ["Compressed", bytes(compressed)],
      ["Files", seen.length.toLocaleString("en")],
      ["Unpacked", bytes(seen.reduce((sum, file) => sum + file.size, 0))],
      ["Waste", bytes(wasted)],
    ]),
  );

  const map = make("div", { class: "map", id: "map", role: "group", "aria-label": "Files by size" });
  const crumbs = make("nav", { class: "crumbs", "aria-label": "Directory" });
  const about = make("p", { class: "soft", id: "about", role: "status" });
  const buttons = [];

  function select(layer) {
    state.layer = state.layer === layer ? null : layer;
    state.path = [];
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === state.layer)));
    draw();
  }

  // A tree of sizes of what is selected.
  function tree() {
    const root = { name: "", size: 0, count: 0, children: new Map() };
    const of = state.layer === null ? seen : files.filter((file) => file.layer === state.layer);
    for (const file of of) {
      let node = root;
      node.size += file.size;
      node.count += 1;
      for (const name of file.path.split("/")) {
        if (!node.children.has(name)) node.children.set(name, { name, size: 0, count: 0, children: new Map() });
        node = node.children.get(name);
        node.size += file.size;
        node.count += 1;
      }
    }
    return root;
  }

  function draw(focus) {
    let node = tree();
    const trail = [["/", 0]];
    state.path.forEach((name, at) => {
      const child = node.children.get(name);
      if (child) { node = child; trail.push([name, at + 1]); }
    });
    crumbs.replaceChildren(...trail.map(([name, depth]) => make("button", { type: "button", "aria-current": depth === state.path.length ? "location" : false, onclick: () => { state.path = state.path.slice(0, depth); draw(true); } }, name)));
    const what = state.layer === null ? "the image" : "layer " + (state.layer + 1);
    about.textContent = counted(node.count, "file", "files") + ", " + bytes(node.size) + " in " + what + (state.path.length ? ": /" + state.path.join("/") : "");
    map.replaceChildren(...tiles(node));
    if (focus) (map.querySelector("button") || crumbs.lastChild).focus();
  }

  function tiles(node) {
    const children = [...node.children.values()].filter((child) => child.size > 0).sort((a, b) => b.size - a.size);
    const limit = 80;
    const shown = children.slice(0, limit);
    if (children.length > limit) {
      const size = children.slice(limit).reduce((sum, child) => sum + child.size, 0);
      shown.push({ name: counted(children.length - limit, "other", "others"), size, children: new Map(), count: children.length - limit });
    }
    const [width, height] = [map.clientWidth || 900, map.clientHeight || 400];
    const places = squarify(shown.map((child) => child.size), width, height);
    return shown.map((child, at) => {
      const { x, y, w, h } = places[at];
      const is = child.children.size > 0;
      const label = child.name + (is ? "/" : "") + " " + bytes(child.size);
      const style = place(x, y, w, h, width, height);
      const name = (is ? "dir" : "file") + (w < 44 || h < 20 ? " tiny" : "");
      if (!is) return make("div", { class: name, style, title: label }, label);
      const inner = w > 70 && h > 60 ? inside(child, w - 10, h - 30) : null;
      return make("button", { class: name, style, title: label, type: "button", onclick: () => { state.path.push(child.name); draw(true); } }, label, inner);
    });
  }

  function place(x, y, w, h, width, height) {
    return `left:${(100 * x) / width}%;top:${(100 * y) / height}%;width:${(100 * w) / width}%;height:${(100 * h) / height}%`;
  }

  // What is in a directory, as a picture alone: it can be opened.
  function inside(node, width, height) {
    const children = [...node.children.values()].filter((child) => child.size > 0).sort((a, b) => b.size - a.size).slice(0, 24);
    const shown = children.filter((child) => (child.size / node.size) * width * height > 60);
    const rest = node.size - shown.reduce((sum, child) => sum + child.size, 0);
    const places = squarify([...shown.map((child) => child.size), rest].filter((size) => size > 0), width, height);
    const tiles = shown.map((child, at) => {
      const { x, y, w, h } = places[at];
      return make("span", { style: place(x, y, w, h, width, height) }, w > 50 && h > 16 ? child.name : "");
    });
    return make("span", { class: "inside", "aria-hidden": "true" }, ...tiles);
  }

  map.addEventListener("keydown", (event) => {
    const all = [...map.querySelectorAll("button")];
    const at = all.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && all.length) {
      event.preventDefault();
      all[(at + step + all.length) % all.length].focus();
    } else if ((event.key === "Escape" || event.key === "Backspace") && state.path.length) {
      event.preventDefault();
      state.path.pop();
      draw(true);
    }
  });

  const largest = Math.max(1, ...data.layers.map((layer) => layer.size));
  const rows = data.steps.map((step) => {
    if (step.layer === null) return make("li", { class: "step" }, make("code", {}, step.command));
    const layer = data.layers[step.layer];
    const own = files.filter((file) => file.layer === step.layer).length;
    const button = make("button", { type: "button", "aria-pressed": "false", title: layer.digest, onclick: () => select(step.layer) },
      make("strong", {}, String(step.layer + 1)),
      make("code", { class: "command" }, step.command || "no history"),
      make("span", { class: "size" }, bytes(layer.size) + ", " + counted(own, "file", "files")),
      make("span", { class: "track" }, make("div", { class: "fill", style: `width:${(100 * layer.size) / largest}%` })));
    buttons[step.layer] = button;
    return make("li", {}, button);
  });
  main.append(section("Layers", make("ol", { class: "layers" }, ...rows)));
  main.append(section("Files", crumbs, map, about));
  main.append(search(files));
  main.append(waste(files));
  main.append(section("Configuration", table(Object.entries(data.config))));
  draw();
}

function search(files) {
  const results = make("div", { id: "results" });
  const count = make("p", { class: "soft", id: "count", role: "status" });
  const input = make("input", { type: "search", id: "query", placeholder: "Part of a path", "aria-label": "Search files by path", autocomplete: "off", spellcheck: "false" });
  const find = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) { results.replaceChildren(); count.textContent = ""; return; }
    const found = files.filter((file) => words.every((word) => file.path.toLowerCase().includes(word)));
    found.sort((a, b) => b.size - a.size);
    count.textContent = counted(found.length, "file", "files") + ", " + bytes(found.reduce((sum, file) => sum + file.size, 0));
    results.replaceChildren(list(found, (file) => item("/" + file.path, bytes(file.size), ["layer " + (file.layer + 1), FATES[file.fate]].filter(Boolean).join(", ")), "found"));
  };
  input.addEventListener("input", find);
  // As in many programs; not while something is typed.
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  });
  return section("Search", input, count, results);
}

function waste(files) {
  const part = (title, size, items, draw) => make("div", {}, make("h3", {}, title), make("p", { class: size ? "warn" : "soft" }, size ? bytes(size) : "none"), size ? list(items, draw) : null);
  const by = (fate) => files.filter((file) => file.fate === fate && file.size > 0).sort((a, b) => b.size - a.size);
  const gone = (file) => item("/" + file.path, bytes(file.size), "layer " + (file.layer + 1));
  return section("Waste", make("div", { class: "columns" },
    part("Replaced files", data.waste.replaced, by(1), gone),
    part("Deleted files", data.waste.deleted, by(2), gone),
    part("Duplicate files", data.waste.duplicate, data.duplicates, (same) => item("/" + same.paths[0], bytes(same.size * (same.paths.length - 1)), "also " + same.paths.slice(1, 6).map((path) => "/" + path).join(", ") + (same.paths.length > 6 ? " and others" : "")))));
}

// Bruls, Huizing and van Wijk, "Squarified Treemaps": rows whose tiles are as square as possible.
function squarify(sizes, width, height) {
  const total = sizes.reduce((sum, size) => sum + size, 0) || 1;
  const areas = sizes.map((size) => (size / total) * width * height);
  const places = [];
  let x = 0, y = 0, w = width, h = height, at = 0;
  const worst = (row, sum, side) => Math.max(...row.map((area) => Math.max((side * side * area) / (sum * sum), (sum * sum) / (side * side * area))));
  while (at < areas.length) {
    const side = Math.max(Math.min(w, h), 1e-9);
    const row = [areas[at]];
    let sum = areas[at];
    while (at + row.length < areas.length) {
      const next = areas[at + row.length];
      if (worst([...row, next], sum + next, side) > worst(row, sum, side)) break;
      row.push(next);
      sum += next;
    }
    const thick = sum / side;
    let along = 0;
    for (const area of row) {
      const long = thick > 0 ? area / thick : 0;
      places.push(w <= h ? { x: x + along, y, w: long, h: thick } : { x, y: y + along, w: thick, h: long });
      along += long;
    }
    if (w <= h) { y += thick; h -= thick; } else { x += thick; w -= thick; }
    at += row.length;
  }
  return places;
}

function difference() {
  const { files, configuration, layers } = data;
  const of = (kind) => files.filter((file) => file.change === kind).length;
  head.append(
    make("h1", {}, data.title),
    figures([["Files added", String(of("added"))], ["Files removed", String(of("removed"))], ["Files changed", String(of("changed"))],
      ["Layers in both", String(layers.shared.length)], ["Larger by", (data.growth < 0 ? "−" : "") + bytes(Math.abs(data.growth))]]),
  );
  const size = (file) => [file.from, file.to].filter(Boolean).map((side) => bytes(side.size)).join(" → ");
  const cost = (file) => Math.abs((file.to ? file.to.size : 0) - (file.from ? file.from.size : 0));
  const sorted = [...files].sort((a, b) => cost(b) - cost(a));
  main.append(section("Files", files.length ? list(sorted, (file) => item("/" + file.path, size(file), [file.change, ...(file.what || [])].join(": ").replace(/: /g, (match, offset, text) => (text.indexOf(": ") === offset ? ": " : ", ")), file.change), "changes") : make("p", { class: "soft" }, "no difference")));
  main.append(section("Configuration", configuration.length ? table(configuration.map((field) => [field.field, JSON.stringify(field.from) + " → " + JSON.stringify(field.to)])) : make("p", { class: "soft" }, "no difference")));
  const line = (className) => (layer) => item(layer.digest, bytes(layer.size), className, className);
  main.append(section("Layers", make("ul", { class: "list" }, ...layers.shared.map(line("in both")), ...layers.removed.map(line("removed")), ...layers.added.map(line("added")))));
  main.append(search([...files].map((file) => ({ path: file.path, size: (file.to || file.from).size, layer: (file.to || file.from).layer, fate: 0 }))));
}

if (data.kind === "image") image(); else difference();
