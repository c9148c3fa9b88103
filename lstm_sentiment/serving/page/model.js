/** The view of a model: recipe, scores, curves, confusion matrix and calibration. */

import { fetchModel } from "./api.js";
import { lineChart, ticksOver } from "./charts.js";
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

const QUARTERS = [0, 0.25, 0.5, 0.75, 1];

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
  return element(
    "p",
    { class: "hint" },
    "There is no record of the training beside this model, so there are no curves.",
  );
}

function summary(model) {
  const cost = model.record?.parameters;
  const facts = [
    ["Kind", KINDS[model.kind] ?? model.kind],
    ["Classes", model.classes.join(", ")],
    ...(cost == null ? [] : [["Parameters", count(cost)]]),
    ...(model.max_length == null
      ? []
      : [["Reads at most", `${count(model.max_length)} words or subwords`]]),
    ["Contributions of words", model.explains ? "yes" : "no"],
    ...settings(model.recipe),
    ["Digest", element("code", {}, model.digest)],
  ];
  const made = table("Recipe", ["Setting", "Value"], facts, true);
  made.classList.add("facts");
  return made;
}

/** Return name and value of each setting; those of a group have its name before them. */
function settings(recipe, group = "") {
  return Object.entries(recipe).flatMap(([name, value]) => {
    if (value !== null && typeof value === "object" && !Array.isArray(value))
      return settings(value, `${group}${name}.`);
    return [[element("code", {}, group + name), settingText(value)]];
  });
}

function settingText(value) {
  if (Array.isArray(value)) return value.map(settingText).join(", ");
  return String(value ?? "none");
}

function scoresView(scores) {
  const stages = Object.keys(STAGES).filter((stage) => scores?.[stage]);
  if (!stages.length) return [];
  const rows = stages.map((stage) => [
    STAGES[stage],
    ...Object.keys(SCORES).map((score) => scoreText(score, scores[stage][score])),
  ]);
  return [scrollable(table("Scores", ["Split", ...Object.values(SCORES)], rows))];
}

function scoreText(score, value) {
  if (value == null) return "–";
  return score === "loss" ? value.toFixed(3) : percent(value);
}

function recordView({ epochs, confusion, calibration }, classes) {
  const parts = epochs.length > 1 ? [element("h2", {}, "Training"), ...curves(epochs)] : [];
  for (const [stage, title] of Object.entries(STAGES)) {
    if (confusion[stage]) parts.push(confusionTable(title, confusion[stage], classes));
  }
  if (calibration.length) parts.push(...calibrationView(calibration, classes));
  return parts;
}

function curves(epochs) {
  const charts = ["loss", "accuracy"].map((score) => curve(SCORES[score], score, epochs));
  const columns = ["Epoch", "Train loss", "Train accuracy", "Val loss", "Val accuracy"];
  const rows = epochs.map(({ epoch, train, val }) => [
    String(epoch),
    ...[train, val].flatMap((scores) =>
      ["loss", "accuracy"].map((score) => scoreText(score, scores?.[score])),
    ),
  ]);
  return [
    element("div", { class: "columns" }, ...charts),
    numbers(table("Scores by epoch", columns, rows)),
  ];
}

function curve(title, score, epochs) {
  const series = [
    ["train", "training set"],
    ["val", "validation set"],
  ]
    .map(([stage, name]) => ({
      name,
      points: epochs
        .filter((each) => each[stage]?.[score] != null)
        .map((each) => [each.epoch, each[stage][score]]),
    }))
    .filter(({ points }) => points.length);
  const last = epochs.at(-1).epoch;
  const step = Math.ceil(last / X_TICKS);
  const xTicks = epochs.map(({ epoch }) => epoch).filter((epoch) => epoch % step === 0);
  const yTicks = ticksOver(series.flatMap(({ points }) => points.map(([, value]) => value)));
  return lineChart({
    title,
    xLabel: "epoch",
    series,
    xs: [Math.min(1, last - 1), last],
    xTicks,
    yTicks,
  });
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
  const made = table(
    `Confusion matrix, ${title.toLowerCase()}`,
    ["Class", ...classes.map((name) => `predicted ${name}`)],
    rows,
  );
  made.classList.add("confusion");
  return scrollable(made);
}

function shaded(number, all) {
  const cell = element(
    "span",
    { class: "shaded" },
    count(number),
    element("small", {}, all ? ` ${percent(number / all)}` : ""),
  );
  cell.style.setProperty("--strength", all ? number / all : 0);
  return cell;
}

/** Return a reliability diagram: of the second of two classes, or of the predicted one of more. */
function calibrationView(bins, classes) {
  const [probability, share] =
    classes.length === 2
      ? [`predicted probability of ${classes[1]}`, `share that is ${classes[1]}`]
      : ["probability of the predicted class", "share that is right"];
  const chart = lineChart({
    title: `Reliability: ${share}, by ${probability}`,
    xLabel: probability,
    series: [{ name: share, points: bins.map((bin) => [bin.probability, bin.accuracy]) }],
    xs: [0, 1],
    xTicks: QUARTERS,
    yTicks: QUARTERS,
    diagonal: true,
  });
  const rows = bins.map((bin) => [
    percent(bin.probability),
    percent(bin.accuracy),
    count(bin.count),
  ]);
  return [
    element("h2", {}, "Calibration"),
    chart,
    element(
      "p",
      { class: "hint" },
      "On the dashed line, predicted probabilities equal the shares.",
    ),
    numbers(table("Calibration", [capitalized(probability), capitalized(share), "Reviews"], rows)),
  ];
}

function capitalized(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function showError(error) {
  byId("model-result").replaceChildren();
  byId("model-error").textContent = error.message;
}
