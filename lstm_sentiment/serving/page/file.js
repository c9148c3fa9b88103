/** The view of a file: upload, distribution of classes, least certain rows, download. */

import { predictFile, ServiceError } from "./api.js";
import { byId, element, options, scrollable, table } from "./dom.js";
import { Latest } from "./latest.js";
import { count, counted, percent } from "./numbers.js";
import { bars } from "./prediction.js";
import { readPredictions } from "./result_file.js";

const FORMATS = { csv: "csv", tsv: "tsv", jsonl: "jsonl", ndjson: "jsonl" };
const LEAST_CERTAIN = 10; // rows
const CHARACTERS = 300; // of a text in the table

const latest = new Latest();
let address = null; // of the file to download

/** Connect the view with these models. */
export function startFile(models) {
  const select = byId("file-model");
  select.replaceChildren(...options(models.map(({ name }) => name)));
  const model = () => models.find(({ name }) => name === select.value);
  byId("file-form").addEventListener("submit", (event) => {
    event.preventDefault();
    latest.run((signal) => classify(byId("file-input").files[0], model(), signal), showError);
  });
  byId("file-cancel").addEventListener("click", () => {
    latest.cancel();
    finish("Cancelled.");
  });
  acceptDrops(byId("file-drop"), byId("file-input"));
  byId("file-submit").disabled = false; // before, the browser itself would send the form
}

function acceptDrops(zone, input) {
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
}

async function classify(file, model, signal) {
  reset();
  if (!file) throw new ServiceError("Choose a file first.");
  const format = formatOf(file.name);
  const column = byId("file-column").value.trim();
  const encoding = byId("file-encoding").value.trim();
  const chosen = { ...(column && { text_column: column }), ...(encoding && { encoding }) };
  const parameters = { model: model.name, format, ...chosen };
  begin();
  const response = await predictFile(file, parameters, signal, showProgress);
  const result = await response.blob();
  const rows = await readPredictions(result, format, column, encoding);
  signal.throwIfAborted();
  byId("file-result").replaceChildren(...resultView(rows, model, result, downloadName(file.name)));
  finish(`${counted(rows.length, "row")} classified.`);
}

function formatOf(name) {
  const format = FORMATS[name.split(".").at(-1).toLowerCase()];
  if (!format)
    throw new ServiceError(
      `The name of the file must end in .csv, .tsv, .jsonl or .ndjson (got ${name}).`,
    );
  return format;
}

function downloadName(name) {
  const dot = name.lastIndexOf(".");
  return `${name.slice(0, dot)}.predictions${name.slice(dot)}`;
}

function resultView(rows, model, result, name) {
  const labelled = rows.filter(({ label }) => label !== "");
  address = URL.createObjectURL(result);
  const link = element(
    "a",
    { class: "primary button", href: address, download: name },
    `Download ${name}`,
  );
  const parts = [element("p", { class: "buttons" }, link), distribution(labelled, model.classes)];
  if (labelled.length < rows.length) {
    parts.push(
      element(
        "p",
        { class: "hint" },
        `${counted(rows.length - labelled.length, "row")} without a text and without a prediction.`,
      ),
    );
  }
  return [...parts, leastCertain(labelled, model.classes)];
}

function distribution(rows, classes) {
  const counts = new Map(classes.map((name) => [name, 0]));
  for (const { label } of rows) counts.set(label, (counts.get(label) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return bars(
    "Distribution of the predicted classes",
    [...counts].map(([name, number]) => {
      const share = rows.length ? number / rows.length : 0;
      return {
        name,
        share,
        value: `${count(number)} (${percent(share)})`,
        strong: number === most,
      };
    }),
  );
}

/** Return the rows whose predicted classes have the smallest probabilities. */
function leastCertain(rows, classes) {
  const certainty = ({ label, probability }) =>
    classes.length === 2 && label === classes[0] ? 1 - probability : probability;
  const least = [...rows].sort((a, b) => certainty(a) - certainty(b)).slice(0, LEAST_CERTAIN);
  const shown = least.map((row) => [
    count(row.number),
    row.label,
    percent(certainty(row)),
    shortened(row.text),
  ]);
  return scrollable(
    table("Least certain rows", ["Row", "Class", "Probability", "Text"], shown, true),
  );
}

function shortened(text) {
  return text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text;
}

function showProgress(phase, share) {
  const bar = byId("file-bar");
  const phaseName = phase === "upload" ? "Uploading" : "Classifying";
  // The answer is somewhat longer than the file, by its predictions.
  bar.value = Math.min(share, phase === "upload" ? 1 : 0.99);
  byId("file-phase").textContent = `${phaseName}: ${Math.floor(100 * bar.value)} %`;
}

function reset() {
  if (address !== null) URL.revokeObjectURL(address);
  address = null;
  byId("file-error").textContent = "";
  byId("file-status").textContent = "";
  byId("file-result").replaceChildren();
}

function begin() {
  showProgress("upload", 0);
  byId("file-progress").hidden = false;
  byId("file-cancel").hidden = false;
}

function finish(message) {
  byId("file-status").textContent = message;
  byId("file-progress").hidden = true;
  byId("file-cancel").hidden = true;
}

function showError(error) {
  finish("");
  byId("file-error").textContent = error.message;
}
