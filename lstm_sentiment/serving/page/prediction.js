/** A prediction as elements: its headline, bars of probabilities, and coloured words. */

import { element, table } from "./dom.js";
import { count, counted, percent, signed } from "./numbers.js";

const BARS = 12; // of the most probable classes
const WORDS = 2_000; // shown; an explanation may have more
const STRONGEST = 10; // words in the table

export const COMPUTING = "Computing the colours…";

/** Return "positive, 93.1 %". */
export function headline(prediction) {
  return `${prediction.label}, ${percent(prediction.probabilities[prediction.label])}`;
}

/** Return bars for the probability of each class, in the order of the classes. */
export function probabilityBars(prediction, classes) {
  const rows = classes.map((name) => ({
    name,
    share: prediction.probabilities[name],
    value: percent(prediction.probabilities[name]),
    strong: name === prediction.label,
  }));
  return bars("Probability of each class", rows);
}

/**
 * Return a table of bars. A row has a `name`, a `share` from 0 to 1, its `value` as text, and
 * `strong` if it stands out. Of many rows, only those with the largest shares are shown.
 */
export function bars(caption, rows) {
  const least = [...rows].sort((a, b) => b.share - a.share)[BARS - 1]?.share ?? 0;
  const shown = rows.filter((row) => row.share >= least).slice(0, BARS);
  const left = rows.length - shown.length;
  return element(
    "table",
    { class: "bars" },
    element(
      "caption",
      {},
      left ? `${caption} (${count(left)} with smaller values are not shown)` : caption,
    ),
    element("tbody", {}, ...shown.map(barRow)),
  );
}

function barRow({ name, share, value, strong }) {
  const bar = element("span", { class: "bar" });
  bar.style.setProperty("--share", share);
  return element(
    "tr",
    strong ? { class: "strong" } : {},
    element("th", { scope: "row", dir: "auto" }, element("span", { class: "name" }, name)),
    element("td", { class: "track", "aria-hidden": "true" }, bar),
    element("td", { class: "value" }, value),
  );
}

/** Return the elements of an explanation: legend, coloured words, notes and the strongest words. */
export function explanationView(explanation, classes) {
  const { tokens } = explanation;
  const strength = 1 / (Math.max(...tokens.slice(0, WORDS).map(size), 0) || 1);
  const words = tokens.slice(0, WORDS).flatMap((token) => [word(token, strength), " "]);
  return [
    legend(explanation, classes),
    element("p", { class: "words", dir: "auto" }, ...words),
    element("p", { class: "hint" }, notes(explanation)),
    strongestTable(explanation),
  ];
}

/** Return the elements that stand for an explanation until it has been computed. */
export function uncoloured(text) {
  return [
    element("p", { class: "hint" }, COMPUTING),
    element("p", { class: "uncoloured", dir: "auto" }, text),
  ];
}

/** Return why a model cannot show contributions of words. */
export function unexplained({ kind }) {
  const reason =
    kind === "ensemble"
      ? "an ensemble is explained by its members"
      : "an exported model has no gradients";
  return `This model cannot show contributions of words: ${reason}.`;
}

function size(token) {
  return Math.abs(token.contribution);
}

function word(token, strength) {
  const direction = token.contribution < 0 ? "against" : "for";
  const made = element(
    "span",
    { class: `word ${direction}`, title: signed(token.contribution) },
    token.text,
  );
  if (!token.known) made.classList.add("unknown");
  made.style.setProperty("--strength", (size(token) * strength).toFixed(3));
  return made;
}

/** Return what colours and lines mean. Each colour has a line of its own. */
function legend(explanation, classes) {
  const others = classes.filter((name) => name !== explanation.class);
  const against = others.length === 1 ? `for ${others[0]}` : "for other classes";
  const items = [
    ["word for", `for ${explanation.class}`],
    ["word against", against],
    ["word unknown", "unknown to the model"],
  ];
  const shown = items.map(([look, text]) => {
    const sample = element("span", { class: look }, "word");
    sample.style.setProperty("--strength", 0.8);
    return element("li", {}, element("span", { "aria-hidden": "true" }, sample), ` ${text}`);
  });
  return element("ul", { class: "legend", "aria-label": "Legend" }, ...shown);
}

function notes(explanation) {
  const { tokens, unread } = explanation;
  const sentences = [explanation.method];
  if (tokens.length > WORDS)
    sentences.push(`The first ${count(WORDS)} of ${counted(tokens.length, "word")} are shown.`);
  if (unread)
    sentences.push(
      `${count(unread)} more ${unread === 1 ? "token was" : "tokens were"} cut off and not read.`,
    );
  return sentences.join(" ");
}

function strongestTable({ tokens, class: name }) {
  const strongest = [...tokens].sort((a, b) => size(b) - size(a)).slice(0, STRONGEST);
  const rows = strongest.map((token) => [token.text, signed(token.contribution)]);
  return element(
    "details",
    {},
    element("summary", {}, "Strongest words"),
    table(`Contribution to the logit of ${name}`, ["Word", "Contribution"], rows),
  );
}
