/** The view of one review: the prediction at once, colours after a longer pause. */

import { predict } from "./api.js";
import { byId, options } from "./dom.js";
import { exampleButtons } from "./examples.js";
import { Latest, pause } from "./latest.js";
import { COMPUTING, explanationView, headline, probabilityBars, unexplained } from "./prediction.js";

export const PREDICTION_PAUSE = 150; // milliseconds without typing
export const EXPLANATION_PAUSE = 500; // more, since explanations are slow
const DEFAULT = ""; // the class that the model explains by default

const latest = new Latest();

/** Connect the view with these models. */
export function startReview(models) {
  const text = byId("review-text");
  const select = byId("review-model");
  select.replaceChildren(...options(models.map(({ name }) => name)));
  const chosen = () => models.find(({ name }) => name === select.value);
  const update = (wait) =>
    latest.run((signal) => show(text.value, chosen(), signal, wait), showFailure);
  const changeModel = () => {
    offerClasses(chosen());
    update(0);
  };
  text.addEventListener("input", () => update(PREDICTION_PAUSE));
  select.addEventListener("change", changeModel);
  byId("review-class").addEventListener("change", () => update(0));
  byId("review-examples").replaceChildren(
    ...exampleButtons((example) => {
      text.value = example;
      update(0);
    }),
  );
  changeModel(); // the text may have been written before the models were known
}

function offerClasses({ classes, explains }) {
  const usual = classes.length === 2 ? classes[1] : "the predicted class";
  const others = classes.filter((name) => name !== usual);
  byId("review-class").replaceChildren(...options([DEFAULT, ...others], [usual, ...others]));
  byId("review-class-field").hidden = !explains;
}

async function show(text, model, signal, wait) {
  if (!text.trim()) return clear();
  await pause(wait, signal);
  byId("review-hint").textContent = "";
  showPrediction(await predict(text, model.name, signal), model.classes);
  if (!model.explains) return explainNothing(model);
  setBusy(true);
  await pause(wait ? EXPLANATION_PAUSE : 0, signal);
  await explain(text, model, signal);
  setBusy(false);
}

function showPrediction(prediction, classes) {
  byId("review-error").textContent = "";
  byId("review-result").hidden = false;
  byId("review-headline").textContent = headline(prediction);
  byId("review-probabilities").replaceChildren(probabilityBars(prediction, classes));
}

/** Colour the words. If that is refused, as for very long texts, the prediction stays. */
async function explain(text, model, signal) {
  try {
    const label = byId("review-class").value || null;
    const { explanation } = await predict(text, model.name, signal, true, label);
    byId("review-words").replaceChildren(...explanationView(explanation, model.classes));
  } catch (error) {
    signal.throwIfAborted();
    byId("review-words").replaceChildren();
    showError(error);
  }
}

function explainNothing(model) {
  byId("review-words").replaceChildren();
  setBusy(false);
  byId("review-hint").textContent = unexplained(model);
}

/** Say whether the colours are those of an older text. */
function setBusy(busy) {
  byId("review-words").setAttribute("aria-busy", busy);
  byId("review-hint").textContent = busy ? COMPUTING : "";
}

function clear() {
  byId("review-error").textContent = "";
  byId("review-headline").textContent = "";
  byId("review-words").replaceChildren();
  byId("review-result").hidden = true;
  setBusy(false);
}

/** Show an error in place of the prediction, which would be that of an older text. */
function showFailure(error) {
  clear();
  showError(error);
}

function showError(error) {
  byId("review-error").textContent = error.message;
}
