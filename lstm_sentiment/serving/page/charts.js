/** Charts as SVG. Each chart stands beside a table with the same numbers. */

import { element, shape } from "./dom.js";

const WIDTH = 360;
const HEIGHT = 220;
const LEFT = 44; // space for the numbers of the vertical axis
const BOTTOM = 34; // and of the horizontal one
const MARGIN = 10;
const TICKS = 6; // at most, of the vertical axis

/**
 * Return a chart with a line for each of `series`, `{name, points: [[x, y], ...]}`. `xs` is the range
 * of the horizontal axis; the vertical one reaches from its first to its last tick. With `diagonal`,
 * a line shows where x and y are equal.
 */
export function lineChart({ title, xLabel, series, xs, xTicks, yTicks, diagonal = false }) {
  const ys = [yTicks[0], yTicks.at(-1)];
  const x = scale(xs, LEFT, WIDTH - MARGIN);
  const y = scale(ys, HEIGHT - BOTTOM, MARGIN);
  const parts = [...yAxis(yTicks, y), ...xAxis(xTicks, x, xLabel)];
  if (diagonal)
    parts.push(
      line(
        [
          [xs[0], ys[0]],
          [xs[1], ys[1]],
        ],
        x,
        y,
        "diagonal",
      ),
    );
  series.forEach(({ points }, index) => {
    if (points.length > 1) parts.push(line(points, x, y, `line line-${index}`));
    parts.push(...points.map((point) => marker(point, x, y, index)));
  });
  const chart = shape(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title, class: "chart" },
    ...parts,
  );
  return element("figure", {}, element("figcaption", {}, title), chart, key(series));
}

/** Return ticks around numbers, at multiples of 1, 2 or 5 times a power of ten. */
export function ticksOver(numbers) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const power = 10 ** Math.floor(Math.log10((high - low || 1) / TICKS));
  const step = [1, 2, 5, 10]
    .map((factor) => factor * power)
    .find((each) => ticksAt(each, low, high).length <= TICKS);
  return ticksAt(step ?? 10 * power, low, high);
}

function ticksAt(step, low, high) {
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

function scale([low, high], start, end) {
  return (value) => start + ((value - low) / (high - low || 1)) * (end - start);
}

function line(points, x, y, look) {
  const path = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
  return shape("polyline", { points: path, class: look });
}

/** Series differ in the form of their markers, too: circles and squares. */
function marker([a, b], x, y, index) {
  const look = { class: `marker marker-${index}` };
  if (index === 0) return shape("circle", { cx: x(a), cy: y(b), r: 3.5, ...look });
  return shape("rect", { x: x(a) - 3.2, y: y(b) - 3.2, width: 6.4, height: 6.4, ...look });
}

function yAxis(ticks, y) {
  return ticks.flatMap((tick) => [
    shape("line", { x1: LEFT, x2: WIDTH - MARGIN, y1: y(tick), y2: y(tick), class: "grid" }),
    shape("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, tick.toFixed(2)),
  ]);
}

function xAxis(ticks, x, label) {
  const numbers = ticks.map((tick) =>
    shape("text", { x: x(tick), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, String(tick)),
  );
  const middle = (LEFT + WIDTH - MARGIN) / 2;
  return [...numbers, shape("text", { x: middle, y: HEIGHT - 3, "text-anchor": "middle" }, label)];
}

function key(series) {
  const items = series.map(({ name }, index) => {
    const sample = shape(
      "svg",
      { viewBox: "0 0 24 10", class: "sample", "aria-hidden": "true" },
      shape("polyline", { points: "0,5 24,5", class: `line line-${index}` }),
      marker(
        [12, 5],
        (value) => value,
        (value) => value,
        index,
      ),
    );
    return element("li", {}, sample, ` ${name}`);
  });
  return element("ul", { class: "legend", "aria-label": "Lines" }, ...items);
}
