/** The dialog that asks for the token of the service. The token is kept in memory only. */

import { byId } from "./dom.js";

let asking = null;

/** Ask for the token; resolve with null if the dialog is cancelled. One dialog serves all callers. */
export function askForToken(note) {
  asking ??= open(note).finally(() => {
    asking = null;
  });
  return asking;
}

function open(note) {
  const dialog = byId("token");
  const input = byId("token-input");
  byId("token-note").textContent = note;
  input.value = "";
  return new Promise((resolve) => {
    let token = null;
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      token = input.value;
      dialog.close();
    };
    byId("token-cancel").onclick = () => dialog.close();
    dialog.onclose = () => {
      input.value = "";
      resolve(token);
    };
    dialog.showModal();
  });
}
