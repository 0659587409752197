// The frame of the live figures. A figure says what can be set, computes numbers from the settings, draws them and says
// them in a sentence; this file gives it controls for keyboard, pointer and screen reader. It also runs in Node, where
// `tools/live.py` makes the pictures that a page shows before, or without, any script.
"use strict";

const Live = (() => {
  const figures = {};
  const FULL_WIDTH = 640; // px, of a drawing; the column of text is no wider

  // `figure` has: controls, a list of {name, label, values, value, show}, where `values` are numbers (a slider), texts (a
  // list) or [false, true] (a switch), and `show` writes a value; compute(settings) -> numbers; draw(result, settings,
  // width) -> SVG; say(result, settings) -> text.
  function define(name, figure) {
    for (const control of figure.controls) control.show ??= String;
    figures[name] = figure;
  }

  const defaults = figure => Object.fromEntries(figure.controls.map(control => [control.name, control.value]));

  // --- drawing

  const round = value => Math.round(value * 10) / 10; // a tenth of a pixel, and the same text on every machine
  const escape = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const svg = (width, height, ...parts) =>
    `<svg class="drawing" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
    `width="${width}" height="${height}">${parts.flat(Infinity).join("\n")}</svg>`;
  // `dx` and `dy` shift it in pixels, `anchor` is start, middle or end. `text` may hold the markup of `power`.
  const text = (x, y, markup, kind = "", anchor = "start") =>
    `<text x="${round(x)}" y="${round(y)}" class="${kind}" text-anchor="${anchor}">${markup}</text>`;
  const minus = value => String(value).replace("-", "−");
  const power = exponent => `10<tspan dy="-0.4em" font-size="86%">${minus(exponent)}</tspan>`;

  // What the colours mean, in a row: [words, kind of line] for each. Where there is room, also for a reader's wider font.
  const key = (x, y, entries, width) => entries.map(([words, kind]) => {
    const line = `<path class="line ${kind}" d="M${round(x)} ${y - 5}h18"/>` + text(x + 23, y, words);
    x += 34 + (width < 450 ? 6.6 : 8) * words.length;
    return line;
  });

  // A number for a sentence: three digits, and a power of ten where zeros would have to be counted.
  function number(value, digits = 3) {
    if (value === 0) return "0";
    if (!Number.isFinite(value)) return value > 0 ? "beyond the largest number" : "not a number";
    const exponent = Math.floor(Math.log10(Math.abs(value)));
    if (exponent >= -3 && exponent < 5) return minus(Number(value.toPrecision(digits)));
    const [head, tail] = value.toExponential(digits - 1).split("e");
    return `${minus(Number(head))}\u00a0×\u00a010${superscript(Number(tail))}`; // not to be broken over two lines
  }
  const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻";
  const superscript = value => String(value).replace(/./g, letter => RAISED["0123456789-".indexOf(letter)]);
  // The same for the ear: some screen readers pass over raised digits.
  const spoken = words => words.replace(RegExp(`10([${RAISED}]+)`, "g"),
    (_, raised) => `10 to the power ${[...raised].map(letter => "0123456789−"[RAISED.indexOf(letter)]).join("")}`);

  function steps(low, high, count) { // round numbers between two ends
    const rough = (high - low) / count, size = 10 ** Math.floor(Math.log10(rough));
    const step = size * [1, 2, 5, 10].find(factor => factor * size >= rough * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
      ticks.push(Number((i * step).toPrecision(12)));
    }
    return ticks;
  }

  // One axis: {domain: [low, high], log, label, ticks, count}; on a logarithmic one the domain is of the values themselves.
  function scale({domain, log = false, ticks, count = 5}, start, end) {
    const to = log ? Math.log10 : Number;
    const [low, high] = domain.map(to);
    const place = value => start + (to(value) - low) / (high - low) * (end - start);
    if (!ticks) {
      ticks = steps(low, high, count);
      if (log) ticks = ticks.filter(Number.isInteger).map(exponent => 10 ** exponent);
    }
    const name = value => log ? power(Math.round(Math.log10(value))) : minus(value);
    return {place, ticks: ticks.map(value => ({at: place(value), name: name(value)}))};
  }

  // A frame with two axes in the box {left, top, width, height}. Its marks are cut at the frame; `line`, `dot` and `area`
  // take data, `words` writes beside a point of the data.
  function plot({left, top, width, height, x, y, title = ""}) {
    const right = left + width, bottom = top + height;
    const across = scale(x, left, right), up = scale(y, bottom, top);
    const far = 1e4; // px: what lies beyond the frame is cut, but a browser cannot draw at 1e300
    const clamp = value => Math.max(-far, Math.min(far, value));
    const at = ([u, v]) => [round(clamp(across.place(u))), round(clamp(up.place(v)))];
    const inside = ([u, v]) => Number.isFinite(across.place(u)) && Number.isFinite(up.place(v));
    const box = `width="${width}" height="${height}" viewBox="${left} ${top} ${width} ${height}"`;
    const cut = marks => `<svg x="${left}" y="${top}" ${box}>${marks}</svg>`;
    const path = points => points.filter(inside).map((point, i) => (i ? "L" : "M") + at(point).join(" ")).join("");
    const circle = ([x, y], kind, radius) => `<circle class="dot ${kind}" cx="${x}" cy="${y}" r="${radius}"/>`;
    const tick = (x, y, stroke) => `<path class="axis" d="M${x} ${y}${stroke}"/>`;
    const axes = [
      `<path class="axis" d="M${left} ${top}V${bottom}H${right}"/>`,
      ...across.ticks.map(({at, name}) => tick(round(at), bottom, "v4") + text(at, bottom + 18, name, "tick", "middle")),
      ...up.ticks.map(({at, name}) => tick(left, round(at), "h-4") + text(left - 8, at + 4, name, "tick", "end")),
      text((left + right) / 2, bottom + 38, x.label ?? "", "label", "middle"),
      text(left, top - 10, title || (y.label ?? ""), "label"), // above the axis: nobody turns the head
    ];
    return {
      axes,
      x: across.place,
      y: up.place,
      line: (points, kind) => cut(`<path class="line ${kind}" d="${path(points)}"/>`),
      dots: (points, kind, radius = 3.5) => cut(points.filter(inside).map(p => circle(at(p), kind, radius)).join("")),
      area: (points, kind) => cut(`<path class="area ${kind}" d="${path(points)}Z"/>`),
      words([u, v], markup, kind, {dx = 0, dy = 0, anchor = "start"} = {}) {
        const x = Math.max(left, Math.min(right, across.place(u))), y = Math.max(top, Math.min(bottom, up.place(v)));
        return text(x + dx, y + dy, markup, kind, anchor);
      },
    };
  }

  // --- on the page

  function field(input, {values, show}) { // how to read a control and how to set it
    const flips = input.type === "checkbox", slider = input.type === "range";
    return {
      get: () => flips ? input.checked : slider ? values[input.value] : input.value,
      set(value) {
        if (!values.includes(value)) throw RangeError(`${input.name} cannot be ${value}`);
        if (flips) input.checked = value;
        else input.value = slider ? values.indexOf(value) : value;
        if (slider) {
          input.setAttribute("aria-valuetext", spoken(show(value)));
          input.previousSibling.textContent = show(value);
        }
      },
    };
  }

  function mount(holder) {
    const figure = figures[holder.dataset.live];
    const form = holder.querySelector("form"), words = holder.querySelector("output");
    const said = holder.querySelector("svg").getAttribute("aria-label");
    const fields = {};
    for (const control of figure.controls) fields[control.name] = field(form.elements[control.name], control);

    // What is said aloud waits until the reader has stopped moving; the visible sentence does not.
    const status = document.createElement("p");
    status.className = "live-status";
    status.setAttribute("role", "status");
    holder.append(status);
    words.setAttribute("aria-live", "off");

    const state = holder.live = {figure, settings: defaults(figure), result: null, set};
    const width = () => Math.min(FULL_WIDTH, Math.floor(holder.clientWidth)) || FULL_WIDTH;
    const atDefaults = () => figure.controls.every(({name, value}) => state.settings[name] === value);
    let drawn, rest;

    function draw() {
      if (drawn !== width()) words.style.minHeight = "";
      drawn = width();
      holder.querySelector("svg").outerHTML = figure.draw(state.result, state.settings, drawn);
      const drawing = holder.querySelector("svg");
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", atDefaults() ? said : words.textContent); // `said` is true of the defaults alone
    }
    function set(changes) {
      Object.assign(state.settings, changes);
      for (const [name, {set}] of Object.entries(fields)) set(state.settings[name]);
      state.result = figure.compute(state.settings);
      words.textContent = figure.say(state.result, state.settings);
      draw();
    }
    function move(changes) {
      set(changes);
      words.style.minHeight = `${words.offsetHeight}px`; // it may grow, but does not jump back
      clearTimeout(rest);
      rest = setTimeout(() => { status.textContent = spoken(words.textContent); }, 600); // ms
    }
    form.addEventListener("input", event => move({[event.target.name]: fields[event.target.name].get()}));
    form.addEventListener("submit", event => event.preventDefault());
    form.querySelector("button").addEventListener("click", () => move(defaults(figure)));
    new ResizeObserver(() => { if (holder.clientWidth && width() !== drawn) draw(); }).observe(holder);
    set({});
  }

  if (typeof document !== "undefined") {
    addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-live]").forEach(mount));
  }

  // What `tools/live.py` puts on the page before any script runs.
  function still(name) {
    const figure = figures[name], settings = defaults(figure), result = figure.compute(settings);
    const shown = ({show, ...control}) =>
      ({...control, shown: control.values.map(show), spoken: spoken(show(control.value))});
    return {
      svg: figure.draw(result, settings, FULL_WIDTH),
      text: figure.say(result, settings),
      controls: figure.controls.map(shown),
    };
  }

  return {define, still, svg, plot, text, key, power, minus, number, escape};
})();

if (typeof module !== "undefined") module.exports = Live;
