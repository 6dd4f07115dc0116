// Draws the charts of the page from the JSON in it, and lets tables be sorted. Chart.js stands above.
"use strict";
// Okabe and Ito's colours, which the colour-blind tell apart; dashes and marks tell series apart in grey.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#444444", "#e69f00", "#56b4e9"],
  dark: ["#56b4e9", "#e69f00", "#2bd4a4", "#e6a3c8", "#dddddd", "#ff8a4c", "#9ad1f5"],
};
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 4], [12, 4], [1, 5]];
const MARKS = ["circle", "rect", "triangle", "star", "crossRot", "rectRot", "cross"];
const given = JSON.parse(document.getElementById("charts").textContent);
const darkness = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = [];

function colours() {
  return darkness.matches ? { series: COLOURS.dark, text: "#e6e6e6", grid: "#ffffff22" } : { series: COLOURS.light, text: "#222222", grid: "#00000018" };
}

function series(chart, one, place) {
  place = one.look ?? place;
  const colour = colours().series[place % COLOURS.light.length];
  const bars = chart.kind === "bars" && one.label !== "threshold";
  return {
    label: one.label,
    data: one.points.map(([x, y]) => ({ x, y })),
    names: one.names,
    showLine: chart.kind !== "scatter",
    borderColor: colour,
    backgroundColor: colour + (bars ? "44" : "aa"),
    fill: bars,
    stepped: bars ? "middle" : false,
    borderDash: DASHES[place % DASHES.length],
    borderWidth: 2,
    pointStyle: MARKS[place % MARKS.length],
    pointRadius: chart.kind === "scatter" ? 4 : one.points.length > 60 || bars ? 0 : 2.5,
    pointHitRadius: 8,
    clip: 6, // A point on the edge is drawn whole.
  };
}

function axis(title, logarithmic, largest) {
  const { text, grid } = colours();
  return {
    type: logarithmic ? "logarithmic" : "linear",
    max: largest,
    title: { display: true, text: title + (logarithmic ? " (logarithmic)" : ""), color: text },
    ticks: { color: text, maxTicksLimit: 8 },
    grid: { color: grid },
  };
}

function told(item) {
  const number = (value) => Number(value.toPrecision(4)).toString();
  const name = item.dataset.names ? item.dataset.names[item.dataIndex] : item.dataset.label;
  return `${name}: ${number(item.parsed.y)} at ${number(item.parsed.x)}`;
}

function draw(canvas) {
  const [key, place] = canvas.dataset.chart.split(":");
  const chart = key === "compared" ? given.compared[place] : given.runs[key][place];
  const { text } = colours();
  return new Chart(canvas, {
    type: "line",
    data: { datasets: chart.series.map((one, number) => series(chart, one, number)) },
    options: {
      animation: false,
      parsing: false,
      normalized: true,
      maintainAspectRatio: false,
      interaction: { mode: "nearest", intersect: false },
      scales: { x: axis(chart.x, chart.x_log, chart.x_max), y: axis(chart.y, chart.y_log, chart.y_max) },
      plugins: {
        legend: { display: chart.series.length > 1, position: "bottom", labels: { color: text, usePointStyle: chart.kind === "scatter", boxHeight: 1 } },
        tooltip: { callbacks: { title: () => "", label: told } },
      },
    },
  });
}

function drawAll() {
  drawn.splice(0).forEach((chart) => chart.destroy());
  document.querySelectorAll("canvas[data-chart]").forEach((canvas) => drawn.push(draw(canvas)));
}

function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text);
  return Number.isNaN(number) ? text : number;
}

function order(a, b) {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
  return typeof a === "number" ? -1 : 1; // What has no number stands last.
}

function sort(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const falling = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a, column), value(b, column)));
  table.tBodies[0].append(...(falling ? rows.reverse() : rows));
}

document.querySelectorAll("table.sortable").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sort(table, column));
    head.replaceChildren(button);
  });
});
// What is folded away is printed all the same.
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
darkness.addEventListener("change", drawAll);
drawAll();
