// A pool's charts: backlog, wait and replicas over the last hours, with each decision as a mark. The same figures are in
// tables below them. Drawn by uPlot, from what the board tells at data-history.
"use strict";
(() => {
  const place = document.getElementById("charts");
  const said = document.getElementById("decision-said");
  if (!place) return;
  const tables = document.getElementById("tables");
  const REFRESH_MS = 10000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
  const count = (value) => (value == null ? "?" : value.toLocaleString("en"));
  const wait = (value) => (value == null ? "?" : value < 60 ? `${+value.toFixed(value < 10 ? 1 : 0)} s` : value < 3600 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`);
  const CHARTS = [
    { title: "Jobs", say: count, height: 130, lines: [["ready", "ready", "--c1", 1], ["in flight", "in_flight", "--c2", 2], ["delayed", "delayed", "--c3", 3]] },
    { title: "Wait", say: wait, height: 100, lines: [["oldest ready job", "oldest", "--c1", 1]] },
    { title: "Replicas", say: count, height: 120, marks: true, lines: [["desired", "desired", "--c2", 2, true], ["current", "current", "--c4", 4, true], ["able to work", "ready_replicas", "--c1", 1, true]] },
  ];
  const idle = said ? said.textContent : "";
  let plots = [];
  let history = null;
  let asked = 0;

  const words = (it) => `${time(it.at)}  ${count(it.from)} → ${count(it.to)}  ${it.reason}: ${it.message}`;

  // Marks are elements over the plot, not paint: they can be pointed at, and found.
  const mark = (plot) => {
    plot.over.querySelectorAll(".mark").forEach((old) => old.remove());
    for (const it of history.decisions) {
      const left = plot.valToPos(it.at, "x");
      if (left < 0 || left > plot.over.clientWidth) continue;
      const one = document.createElement("span");
      one.className = `mark ${it.to < it.from ? "down" : "up"}`;
      one.title = words(it);
      one.style.left = `${left}px`;
      one.addEventListener("mouseenter", () => { if (said) said.textContent = words(it); });
      one.addEventListener("mouseleave", () => { if (said) said.textContent = idle; });
      plot.over.append(one);
    }
    place.dataset.decisions = String(history.decisions.length);
  };

  const options = (chart, width) => ({
    width,
    height: chart.height,
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "pool", setSeries: false }, drag: { x: true, y: false }, points: { size: 6 }, y: false },
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.1)] } },
    axes: [
      { stroke: colour("--dim"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", size: 26,
        values: (_, splits) => splits.map((it) => new Date(it * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false })) },
      { stroke: colour("--dim"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", size: 56,
        space: 26, incrs: chart.title === "Replicas" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] : undefined,
        values: (_, splits) => splits.map((it) => chart.say(it)) },
    ],
    series: [{}, ...chart.lines.map(([, , name, , steps]) => ({
      stroke: colour(name), width: 1.5, points: { show: false }, spanGaps: false,
      dash: name === "--c4" ? [4, 3] : undefined,
      paths: steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
    }))],
    hooks: {
      setCursor: [(plot) => tell(plot, chart)],
      ...(chart.marks ? { draw: [mark] } : {}),
    },
  });

  const tell = (plot, chart) => {
    const at = plot.cursor.idx;
    chart.keys.forEach((key, index) => {
      const value = at == null ? null : history[chart.lines[index][1]][at];
      key.textContent = at == null ? chart.lines[index][0] : `${chart.lines[index][0]} ${chart.say(value)}`;
    });
    chart.when.textContent = at == null ? "" : time(history.at[at]);
  };

  const describe = (plot, chart) => {
    const now = chart.lines.map(([label, name]) => `${label} ${chart.say(history[name].at(-1))} now`).join(", ");
    plot.root.setAttribute("aria-label", `${chart.title} over the last hours: ${now}. The figures are in the tables below.`);
  };

  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    place.replaceChildren();
    plots = CHARTS.map((chart) => {
      const box = document.createElement("div");
      box.className = "chart";
      const head = document.createElement("h3");
      const title = document.createElement("b");
      title.textContent = chart.title;
      head.append(title);
      chart.keys = chart.lines.map(([label, , name, number]) => {
        const key = document.createElement("span");
        key.className = `key key-${number}${name === "--c4" ? " key-dash" : ""}`;
        key.textContent = label;
        head.append(key);
        return key;
      });
      chart.when = document.createElement("span");
      head.append(chart.when);
      box.append(head);
      place.append(box);
      const plot = new uPlot(options(chart, width()), [history.at, ...chart.lines.map(([, name]) => history[name])], box);
      plot.root.setAttribute("role", "img");
      describe(plot, chart);
      return plot;
    });
  };
  const width = () => Math.max(240, place.clientWidth - 26);

  const refresh = async () => {
    if (Date.now() - asked < REFRESH_MS || document.hidden) return;
    asked = Date.now();
    try {
      const answer = await fetch(place.dataset.history, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      history = await answer.json();
    } catch {
      return; // the next one may come through
    }
    if (!history.at.length) return;
    if (!plots.length) { draw(); return; }
    if (tables && tables.querySelector("details[open]")) htmx.ajax("GET", tables.dataset.tables, { target: tables, swap: "morph:innerHTML" });
    plots.forEach((plot, index) => {
      plot.setData([history.at, ...CHARTS[index].lines.map(([, name]) => history[name])]);
      describe(plot, CHARTS[index]);
    });
  };

  new ResizeObserver(() => plots.forEach((plot, index) => {
    if (plot.width !== width()) plot.setSize({ width: width(), height: CHARTS[index].height });
  })).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (history) draw(); });
  // A decision is drawn as soon as the page tells of it.
  const decided = () => document.querySelector("[data-desired]")?.dataset.desired;
  let desired = decided();
  document.body.addEventListener("htmx:sseMessage", () => {
    if (desired !== decided()) asked = 0;
    desired = decided();
    refresh();
  });
  setInterval(refresh, REFRESH_MS);
  refresh();
})();
