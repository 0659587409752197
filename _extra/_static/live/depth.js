// Depth, gain and activation against the size of each layer's gradient. The chapter "Fifty layers multiply" derives χ.
"use strict";

(() => {
  const WIDTH = 64, ROWS = 16, DEEPEST = 50;
  const ACTIVATIONS = { // value, and slope in terms of the value
    sigmoid: [z => 1 / (1 + Math.exp(-z)), a => a * (1 - a)],
    tanh: [Math.tanh, a => 1 - a * a],
    ReLU: [z => Math.max(z, 0), a => a > 0 ? 1 : 0],
    linear: [z => z, () => 1],
  };

  function normals(seed) { // by splitmix32, and Box and Muller's transformation
    let state = seed;
    const uniform = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ state >>> 16, 0x21f0aaad);
      z = Math.imul(z ^ z >>> 15, 0x735a2d97);
      return ((z ^ z >>> 15) >>> 0) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return rows => Array.from({length: rows}, () => new Float64Array(WIDTH).map(normal));
  }

  // A matrix is a list of its rows.
  const transpose = A => Array.from(A[0], (_, j) => {
    const column = new Float64Array(A.length);
    for (let i = 0; i < A.length; i++) column[i] = A[i][j];
    return column;
  });
  const times = (A, B) => A.map(row => {
    const product = new Float64Array(B[0].length);
    for (let k = 0; k < row.length; k++) {
      const a = row[k], other = B[k];
      for (let j = 0; j < other.length; j++) product[j] += a * other[j];
    }
    return product;
  });
  const each = (A, f) => A.map((row, i) => row.map((a, j) => f(a, i, j)));
  const rms = A => {
    let sum = 0;
    for (const row of A) for (const a of row) sum += a * a;
    return Math.sqrt(sum / (A.length * A[0].length));
  };

  let drawn = {seed: null}; // kept: only one of the controls changes it
  function numbers(seed) {
    if (seed !== drawn.seed) {
      const draw = normals(seed), x = draw(ROWS), top = draw(ROWS);
      const units = Array.from({length: DEEPEST}, () => draw(WIDTH)); // weights for g = √64
      drawn = {seed, x, top, units, flipped: units.map(transpose)};
    }
    return drawn;
  }

  // χ and the mean squared slope, where q has settled: the chapter's integrals.
  const nodes = Array.from({length: 1600}, (_, i) => 16 * i / 1599 - 8);
  const density = nodes.map(z => Math.exp(-z * z / 2)), total = density.reduce((sum, p) => sum + p);
  const mean = f => nodes.reduce((sum, z, i) => sum + density[i] * f(z), 0) / total;
  function theory([f, slope], gain) {
    let q = 1;
    for (let step = 0; step < 100; step++) q = gain ** 2 * mean(z => f(Math.sqrt(q) * z) ** 2);
    const slopes = mean(z => slope(f(Math.sqrt(q) * z)) ** 2);
    return {slopes, chi: gain ** 2 * slopes};
  }

  Live.define("depth", {
    controls: [
      {name: "activation", label: "activation", values: Object.keys(ACTIVATIONS), value: "tanh"},
      {name: "layers", label: "layers", values: [2, 3, 5, 10, 15, 20, 25, 30, 35, 40, 45, DEEPEST], value: DEEPEST},
      {
        name: "gain", label: "gain g", value: 0.5, show: g => g === Math.SQRT2 ? "√2" : String(g),
        values: [0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, Math.SQRT2, 1.5, 1.6, 1.8, 2, 2.5, 3, 4, 6, 8, 10, 12],
      },
      {name: "seed", label: "random draw", values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], value: 1},
    ],

    compute({activation, layers, gain, seed}) {
      const [f, slope] = ACTIVATIONS[activation], {x, top, units, flipped} = numbers(seed), scale = gain / Math.sqrt(WIDTH);
      const ahead = [x];
      for (let l = 0; l < layers; l++) ahead.push(each(times(ahead[l], units[l]), z => f(scale * z)));
      const errors = [], gradients = [];
      let back = top; // what comes back to the last layer's output
      for (let l = layers; l > 0; l--) {
        const delta = each(back, (b, i, j) => b * slope(ahead[l][i][j]));
        errors.unshift(rms(delta));
        gradients.unshift(rms(times(transpose(ahead[l - 1]), delta)) / ROWS); // of the mean loss
        back = each(times(delta, flipped[l - 1]), b => scale * b);
      }
      const {chi, slopes} = theory(ACTIVATIONS[activation], gain);
      return {
        errors, gradients, chi,
        network: () => ({x, top, weights: units.slice(0, layers).map(U => each(U, u => scale * u))}),
        factor: (errors[0] / errors.at(-1)) ** (2 / (layers - 1)),
        foretold: errors.map((_, l) => Math.sqrt(slopes * chi ** (layers - 1 - l))),
      };
    },

    draw({errors, gradients, foretold}, {layers}, width) {
      const exponents = [...errors, ...gradients, ...foretold].map(Math.log10);
      const low = 5 * Math.floor(Math.min(-5, ...exponents) / 5), high = 5 * Math.ceil(Math.max(5, ...exponents) / 5);
      const frame = Live.plot({
        left: 52, top: 56, width: width - 74, height: 220,
        x: {domain: [1, layers], label: "layer", ticks: [1, 10, 20, 30, 40].filter(l => l < layers).concat(layers)},
        y: {domain: [10 ** low, 10 ** high], log: true, label: "size, root mean square"},
      });
      const points = sizes => sizes.map((size, l) => [l + 1, size]);
      return Live.svg(width, 322, frame.axes,
        Live.key(8, 16, [["errors", "blue"], ["weight gradients", "vermilion"], ["theory", "dashed"]], width),
        frame.line([[1, 1], [layers, 1]], "guide"),
        frame.line(points(gradients), "vermilion"),
        frame.line(points(errors), "blue"),
        frame.dots(points(errors), "blue", 2.5),
        frame.line(points(foretold), "dashed"));
    },

    say({errors, gradients, chi, factor}, {layers}) {
      const first = errors[0], last = errors.at(-1), growth = first / last, n = Live.number;
      const verdict = growth < 0.01 ? "it vanishes" : growth > 100 ? "it explodes" : "it holds";
      const limit = first < 7e-46 ? " Float32 would store 0." : first > 3.4e38 ? " Float32 would overflow." : "";
      return `The error is ${n(last)} at layer ${layers} and ${n(first)} at layer 1: ${verdict}.${limit} ` +
        `Each layer multiplies its square by ${n(factor)}; theory says χ = ${n(chi)}. ` +
        `The weight gradient is ${n(gradients.at(-1))} at layer ${layers} and ${n(gradients[0])} at layer 1.`;
    },
  });
})();
