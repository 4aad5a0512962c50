"use strict";
// Sorts and filters tables, and draws each chart when it comes into view, in the page's own colours.

const NARROW = 600; // pixels: below this a chart drops what has no room

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colours() {
  const [text, page, line, quiet] = ["--text", "--page", "--line", "--quiet"].map(colour);
  const changes = { "font.color": text, "hoverlabel.bgcolor": page, "hoverlabel.font.color": text };
  for (const axis of ["xaxis", "yaxis"]) {
    changes[`${axis}.gridcolor`] = line;
    changes[`${axis}.linecolor`] = quiet;
  }
  changes["modebar.color"] = quiet;
  changes["modebar.activecolor"] = text;
  return changes;
}

function put(layout, changes) {
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    const last = names.pop();
    let place = layout;
    for (const name of names) place = place[name] ??= {};
    place[last] = value;
  }
  return layout;
}

const drawn = new Map(); // plot -> its chart and whether it is drawn for a narrow page

function forWidth(plot, chart) {
  const changes = {};
  for (const name of Object.keys(chart.narrow ?? {})) changes[name] = chart.figure.layout[name];
  if (plot.clientWidth < NARROW) Object.assign(changes, chart.narrow);
  // A label's ground hides the line behind it.
  if (changes.annotations) changes.annotations = changes.annotations.map((one) => ({ ...one, bgcolor: colour("--page") }));
  return changes;
}

function draw(plot) {
  if (drawn.has(plot) || !plot.clientWidth) return;
  const chart = JSON.parse(plot.parentElement.querySelector("script").textContent);
  drawn.set(plot, chart);
  const layout = put(structuredClone(chart.figure.layout), { ...colours(), ...forWidth(plot, chart) });
  Plotly.newPlot(plot, chart.figure.data, layout, {
    responsive: true, displaylogo: false, displayModeBar: plot.clientWidth < NARROW ? false : "hover",
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  });
}

function drawAgain() {
  for (const [plot, chart] of drawn) Plotly.relayout(plot, { ...colours(), ...forWidth(plot, chart) });
}

const inView = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
}, { rootMargin: "400px" });
const plots = document.querySelectorAll(".plot");
for (const plot of plots) inView.observe(plot);
addEventListener("beforeprint", () => plots.forEach(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAgain);
matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", drawAgain);

// A cell's number if it begins with one, else its text; an empty cell comes last either way.
function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replaceAll(",", "").replace(/^[≤=]\s*/, "").replace("−", "-"));
  return { text, number, empty: text === "" || text === "–" };
}

function compare(one, other) {
  if (one.empty || other.empty) return 0;
  if (!Number.isNaN(one.number) && !Number.isNaN(other.number)) return one.number - other.number;
  return one.text.localeCompare(other.text);
}

function sort(heading) {
  const table = heading.closest("table");
  const column = heading.cellIndex;
  const descending = heading.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: key(row, column) }));
  rows.sort((one, other) => (one.key.empty - other.key.empty) || (descending ? -1 : 1) * compare(one.key, other.key));
  body.append(...rows.map((one) => one.row));
}

function filter(grid) {
  const words = grid.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...grid.querySelector("tbody").rows];
  let count = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  grid.querySelector(".found").textContent = words.length ? `${count} of ${rows.length}` : "";
}

for (const button of document.querySelectorAll(".sortable thead button"))
  button.addEventListener("click", () => sort(button.closest("th")));
for (const input of document.querySelectorAll(".grid input"))
  input.addEventListener("input", () => filter(input.closest(".grid")));
