"use strict";
// The data: columns and keys (names), objectives {name: mode}, importances {key: share}, and a row per table row with
// cells {name: value}, text {column: as printed}, curves [{epoch: [...], metric: [...]}], links [[run, address]], status,
// best. logarithmic: the names whose axis is logarithmic where their values spread far.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows;
const objective = Object.keys(data.objectives)[0];
const isNumber = value => typeof value === "number" && Number.isFinite(value);
const numeric = name => rows.some(row => isNumber(row.cells[name])) &&
  rows.every(row => row.cells[name] == null || isNumber(row.cells[name]));
const brushes = {};  // axis name -> [low, high], as heights from 0 to 1
let pinned = null;

function element(name, parent, attributes = {}, text = null) {
  const svg = ["svg", "line", "path", "circle", "rect", "text", "g"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;  // never innerHTML: what a run wrote stays text
  if (parent) parent.append(made);
  return made;
}

const short = value => isNumber(value) ? String(+value.toPrecision(4)) : value == null ? "null" : String(value);

// A scale from values to 0..1, with its ticks: logarithmic if asked for, even steps for what is not a number.
function scale(values, logarithmic = false) {
  const present = values.filter(value => value != null);
  if (present.length && present.every(isNumber) && present.length === values.length) {
    let low = present.reduce((a, b) => Math.min(a, b)), high = present.reduce((a, b) => Math.max(a, b));
    const log = logarithmic && low > 0;
    const map = log ? Math.log10 : value => value;
    if (low === high) { low = low > 0 ? low * 0.9 : low - 1; high = high > 0 ? high * 1.1 : high + 1; }
    const at = value => (map(value) - map(low)) / (map(high) - map(low));
    const ticks = [];
    const distinct = [...new Set(present)];
    if (distinct.length <= 6) {
      ticks.push(...distinct);
    } else if (log) {
      for (let power = Math.floor(map(low)); power <= map(high); power++)
        for (const digit of [1, 2, 5]) ticks.push(digit * 10 ** power);
    } else {
      const raw = (high - low) / 4, power = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].map(digit => digit * power).find(candidate => candidate >= raw);
      for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
    }
    return {at, ticks: ticks.filter(tick => at(tick) >= -1e-9 && at(tick) <= 1 + 1e-9)};
  }
  const distinct = [...new Set(values)].sort((a, b) => isNumber(a) && isNumber(b) ? a - b : short(a) < short(b) ? -1 : 1);
  return {at: value => distinct.length < 2 ? 0.5 : distinct.indexOf(value) / (distinct.length - 1), ticks: distinct};
}

const isLogarithmic = (name, values) => data.logarithmic.includes(name) && values.length > 0 &&
  values.every(v => isNumber(v) && v > 0) && values.reduce((a, b) => Math.max(a, b)) >= 10 * values.reduce((a, b) => Math.min(a, b));

// Dark blue for the best rank, yellow for the worst; grey for rows without the objective.
const ranked = rows.map((row, i) => i).filter(i => isNumber(rows[i].cells[objective]))
  .sort((a, b) => (rows[a].cells[objective] - rows[b].cells[objective]) * (data.objectives[objective] === "max" ? -1 : 1));
const rank = new Map(ranked.map((row, i) => [row, i / Math.max(ranked.length - 1, 1)]));
const colour = i => rank.has(i) ? `hsl(${265 - 215 * rank.get(i)} 65% ${32 + 22 * rank.get(i)}%)` : "#999";
const opacity = rows.length > 100 ? 0.35 : 0.9;  // of lines: many must shine through each other
const dash = i => rows[i].status === "completed" ? "" : rows[i].status === "pruned" ? "6 3" : "2 3";

function mark(made, i) {
  made.classList.add("mark");
  made.dataset.row = i;
  made.addEventListener("mouseenter", event => highlight(i, event));
  made.addEventListener("mouseleave", () => highlight(pinned));
  made.addEventListener("click", () => { pinned = pinned === i ? null : i; highlight(pinned); });
}

function highlight(i, event = null) {
  document.querySelectorAll(".hot").forEach(made => made.classList.remove("hot"));
  const tip = document.getElementById("tip");
  tip.style.display = "none";
  if (i === null) return;
  document.querySelectorAll(`[data-row="${i}"]`).forEach(made => made.classList.add("hot"));
  if (!event) return;
  tip.textContent = data.columns.filter(c => rows[i].text[c] !== "").map(c => `${c}: ${rows[i].text[c]}`).join("\n");
  tip.style.display = "block";
  tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
}

const WIDTH = 560, HEIGHT = 320, LEFT = 62, BOTTOM = 38, RIGHT = 14, TOP = 10;
const across = share => LEFT + share * (WIDTH - LEFT - RIGHT), up = share => HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);

function frame(id, x, y, labels) {
  const home = document.getElementById(id);
  home.replaceChildren();
  const svg = element("svg", home, {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": labels.join(" over ")});
  for (const tick of x.ticks) {
    element("line", svg, {class: "grid", x1: across(x.at(tick)), x2: across(x.at(tick)), y1: up(0), y2: up(1)});
    element("text", svg, {x: across(x.at(tick)), y: up(0) + 15, "text-anchor": "middle"}, short(tick));
  }
  for (const tick of y.ticks) {
    element("line", svg, {class: "grid", x1: across(0), x2: across(1), y1: up(y.at(tick)), y2: up(y.at(tick))});
    element("text", svg, {x: LEFT - 5, y: up(y.at(tick)) + 4, "text-anchor": "end"}, short(tick));
  }
  element("line", svg, {class: "axis", x1: across(0), x2: across(1), y1: up(0), y2: up(0)});
  element("line", svg, {class: "axis", x1: across(0), x2: across(0), y1: up(0), y2: up(1)});
  element("text", svg, {x: across(0.5), y: HEIGHT - 4, "text-anchor": "middle"}, labels[1]);
  return svg;
}

function path(points) { return points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join(""); }

function chooseCurves() {
  const metric = document.getElementById("curve-metric").value;
  const values = rows.flatMap(row => row.curves.flatMap(curve => curve[metric] || [])).filter(isNumber);
  document.getElementById("curve-log").checked = isLogarithmic(metric, values);
  drawCurves();
}

function drawCurves() {
  const metric = document.getElementById("curve-metric").value;
  const lines = [];
  rows.forEach((row, i) => row.curves.forEach(curve => {
    const points = (curve[metric] || []).map((value, k) => [curve.epoch[k], value]).filter(([, value]) => isNumber(value));
    if (points.length) lines.push([i, points]);
  }));
  const x = scale(lines.flatMap(([, points]) => points.map(point => point[0])));
  const y = scale(lines.flatMap(([, points]) => points.map(point => point[1])), document.getElementById("curve-log").checked);
  const svg = frame("curves", x, y, [metric, "epoch"]);
  for (const [i, points] of lines.reverse()) {
    const shape = points.length > 1 ?
      element("path", svg, {d: path(points.map(([e, v]) => [across(x.at(e)), up(y.at(v))])), fill: "none"}) :
      element("circle", svg, {cx: across(x.at(points[0][0])), cy: up(y.at(points[0][1])), r: 3, fill: "none"});
    shape.setAttribute("stroke", colour(i));
    shape.setAttribute("stroke-width", rows[i].best ? 2.6 : 1.4);
    shape.setAttribute("stroke-dasharray", dash(i));
    shape.setAttribute("stroke-opacity", opacity);
    mark(shape, i);
  }
  show();
}

function drawScatter() {
  const [xName, yName] = ["x", "y"].map(id => document.getElementById(id).value);
  const shown = rows.map((row, i) => i).filter(i => rows[i].cells[xName] != null && rows[i].cells[yName] != null);
  const [x, y] = [xName, yName].map(name => {
    const values = shown.map(i => rows[i].cells[name]);
    return scale(values, isLogarithmic(name, values));
  });
  const svg = frame("scatter", x, y, [yName, xName]);
  const front = shown.filter(i => rows[i].cells.pareto === "*");
  if (data.objectives[xName] && data.objectives[yName] && xName !== yName)
    element("path", svg, {fill: "none", stroke: "#1b1b1b", d: path(front.map(i => rows[i].cells)
      .sort((a, b) => a[xName] - b[xName]).map(c => [across(x.at(c[xName])), up(y.at(c[yName]))]))});
  for (const i of shown.reverse())
    mark(element("circle", svg, {cx: across(x.at(rows[i].cells[xName])), cy: up(y.at(rows[i].cells[yName])), r: 5,
      fill: rows[i].status === "completed" ? colour(i) : "#fff", stroke: colour(i), "fill-opacity": 0.8}), i);
  show();
}

let heights = [];  // per row: axis name -> height from 0 to 1

function drawParallel() {
  const names = [...data.keys, ...Object.keys(data.objectives)];
  const shown = rows.map((row, i) => i).filter(i => isNumber(rows[i].cells[objective]));
  document.getElementById("parallel-section").hidden = !data.keys.length || !shown.length;
  const wide = 1100, top = 30, high = 250, at = k => 110 + k * (wide - 220) / Math.max(names.length - 1, 1);
  const svg = element("svg", document.getElementById("parallel"), {viewBox: `0 0 ${wide} ${top + high + 16}`});
  const scales = names.map(name => {
    const values = shown.map(i => rows[i].cells[name]);
    return scale(values, isLogarithmic(name, values));
  });
  heights = rows.map(row => Object.fromEntries(names.map((name, k) => [name, scales[k].at(row.cells[name])])));
  for (const i of shown.slice().reverse())
    mark(element("path", svg, {fill: "none", stroke: colour(i), "stroke-width": rows[i].best ? 2.6 : 1.3, "stroke-opacity": opacity,
      "stroke-dasharray": dash(i), d: path(names.map((name, k) => [at(k), top + high * (1 - heights[i][name])]))}), i);
  names.forEach((name, k) => {
    element("line", svg, {class: "axis", x1: at(k), x2: at(k), y1: top, y2: top + high});
    element("text", svg, {x: at(k), y: 14, "text-anchor": "middle"}, name);
    const ticks = scales[k].ticks.length > 12 ? scales[k].ticks.filter((_, t, all) => t % Math.ceil(all.length / 12) === 0) : scales[k].ticks;
    for (const tick of ticks)
      element("text", svg, {x: at(k) + 5, y: top + high * (1 - scales[k].at(tick)) + 4}, short(tick));
    const brush = element("rect", svg, {class: "brush", x: at(k) - 8, width: 16, y: 0, height: 0});
    const handle = element("rect", svg, {x: at(k) - 14, width: 28, y: top - 8, height: high + 16, fill: "transparent", "data-axis": name});
    handle.style.cursor = "ns-resize";
    let start = null;
    const height = event => {
      const box = handle.getBoundingClientRect();
      return Math.max(0, Math.min(1, 1 - ((event.clientY - box.top) / box.height * (high + 16) - 8) / high));
    };
    handle.addEventListener("pointerdown", event => { start = height(event); handle.setPointerCapture(event.pointerId); });
    handle.addEventListener("pointermove", event => {
      if (start === null) return;
      const range = [start, height(event)].sort((a, b) => a - b);
      brushes[name] = range;
      brush.setAttribute("y", top + high * (1 - range[1]));
      brush.setAttribute("height", high * (range[1] - range[0]));
      show();
    });
    handle.addEventListener("pointerup", () => {
      const range = brushes[name];
      if (range && range[1] - range[0] < 0.01 || !range) { delete brushes[name]; brush.setAttribute("height", 0); show(); }
      start = null;
    });
    handle.addEventListener("pointercancel", () => { start = null; });
    handle.addEventListener("pointerdown", () => { delete brushes[name]; brush.setAttribute("height", 0); show(); });
  });
}

function drawImportances() {
  const shares = Object.entries(data.importances);
  const home = document.getElementById("importances");
  document.getElementById("importance-section").hidden = !shares.length;
  const svg = element("svg", home, {viewBox: `0 0 ${WIDTH} ${shares.length * 26 + 24}`});
  shares.forEach(([name, share], i) => {
    element("text", svg, {x: 190, y: i * 26 + 18, "text-anchor": "end"}, name);
    element("rect", svg, {x: 196, y: i * 26 + 5, width: 310 * share, height: 18, fill: "#00798c"});
    element("text", svg, {x: 202 + 310 * share, y: i * 26 + 18}, `${Math.round(share * 100)}%`);
  });
  element("text", svg, {x: 196, y: shares.length * 26 + 18}, `share of the variance of ${objective} (fANOVA)`);
}

// Which rows the search and the brushes leave: in the table and in every plot.
function show() {
  const wanted = document.getElementById("search").value.toLowerCase();
  let count = 0;
  rows.forEach((row, i) => {
    const found = Object.values(row.text).some(text => text.toLowerCase().includes(wanted));
    const brushed = Object.entries(brushes).every(([name, [low, high]]) =>
      isNumber(row.cells[objective]) && heights[i][name] >= low && heights[i][name] <= high);
    row.shown = found && brushed;
    count += row.shown;
  });
  document.querySelectorAll("[data-row]").forEach(made => made.classList.toggle("off", !rows[made.dataset.row].shown));
  document.getElementById("count").textContent = `${count} of ${rows.length} rows`;
}

let sorted = {name: null, descending: false};

function sortBy(name) {
  sorted = {name, descending: sorted.name === name && !sorted.descending};
  const direction = sorted.descending ? -1 : 1;
  const compare = (a, b) => {
    const [left, right] = [rows[a].cells[name], rows[b].cells[name]];
    if (left == null || right == null) return (left == null) - (right == null);  // blanks last, either way
    return direction * (isNumber(left) && isNumber(right) ? left - right :
      String(left).localeCompare(String(right), undefined, {numeric: true}));
  };
  const body = document.querySelector("tbody");
  [...body.children].sort((a, b) => compare(a.dataset.row, b.dataset.row)).forEach(line => body.append(line));
  document.querySelectorAll("th").forEach(head => head.removeAttribute("aria-sort"));
  document.querySelectorAll("th")[data.columns.indexOf(name)].setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
}

function drawTable() {
  const head = element("tr", document.querySelector("thead"));
  for (const name of data.columns)
    element("th", head, {title: "click to sort"}, name).addEventListener("click", () => sortBy(name));
  const body = document.querySelector("tbody");
  rows.forEach((row, i) => {
    const line = element("tr", body, {"data-row": i});
    if (row.best) line.classList.add("best");
    for (const name of data.columns) {
      const linked = name === data.columns[0];
      const cell = element("td", line, {}, name === "status" || linked ? null : row.text[name]);
      if (linked && name !== "run") cell.append(`${row.text[name]}: `);
      if (linked) row.links.forEach(([run, address], k) => element("a", cell, {"href": address}, k ? ` ${run}` : run));
      if (isNumber(row.cells[name])) cell.classList.add("number");
      if (name === "status") element("span", cell, {class: `status ${row.status}`}, row.text.status);
    }
    line.addEventListener("mouseenter", () => highlight(i));
    line.addEventListener("mouseleave", () => highlight(pinned));
    line.addEventListener("click", () => { pinned = pinned === i ? null : i; highlight(pinned); });
  });
}

function options(id, names, chosen, draw) {
  const select = document.getElementById(id);
  for (const name of names) element("option", select, {value: name}, name);
  if (names.includes(chosen)) select.value = chosen;
  select.addEventListener("change", draw);
}

for (const line of data.head) element("p", document.getElementById("head"), {}, line);
if (data.command) {
  element("p", document.getElementById("head"), {}, "to train it again:");
  element("code", document.getElementById("head"), {id: "command"}, data.command);
}
for (const note of data.notes) element("p", document.getElementById("head"), {class: "note"}, `note: ${note}`);
const two = Object.keys(data.objectives);
options("curve-metric", data.curveMetrics, objective, chooseCurves);
options("x", data.axes, two.length === 2 ? two[0] : "trial", drawScatter);
options("y", data.axes, two.length === 2 ? two[1] : objective, drawScatter);
document.getElementById("curve-log").addEventListener("change", drawCurves);
document.getElementById("search").addEventListener("input", show);
drawTable();
drawImportances();
drawParallel();
chooseCurves();
drawScatter();
document.body.dataset.ready = "yes";
