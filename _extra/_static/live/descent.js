// Descent with momentum in a bowl, beside the map of what rate and momentum do there. The chapter on optimisers has the
// bowl, the start and the textbooks' pairs; its equation r² − (1 + β − ηλ)r + β = 0 draws the map.
"use strict";

{
  const START = [-10, 0.5]; // the chapter's, where the steep curvature is 1 and κ is 50
  const root = (Math.sqrt(50) - 1) / (Math.sqrt(50) + 1);
  const TEXTBOOK = {descent: 2 / (1 + 1 / 50), heavyBall: (1 + root) * (1 + root), beta: root * root};
  const RATES = [0.02, 0.05, ...Array.from({length: 42}, (_, i) => (i + 1) / 10), TEXTBOOK.descent, TEXTBOOK.heavyBall];
  const show = value => Number(value.toFixed(2)) + (Object.values(TEXTBOOK).includes(value) ? "*" : "");

  // What a step does in the long run along a direction: the larger root, in size, and the way that it moves.
  function motion(push, beta) {
    const sum = 1 + beta - push, inside = sum * sum - 4 * beta, edge = Math.abs(inside) < 1e-9;
    const factor = inside < 0 || edge ? Math.sqrt(beta) : (Math.abs(sum) + Math.sqrt(inside)) / 2;
    if (Math.abs(factor - 1) < 1e-9) return {push, factor, kind: "on the boundary"};
    if (factor > 1) return {push, factor, kind: "exploding"};
    if (edge) return {push, factor, kind: beta ? "at the edge of swinging" : "there at once"};
    return {push, factor, kind: inside < 0 ? "swinging" : sum < 0 ? "changing sides" : "creeping"};
  }

  Live.define("descent", {
    controls: [
      {name: "rate", label: "rate η", values: RATES.sort((a, b) => a - b), value: TEXTBOOK.descent, show},
      {name: "beta", label: "momentum β", show, value: 0,
        values: [0, 0.1, 0.2, 0.3, 0.4, 0.5, TEXTBOOK.beta, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98]},
      {name: "kappa", label: "ratio of curvatures κ", values: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], value: 50},
      {name: "steps", label: "steps", values: [5, 10, 25, 50, 100, 200, 500], value: 25},
    ],

    compute({rate, beta, kappa, steps}) {
      const curvature = [1 / kappa, 1], history = [0, 0], path = [START];
      for (let step = 0; step < steps; step++) {
        path.push(path.at(-1).map((w, i) => w - rate * (history[i] = beta * history[i] + curvature[i] * w)));
      }
      const [x, y] = path.at(-1), root = Math.sqrt(kappa), factor = (root - 1) / (root + 1);
      return {
        path, distance: Math.hypot(x, y), loss: (curvature[0] * x * x + y * y) / 2,
        along: motion(rate * curvature[0], beta), across: motion(rate, beta),
        boundary: 2 * (1 + beta), best: {rate: (1 + factor) ** 2, beta: factor ** 2, factor},
      };
    },

    draw({path, along, across, best}, {beta, kappa}, width) {
      const left = 36, top = 34, tall = 230, gap = 52, phone = width < 520, low = phone ? 170 : tall;
      const wide = phone ? width - left - 12 : Math.round((width - left - gap - 12) * 0.56);
      const bowl = Live.plot({
        left, top, width: wide, height: low,
        x: {domain: [-12, 12], label: `w₁, of curvature ${1 / kappa}`},
        y: {domain: [-2, 2], label: "w₂, of curvature 1"},
      });
      const map = Live.plot({
        left: phone ? left : left + wide + gap, width: phone ? wide : width - left - wide - gap - 12,
        top: phone ? top + low + 84 : top, height: tall, // its lower edge lies below 0, or it would cut the dots there
        x: {domain: [0, 4.4], label: "rate × curvature ηλ", ticks: [0, 1, 2, 3, 4]},
        y: {domain: [-0.06, 1], label: "momentum β"},
      });
      const turn = Array.from({length: 49}, (_, i) => i * Math.PI / 24), unit = Array.from({length: 31}, (_, i) => i / 30);
      const parabola = side => unit.map(r => [(1 + side * r) ** 2, r * r]);
      const lift = beta < 0.1 ? -24 : -9, word = {anchor: "middle"};
      return Live.svg(width, top + tall + 46 + (phone ? low + 84 : 0),
        bowl.axes,
        [10, 6, 2.5].map(w => bowl.line(turn.map(t => [w * Math.cos(t), w * Math.sin(t) / Math.sqrt(kappa)]), "contour")),
        bowl.line([[-0.4, 0], [0.4, 0]], "thin"), bowl.line([[0, -0.07], [0, 0.07]], "thin"),
        bowl.line(path, "thin purple"), path.length <= 101 ? bowl.dots(path, "purple", 2.5) : "",
        map.axes,
        map.area([...parabola(-1), ...parabola(1).reverse()], ""),
        map.area([[2, 0], [4, 1], [4.4, 1], [4.4, 0]], "vermilion"), map.line([[2, 0], [4, 1]], "vermilion"),
        map.words([0.43, 0.025], "creeps", "tick", word), map.words([1.5, 0.025], "flips", "tick", word),
        map.words([1.8, 0.7], "swings", "tick", word), map.words([3.5, 0.2], "explodes", "vermilion", word),
        map.dots([[best.rate, best.beta], [best.rate / kappa, best.beta]], "ring", 6),
        map.line([[along.push, beta], [across.push, beta]], "thin purple dashed"),
        map.dots([[along.push, beta], [across.push, beta]], "purple", 4.5),
        map.words([along.push, beta], "λ₁", "purple strong", {dx: 3, dy: lift}),
        map.words([across.push, beta], "λ₂", "purple strong", {dx: -3, dy: lift, anchor: "end"}));
    },

    say({along, across, distance, loss, boundary}, {steps}) {
      const gap = Live.number(Math.abs(boundary - across.push)), limit = `2(1 + β) = ${Live.number(boundary)}`;
      const where = Math.abs(boundary - across.push) < 1e-9 ? `on the boundary ${limit}`
        : `${gap} ${across.push < boundary ? "below" : "above"} the boundary ${limit}`;
      return `After ${steps} steps the distance to the minimum is ${Live.number(distance)}, the loss ${Live.number(loss)}. `
        + `In the long run a step takes w₁ times ${Live.number(along.factor)}, ${along.kind}, `
        + `and w₂ times ${Live.number(across.factor)}, ${across.kind}. ηλ₂ = ${Live.number(across.push)} is ${where}.`;
    },
  });
}
