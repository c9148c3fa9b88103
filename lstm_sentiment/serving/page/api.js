/** Requests to the service. Addresses are relative, so that the page works behind a proxy's path. */

import { pause } from "./latest.js";
import { askForToken } from "./token.js";

const RETRIES = 10; // of a request that a busy service refuses
const LONGEST_WAIT = 10; // seconds before a retry
const NO_ANSWER = "The service does not answer. Check that it is running.";
const ENDED_EARLY =
  "The answer ended early: the service cannot read one of the rows. There is no file to download.";
const KEPT = "It is kept until the page is closed or loaded again.";
const REFUSED = "The service refuses this token.";

let token = null;

/** An error whose message is a sentence for the user. */
export class ServiceError extends Error {}

/** Return the models of the service. */
export async function fetchModels() {
  return (await (await send("v1/models")).json()).models;
}

/** Return a model with its record. */
export async function fetchModel(name, signal) {
  return (await send(`v1/models/${encodeURIComponent(name)}`, { signal })).json();
}

/** Return the prediction for a text; with `explain`, with the contributions to the class `label`. */
export async function predict(text, model, signal, explain = false, label = null) {
  const body = JSON.stringify({ texts: [text], model, explain, class: label });
  const headers = { "Content-Type": "application/json" };
  const response = await send("v1/predict", { method: "POST", headers, body, signal });
  return (await response.json()).predictions[0];
}

/**
 * Upload a file and return the same file with predictions as a Response. `progress(phase, share)`
 * is called while the file is sent ("upload") and while the answer comes ("answer").
 */
export function predictFile(file, parameters, signal, progress) {
  const path = `v1/predict/file?${new URLSearchParams(parameters)}`;
  const headers = { "Content-Type": "application/octet-stream" };
  return send(path, { method: "POST", headers, body: file, signal, progress });
}

/** Send a request: ask for a token if one is needed, and wait if the service is busy. */
async function send(path, options = {}) {
  for (let tries = 0; ; tries += 1) {
    const used = token;
    const response = await attempt(path, options);
    if (response.ok) return response;
    if (response.status === 401) {
      if (used === token) await renewToken(used);
    } else if (tries < RETRIES && secondsToWait(response) <= LONGEST_WAIT) {
      await pause(1000 * secondsToWait(response), options.signal);
    } else {
      throw new ServiceError(await detail(response));
    }
  }
}

async function renewToken(refused) {
  const given = await askForToken(refused === null ? KEPT : REFUSED);
  if (given === null) throw new ServiceError("The service answers only with a token.");
  token = given;
}

async function attempt(path, options) {
  const headers = { ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const request = options.progress ? upload : fetch;
  try {
    return await request(path, { ...options, headers });
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof ServiceError) throw error;
    throw new ServiceError(NO_ANSWER);
  }
}

/** Return the seconds after which a busy service may be asked again; Infinity if it is not busy. */
function secondsToWait(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? Infinity);
  return response.status === 503 && seconds >= 0 ? seconds : Infinity;
}

/** Return the reason that the service gives for an error. */
async function detail(response) {
  try {
    const reason = (await response.json()).detail;
    if (typeof reason === "string") return reason;
  } catch {
    // The answer comes from something else, such as a proxy.
  }
  return `The service answers with the error ${response.status}.`;
}

/** Like fetch, but reports its progress, which fetch cannot. */
function upload(path, { method, headers, body, signal, progress }) {
  return new Promise((resolve, reject) => {
    let reason = NO_ANSWER; // of an error
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => progress("upload", loaded / body.size);
    request.onprogress = ({ loaded }) => {
      reason = ENDED_EARLY;
      progress("answer", loaded / body.size);
    };
    request.onload = () => resolve(asResponse(request));
    request.onerror = () => reject(new ServiceError(reason));
    request.onabort = () => reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

function asResponse(request) {
  const headers = new Headers();
  for (const name of ["Retry-After", "Content-Type"]) {
    const value = request.getResponseHeader(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(request.response, { status: request.status, headers });
}
