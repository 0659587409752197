// A weight in the valley L = λw²/2, with and without `zero_grad`. The chapter "Forgetting zero_grad" derives the swing.
"use strict";

Live.define("zero_grad", {
  controls: [
    {name: "zero", label: "optimizer.zero_grad()", values: [false, true], value: false},
    {
      name: "rate", label: "rate × curvature", value: 0.1,
      values: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 1.3, 1.9, 2, 2.1, 2.4, 3.3, 3.7, 3.99, 4, 4.01],
    },
    {name: "steps", label: "steps", values: [20, 50, 100, 200, 500, 1000, 2000], value: 100},
  ],

  compute({zero, rate, steps}) {
    let w = 1, grad = 0;
    const path = [w];
    for (let step = 0; step < steps; step++) {
      if (zero) grad = 0;
      grad += rate * w; // with a curvature of 1, the gradient is w; the rate is taken in here
      w -= grad;
      path.push(w);
    }
    // What the chapter derives for the loop that forgets.
    const period = 2 * Math.PI / Math.acos(1 - rate / 2), amplitude = 1 / Math.sqrt(1 - rate / 4);
    return {path, largest: Math.max(...path.map(Math.abs)), period, amplitude};
  },

  draw({path, largest}, {zero}, width) {
    const high = Math.min(Math.max(1, largest), 20) * 1.15;
    const frame = Live.plot({
      left: 48, top: 34, width: width - 70, height: 210,
      x: {domain: [0, path.length - 1], label: "step", count: width < 450 ? 4 : 5},
      y: {domain: [-high, high], label: "weight w"},
    });
    const points = path.map((w, step) => [step, w]);
    return Live.svg(width, 300, frame.axes,
      frame.line([[0, 0], [path.length - 1, 0]], "guide"),
      frame.line(points, zero ? "blue" : "vermilion"),
      path.length <= 101 ? frame.dots(points, zero ? "blue" : "vermilion", 2.5) : "");
  },

  say({path, largest, period, amplitude}, {zero, rate, steps}) {
    const end = Math.abs(path.at(-1));
    const now = `After ${steps} steps, |w| is ${Live.number(end)}`;
    if (zero) {
      const factor = Live.minus(Number((1 - rate).toPrecision(3)));
      if (rate === 2) return `${now}: at ηλ = 2 it jumps from side to side and stays as far away as it began.`;
      return rate < 2
        ? `${now}: each step multiplies w by ${factor}, and the weight comes to rest.`
        : `${now}: each step multiplies w by ${factor}. Beyond ηλ = 2, plain descent explodes.`;
    }
    if (rate >= 4) return `${now}. From ηλ = 4 on, the loop that forgets explodes too.`;
    return `${now}, and it was ${Live.number(largest)} at most. It swings for ever: period ${period.toFixed(2)} steps, ` +
      `amplitude ${amplitude.toFixed(3)}.`;
  },
});
