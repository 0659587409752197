// One recurrent unit whose loss has a wall, after Pascanu, Mikolov and Bengio (2013), and two walkers who start together;
// one clips the gradient. Unit, steps and target are those of the chapter on what keeps gradients alive.
"use strict";

{
  const UNROLLED = 50, TARGET = 0.7, FIRST = 0.5, ARRIVED = 0.01;
  const BOX = {w: [4, 6], b: [-3.4, -0.6]};
  const sigmoid = x => 1 / (1 + Math.exp(-x));

  function slope([w, b]) { // the gradient, and the loss
    let x = FIRST, dw = 0, db = 0;
    for (let step = 0; step < UNROLLED; step++) {
      const s = sigmoid(x), factor = w * s * (1 - s);
      [x, dw, db] = [w * s + b, s + factor * dw, 1 + factor * db];
    }
    const s = sigmoid(x), outer = 2 * (s - TARGET) * s * (1 - s);
    return {loss: (s - TARGET) ** 2, gradient: [outer * dw, outer * db]};
  }

  // To eleven bits, as in the chapter: by a wall the last digit of exp, in which machines differ, would decide the path.
  const coarse = value => value * (2 ** 42 + 1) - (value * (2 ** 42 + 1) - value);

  function walk(start, {rate, threshold, steps}, clips) {
    const path = [start];
    let largest = 0, longest = 0, above = 0; // how many gradients are longer than the threshold
    for (let step = 0; step < steps; step++) {
      const at = path.at(-1), gradient = slope(at).gradient.map(coarse), norm = Math.hypot(...gradient);
      const factor = clips ? Math.min(1, threshold / (norm + 1e-9)) : 1;
      path.push(at.map((value, i) => value - rate * factor * gradient[i]));
      above += norm > threshold;
      largest = Math.max(largest, norm);
      longest = Math.max(longest, rate * factor * norm);
    }
    return {path, largest, longest, above, loss: slope(path.at(-1)).loss};
  }

  // Where the last state is `wanted`: it grows with w and with b, so for each w one b will do, found by halving.
  const level = wanted => Array.from({length: 41}, (_, i) => {
    const w = BOX.w[0] + (BOX.w[1] - BOX.w[0]) * i / 40;
    let [low, high] = [BOX.b[0] - 1, BOX.b[1] + 1];
    for (let halving = 0; halving < 14; halving++) {
      const b = (low + high) / 2;
      let x = FIRST;
      for (let step = 0; step < UNROLLED; step++) x = w * sigmoid(x) + b;
      if (sigmoid(x) < wanted) low = b;
      else high = b;
    }
    return [w, (low + high) / 2];
  });
  // Layers of tint, each where the loss is above a level: below the valley, then above it.
  const hills = () => [-1, 1].flatMap(side => [ARRIVED, 0.03, 0.06, 0.12, 0.24, 0.4]
    .map(loss => TARGET + side * Math.sqrt(loss)).filter(state => state < 1)
    .map(state => [...level(state), ...[1, 0].map(end => [BOX.w[end], BOX.b[(side + 1) / 2]])]));
  let surface; // it never changes

  const tenths = (low, high) => Array.from({length: high - low + 1}, (_, i) => (low + i) / 10);
  const show = value => Live.minus(value.toFixed(1));
  Live.define("cliff", {
    controls: [
      {name: "clip", label: "clip the gradient", values: [false, true], value: true},
      {name: "threshold", label: "threshold", values: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50], value: 1},
      {name: "rate", label: "rate η", values: [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], value: 0.05},
      {name: "w", label: "start w", values: tenths(42, 58), value: 5, show},
      {name: "b", label: "start b", values: tenths(-32, -8), value: -2.2, show},
      {name: "steps", label: "steps", values: [1, 2, 5, 10, 20, 50, 100, 200, 300], value: 300},
    ],

    compute(settings) {
      const start = [settings.w, settings.b];
      const free = walk(start, settings, false), clipped = settings.clip ? walk(start, settings, true) : null;
      return {start: slope(start), free, clipped};
    },

    draw({free, clipped}, {threshold, w, b}, width) {
      const frame = Live.plot({
        left: 40, top: 34, width: width - 56, height: 290,
        x: {domain: BOX.w, label: "weight w"}, y: {domain: BOX.b, label: "bias b"},
      });
      const draw = ({path}, kind) => [frame.line(path, `${kind} thin`), frame.dots([path.at(-1)], kind)];
      return Live.svg(width, 370, frame.axes,
        (surface ??= hills()).map(hill => frame.area(hill, "faint")),
        frame.words([4.06, -3.25], "loss up to 0.49"), frame.words([4.06, -0.85], "loss up to 0.09"),
        draw(free, "vermilion"), clipped ? draw(clipped, "blue") : "", frame.dots([[w, b]], "", 4),
        frame.words([5.94, -0.85], "unclipped", "vermilion strong", {anchor: "end"}),
        clipped ? frame.words([5.94, -0.85], `clipped at ${threshold}`, "blue strong", {dy: 20, anchor: "end"}) : "");
    },

    say({free, clipped}, {threshold, steps}) {
      const tell = ({loss, largest, longest}) => `largest gradient met ${Live.number(largest)}, longest step `
        + `${Live.number(longest)}, loss at the end ${Live.number(loss)}: ${loss < ARRIVED ? "arrived" : "not arrived"}.`;
      const alone = `Unclipped, ${steps} ${steps > 1 ? "steps" : "step"}: ${tell(free)}`;
      return clipped ? `${alone} Clipped at ${threshold}, which cut ${clipped.above} of ${steps}: ${tell(clipped)}`
        : `${alone} A threshold of ${threshold} would have cut ${free.above} of these steps.`;
    },
  });
}
