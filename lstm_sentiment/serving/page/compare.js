/** The view of two models side by side. */

import { predict } from "./api.js";
import { byId, element, options } from "./dom.js";
import { exampleButtons } from "./examples.js";
import { Latest, pause } from "./latest.js";
import { percent } from "./numbers.js";
import {
  explanationView,
  headline,
  probabilityBars,
  uncoloured,
  unexplained,
} from "./prediction.js";
import { EXPLANATION_PAUSE, PREDICTION_PAUSE } from "./review.js";

const ROUNDING = 1e-9; // of probabilities

const latest = new Latest();

/** Connect the view with these models. */
export function startCompare(models) {
  const text = byId("compare-text");
  byId("compare-notice").hidden = models.length > 1;
  const columns = ["First", "Second"].map((title, index) => makeColumn(title, models, index));
  byId("compare-columns").replaceChildren(...columns.map(({ root }) => root));
  const update = (wait) =>
    latest.run(
      (signal) => show(text.value, columns, signal, wait),
      (error) => {
        clear(columns);
        byId("compare-error").textContent = error.message;
      },
    );
  text.addEventListener("input", () => update(PREDICTION_PAUSE));
  for (const { select } of columns) select.addEventListener("change", () => update(0));
  byId("compare-examples").replaceChildren(
    ...exampleButtons((example) => {
      text.value = example;
      update(0);
    }),
  );
  update(0); // the text may have been written before the models were known
}

function makeColumn(title, models, index) {
  const id = `compare-model-${index}`;
  const select = element("select", { id }, ...options(models.map(({ name }) => name)));
  select.selectedIndex = Math.min(index, models.length - 1);
  const result = element("div", {});
  const words = element("div", {});
  const field = element(
    "div",
    { class: "field" },
    element("label", { for: id }, `${title} model`),
    select,
  );
  const root = element("div", { class: "column" }, field, result, words);
  const model = () => models.find(({ name }) => name === select.value);
  return { root, select, result, words, model };
}

async function show(text, columns, signal, wait) {
  if (!text.trim()) return clear(columns);
  await pause(wait, signal);
  const models = columns.map(({ model }) => model());
  const predictions = await Promise.all(models.map(({ name }) => predict(text, name, signal)));
  byId("compare-error").textContent = "";
  const [verdict, gap] = disagreement(...predictions);
  byId("compare-disagreement").replaceChildren(verdict, " ", element("small", {}, gap));
  for (const [index, { result, words }] of columns.entries()) {
    showPrediction(result, predictions[index], models[index].classes);
    showText(words, text, models[index]);
  }
  await pause(wait ? EXPLANATION_PAUSE : 0, signal);
  const label = explainedClass(...predictions);
  for (const [index, { words }] of columns.entries()) {
    if (models[index].explains) await explain(words, text, models[index], label, signal);
  }
}

function showPrediction(result, prediction, classes) {
  const title = element("p", { class: "headline", dir: "auto" }, headline(prediction));
  result.replaceChildren(title, probabilityBars(prediction, classes));
}

/** Replace the colours, which are those of an older text. */
function showText(words, text, model) {
  const reason = () => element("p", { class: "hint" }, unexplained(model));
  words.replaceChildren(...(model.explains ? uncoloured(text) : [reason()]));
}

/**
 * Return the class that is explained for both models, so that a colour means the same; null for the
 * one that each model explains by default.
 */
function explainedClass(first, second) {
  const names = Object.keys(first.probabilities);
  return names.length > 2 && Object.hasOwn(second.probabilities, first.label) ? first.label : null;
}

async function explain(words, text, model, label, signal) {
  try {
    const { explanation } = await predict(text, model.name, signal, true, label);
    words.replaceChildren(...explanationView(explanation, model.classes));
  } catch (error) {
    signal.throwIfAborted();
    words.replaceChildren(element("p", { class: "hint" }, error.message));
  }
}

/** Return two sentences: whether two predictions agree, and how much their probabilities differ. */
export function disagreement(first, second) {
  const same = first.label === second.label;
  const verdict = same
    ? `Both models predict ${first.label}.`
    : `The models disagree: ${first.label} and ${second.label}.`;
  const names = Object.keys(first.probabilities);
  const otherNames = Object.keys(second.probabilities);
  const isShared = (name) => Object.hasOwn(second.probabilities, name);
  if (names.length !== otherNames.length || !names.every(isShared)) {
    return [
      verdict,
      "The models have different classes, so their probabilities cannot be compared.",
    ];
  }
  const gap = (name) => Math.abs(first.probabilities[name] - second.probabilities[name]);
  // Of two classes, whose gaps are equal, the second one.
  const widest = names.reduceRight((best, name) =>
    gap(name) > gap(best) + ROUNDING ? name : best,
  );
  const points = (100 * gap(widest)).toFixed(1);
  const [one, other] = [first, second].map(({ probabilities }) => percent(probabilities[widest]));
  return [
    verdict,
    `The probabilities of ${widest} differ by ${points} percentage points (${one} and ${other}).`,
  ];
}

function clear(columns) {
  byId("compare-error").textContent = "";
  byId("compare-disagreement").textContent = "";
  for (const { result, words } of columns) {
    result.replaceChildren();
    words.replaceChildren();
  }
}
