/** The view of a model: recipe, scores, curves, confusion matrix and calibration. */

import { fetchModel } from "./api.js";
import { lineChart, rangeOf } from "./charts.js";
import { byId, element, options, scrollable, table } from "./dom.js";
import { Latest } from "./latest.js";
import { count, percent } from "./numbers.js";

const STAGES = { val: "Validation set", test: "Test set" };
const SCORES = { accuracy: "Accuracy", f1: "F1", auroc: "AUROC", loss: "Loss" };
const KINDS = {
  network: "network",
  exported: "network, exported to ONNX",
  "n-grams": "n-gram baseline",
  ensemble: "ensemble",
};
const X_TICKS = 10; // at most, of the epochs

const latest = new Latest();

/** Connect the view with these models. */
export function startModel(models) {
  const select = byId("model-select");
  select.replaceChildren(...options(models.map(({ name }) => name)));
  const update = () => latest.run((signal) => show(select.value, signal), showError);
  select.addEventListener("change", update);
  update();
}

async function show(name, signal) {
  const model = await fetchModel(name, signal);
  byId("model-error").textContent = "";
  byId("model-result").replaceChildren(
    summary(model),
    ...scoresView(model.scores),
    ...(model.record ? recordView(model.record, model.classes) : [noRecord()]),
  );
}

function noRecord() {
  return element("p", { class: "hint" }, "There is no record of the training beside this model, so there are no curves.");
}

function summary(model) {
  const cost = model.record?.parameters;
  const facts = [
    ["Kind", KINDS[model.kind] ?? model.kind],
    ["Classes", model.classes.join(", ")],
    ...(cost == null ? [] : [["Parameters", count(cost)]]),
    ...(model.max_length == null ? [] : [["Reads at most", `${count(model.max_length)} words or subwords`]]),
    ["Contributions of words", model.explains ? "yes" : "no: an exported model has no gradients"],
    ...Object.entries(model.recipe).map(([field, value]) => [field, settingText(value)]),
    ["Digest", element("code", {}, model.digest)],
  ];
  const made = table("Recipe", ["Setting", "Value"], facts, true);
  made.classList.add("facts");
  return made;
}

function settingText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function scoresView(scores) {
  const stages = Object.keys(STAGES).filter((stage) => scores?.[stage]);
  if (!stages.length) return [];
  const rows = stages.map((stage) => [STAGES[stage], ...Object.keys(SCORES).map((score) => scoreText(score, scores[stage][score]))]);
  return [scrollable(table("Scores", ["Split", ...Object.values(SCORES)], rows))];
}

function scoreText(score, value) {
  if (value == null) return "–";
  return score === "loss" ? value.toFixed(3) : percent(value);
}

function recordView({ epochs, confusion, calibration }, classes) {
  const parts = epochs?.length ? [element("h2", {}, "Training"), ...curves(epochs)] : [];
  for (const [stage, title] of Object.entries(STAGES)) {
    if (confusion?.[stage]) parts.push(confusionTable(title, confusion[stage], classes));
  }
  if (calibration?.length) parts.push(...calibrationView(calibration));
  return parts;
}

function curves(epochs) {
  const charts = ["loss", "accuracy"].map((score) => curve(SCORES[score], score, epochs));
  const columns = ["Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"];
  const rows = epochs.map(({ epoch, train, val }) => [
    String(epoch),
    ...[train, val].flatMap((scores) => ["loss", "accuracy"].map((score) => scoreText(score, scores?.[score]))),
  ]);
  return [element("div", { class: "columns" }, ...charts), numbers(table("Scores by epoch", columns, rows))];
}

function curve(title, score, epochs) {
  const series = [["train", "training set"], ["val", "validation set"]]
    .map(([stage, name]) => ({
      name,
      points: epochs.filter((each) => each[stage]?.[score] != null).map((each) => [each.epoch, each[stage][score]]),
    }))
    .filter(({ points }) => points.length);
  const last = epochs.at(-1).epoch;
  const step = Math.ceil(last / X_TICKS);
  const xTicks = epochs.map(({ epoch }) => epoch).filter((epoch) => epoch % step === 0);
  const ys = rangeOf(series.flatMap(({ points }) => points.map(([, value]) => value)));
  return lineChart({ title, xLabel: "epoch", series, xs: [Math.min(1, last - 1), last], ys, xTicks });
}

function numbers(hidden) {
  return element("details", {}, element("summary", {}, "The same as numbers"), scrollable(hidden));
}

/** Return the counts of true (rows) and predicted classes (columns). Darker cells have more. */
function confusionTable(title, matrix, classes) {
  const rows = matrix.map((counts, truth) => {
    const all = counts.reduce((total, number) => total + number, 0);
    return [`true ${classes[truth]}`, ...counts.map((number) => shaded(number, all))];
  });
  const made = table(`Confusion matrix, ${title.toLowerCase()}`, ["Class", ...classes.map((name) => `predicted ${name}`)], rows);
  made.classList.add("confusion");
  return scrollable(made);
}

function shaded(number, all) {
  const cell = element("span", { class: "shaded" }, count(number), element("small", {}, all ? ` ${percent(number / all)}` : ""));
  cell.style.setProperty("--strength", all ? number / all : 0);
  return cell;
}

/** Return how often predictions are right, by the probability of the predicted class. */
function calibrationView(bins) {
  const filled = bins.filter((bin) => bin.count > 0);
  const points = filled.map((bin) => [bin.confidence, bin.accuracy]);
  const chart = lineChart({
    title: "Calibration: how often predictions of a probability are right",
    xLabel: "probability of the predicted class",
    series: [{ name: "reviews", points }],
    xs: [0, 1],
    ys: [0, 1],
    xTicks: [0, 0.25, 0.5, 0.75, 1],
    diagonal: true,
  });
  const rows = filled.map((bin) => [percent(bin.confidence), percent(bin.accuracy), count(bin.count)]);
  const caption = "Calibration";
  return [
    element("h2", {}, "Calibration"),
    chart,
    element("p", { class: "hint" }, "On the dashed line, probabilities are as large as the share of right predictions."),
    numbers(table(caption, ["Probability", "Right", "Reviews"], rows)),
  ];
}

function showError(error) {
  byId("model-result").replaceChildren();
  byId("model-error").textContent = error.message;
}
