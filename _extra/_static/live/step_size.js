// The error of a numerical derivative against its step h, in float64 and float32: the curves of the chapter "Never trust a
// gradient you have not differenced", for the same function, weights and steps. `round` is called after every operation:
// nothing happens in float64; Math.fround gives the float32 that a float32 processor would give, since the float64 result
// of one +, −, ×, ÷ or √ of two float32 numbers rounds to it.
"use strict";

(() => {
  const TYPES = {float64: {round: value => value, u: 2 ** -52}, float32: {round: Math.fround, u: 2 ** -23}};
  const WEIGHTS = Array.from({length: 101}, (_, i) => i === 100 ? 2 : i * (1.5 / 100) + 0.5);
  const STEPS = Array.from({length: 92}, (_, i) => (1 + i % 2 / 2) * 2 ** (Math.floor(i / 2) - 46));

  function neuron(w, round) {
    const miss = round(round(w / round(Math.sqrt(round(1 + round(w * w))))) - 0.25);
    return round(miss * miss);
  }

  function derivatives(w) { // f, f′, f″ and f‴
    const q = 1 + w * w, root = Math.sqrt(q), miss = w / root - 0.25;
    const a1 = 1 / (q * root), a2 = -3 * w / (q * q * root), a3 = (12 * w * w - 3) / (q * q * q * root);
    return [miss * miss, 2 * miss * a1, 2 * a1 * a1 + 2 * miss * a2, 6 * a1 * a2 + 2 * miss * a3];
  }

  function difference(w, h, round, below) {
    const above = round(w + h);
    return round(round(neuron(above, round) - neuron(below, round)) / round(above - below));
  }

  function complexStep(w, h, round) { // the imaginary part of neuron(w + ih), divided by h
    const wh = round(w * h), re = round(1 + round(round(w * w) - round(h * h))), im = round(2 * wh);
    const size = round(Math.sqrt(round(round(re * re) + round(im * im))));
    const c = round(Math.sqrt(round(round(size + re) / 2))), d = round(im / round(2 * c)); // the root is c + id
    const square = round(round(c * c) + round(d * d));
    const miss = round(round(round(round(w * c) + round(h * d)) / square) - 0.25);
    const imaginary = round(round(round(h * c) - round(w * d)) / square);
    return round(round(round(2 * miss) * imaginary) / h);
  }

  const METHODS = {
    forward: (w, h, round) => difference(w, h, round, w),
    central: (w, h, round) => difference(w, h, round, round(w - h)),
    complex: complexStep,
  };
  const median = values => values.some(Number.isNaN) ? NaN : values.sort((a, b) => a - b)[(values.length - 1) / 2];

  function errors(method, {round}) {
    const points = WEIGHTS.map(w => [round(w), derivatives(round(w))[1]]);
    return STEPS.map(h => median(points.map(([w, slope]) => Math.abs(METHODS[method](w, h, round) / slope - 1))));
  }

  function theory(method, {u}) { // truncation, the most that rounding can do, and both together
    const sizes = WEIGHTS.map(w => derivatives(w).map(Math.abs));
    const over = part => STEPS.map(h => median(sizes.map(([f, f1, f2, f3]) => part(h, f, f2, f3) / f1)));
    const truncation = (h, _, f2, f3) => method === "forward" ? h / 2 * f2 : h * h / 6 * f3;
    const rounding = (h, f) => method === "forward" ? u * f / h : method === "central" ? u * f / (2 * h) : 0;
    return {
      truncation: over(truncation),
      rounding: over(rounding),
      both: over((...of) => truncation(...of) + rounding(...of)),
    };
  }

  const COLOURS = {forward: "vermilion", central: "blue", complex: "green"};

  Live.define("step_size", {
    controls: [
      {name: "method", label: "method", values: Object.keys(METHODS), value: "central"},
      {name: "precision", label: "precision", values: Object.keys(TYPES), value: "float64"},
      {name: "h", label: "step h", values: STEPS, value: 2 ** -13, show: h => Live.number(h, 2)},
    ],

    compute({method, precision}) {
      const type = TYPES[precision], curves = {};
      for (const name of Object.keys(METHODS)) curves[name] = errors(name, type);
      const least = Math.min(...curves[method].filter(error => !Number.isNaN(error)));
      const best = STEPS[curves[method].indexOf(least)];
      return {steps: STEPS, curves, theory: theory(method, type), u: type.u, least, best};
    },

    draw({curves, theory, u}, {method, h}, width) {
      const frame = Live.plot({
        left: 52, top: 56, width: width - 74, height: 230,
        x: {domain: [1e-14, 1], log: true, label: "step h", ticks: [1e-12, 1e-9, 1e-6, 1e-3, 1]},
        y: {domain: [1e-16, 10], log: true, label: "relative error, median of 101 weights", ticks: [1e-15, 1e-10, 1e-5, 1]},
      });
      const points = list => list.map((error, i) => [STEPS[i], Math.max(error, 4 * u)]); // below 4u there is only rounding
      const here = points(curves[method])[STEPS.indexOf(h)];
      return Live.svg(width, 332, frame.axes,
        Live.key(8, 16, [...Object.entries(COLOURS), ["theory", "dashed"]], width),
        frame.line([[h, 1e-16], [h, 10]], "guide"),
        Object.entries(COLOURS).map(([name, colour]) => frame.line(points(curves[name]), colour)),
        frame.line(theory.both.map((error, i) => [STEPS[i], error]), "dashed"),
        frame.dots([here], COLOURS[method], 5));
    },

    say({curves, theory, u, least, best}, {method, precision, h}) {
      const i = STEPS.indexOf(h), error = curves[method][i], n = value => Live.number(value, 2);
      const name = method === "complex" ? "Complex step" : `${method[0].toUpperCase()}${method.slice(1)} difference`;
      const start = `${name} in ${precision}, h = ${n(h)}: `;
      if (Number.isNaN(error)) return `${start}w + h is rounded to w for some of the weights, and 0 is divided by 0.`;
      if (method === "complex") {
        return error < 4 * u
          ? `${start}the relative error is below 4u = ${n(4 * u)}. Nothing cancels, so a shorter step does no harm.`
          : `${start}the relative error is ${n(error)}. Theory: ${n(theory.truncation[i])} from truncation.`;
      }
      const [long, short] = [theory.truncation[i], theory.rounding[i]];
      const fault = long > 10 * short ? "long" : short > 10 * long ? "short" : null;
      return `${start}the relative error is ${n(error)}. Theory: ${n(long)} from truncation and at most ${n(short)} ` +
        `from rounding${fault ? `, so the step is too ${fault}` : ""}. ` +
        `The best step is ${n(best)}, with an error of ${n(least)}.`;
    },
  });
})();
