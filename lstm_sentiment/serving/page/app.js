/** Start the page: fetch the models, connect the views, and show the one that the address names. */

import { fetchModels } from "./api.js";
import { startCompare } from "./compare.js";
import { byId } from "./dom.js";
import { startFile } from "./file.js";
import { startModel } from "./model.js";
import { startReview } from "./review.js";

const VIEWS = ["review", "compare", "file", "model"];

/** Show the view that the address names, the first one by default. */
function showView(focus) {
  const named = location.hash.slice(1);
  if (named === "main") return; // the link that skips the navigation
  const view = VIEWS.includes(named) ? named : VIEWS[0];
  for (const name of VIEWS) {
    byId(name).hidden = name !== view;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = byId(`${view}-title`);
  document.title = `${title.textContent} · lstm_sentiment`;
  if (!focus) return;
  title.focus({ preventScroll: true });
  scrollTo(0, 0);
}

async function start() {
  addEventListener("hashchange", () => showView(true));
  showView(false);
  try {
    const models = await fetchModels();
    for (const connect of [startReview, startCompare, startFile, startModel]) connect(models);
    document.body.dataset.ready = "true";
  } catch (error) {
    byId("startup").textContent = error.message;
  }
}

start();
