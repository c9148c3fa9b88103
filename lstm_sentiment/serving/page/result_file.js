/** A file with predictions -> the rows that the page shows. */

const TEXT_COLUMNS = ["text", "review"];
const NEW_COLUMN = (name) => new RegExp(`^(predicted_)*${name}$`);
const SAMPLE = 50; // rows that say which column is the longest
const STRING_OR_NOT_FINITE = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN/g;

/**
 * Return the rows of a file, `{number, text, label, probability}`; `probability` is a number, and
 * rows without a text have the label "". `format` is csv, tsv or jsonl; `textColumn` and `encoding`
 * are "" if they are not known.
 */
export async function readPredictions(blob, format, textColumn, encoding) {
  const content = decoded(await blob.arrayBuffer(), encoding);
  const { names, rows } = format === "jsonl" ? jsonLines(content) : delimited(content);
  const label = names.findLastIndex((name) => NEW_COLUMN("label").test(name));
  const probability = names.findLastIndex((name) => NEW_COLUMN("probability").test(name));
  const text = textIndex(names, rows, textColumn, new Set([label, probability]));
  return rows.map((cells, index) => ({
    number: index + 1,
    text: String(cells[text] ?? ""),
    label: cells[label] ?? "",
    probability: Number(cells[probability]),
  }));
}

function textIndex(names, rows, given, others) {
  for (const name of [given, ...TEXT_COLUMNS]) {
    if (names.includes(name)) return names.indexOf(name);
  }
  const length = (column) =>
    rows.slice(0, SAMPLE).reduce((total, cells) => total + String(cells[column] ?? "").length, 0);
  const columns = names.map((_, index) => index).filter((index) => !others.has(index));
  return columns.reduce(
    (best, column) => (length(column) > length(best) ? column : best),
    columns[0],
  );
}

/** Decode UTF-8, UTF-16 with a mark, or bytes in another encoding. */
function decoded(bytes, encoding) {
  const [first, second] = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength));
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return decoder(encoding).decode(bytes);
  }
}

/** Return the decoder of an encoding, or of the most frequent one if browsers do not know its name. */
function decoder(encoding) {
  try {
    return new TextDecoder(encoding || "windows-1252");
  } catch {
    return new TextDecoder("windows-1252");
  }
}

/** Read JSON Lines, of which every object may have names of its own. */
function jsonLines(content) {
  const items = content
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line)
    .map(parsed);
  const names = namesOf(items);
  return { names, rows: items.map((item) => names.map((name) => item[name])) };
}

/** Return the names of all columns. The new ones are the last, as they are in each object. */
function namesOf(items) {
  const names = new Set();
  for (const item of items) for (const name of Object.keys(item)) names.add(name);
  for (const name of Object.keys(items[0] ?? {})) {
    names.delete(name);
    names.add(name);
  }
  return [...names];
}

/** Parse JSON with the numbers that Python adds to it, NaN and Infinity, as null. */
function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    const finite = (found) => (found.startsWith('"') ? found : "null");
    return JSON.parse(line.replace(STRING_OR_NOT_FINITE, finite));
  }
}

/** Read CSV or TSV. Some TSV files have no quoting; then quotes would join cells of several rows. */
function delimited(content) {
  const delimiter = delimiterOf(content);
  const [names = [], ...rows] = records(content, delimiter, true);
  if (rows.every((cells) => cells.length === names.length)) return { names, rows };
  const [plainNames, ...plainRows] = records(content, delimiter, false);
  return { names: plainNames, rows: plainRows };
}

/** Return the character between the new columns, which are the last ones of the first line. */
function delimiterOf(content) {
  const [head] = content.trimStart().split(/\r?\n/, 1);
  return head.match(/.*label(.)(?:predicted_)*probability/)?.[1] ?? ",";
}

/** Return the records, which are lists of cells; empty lines are no records. */
function records(content, delimiter, quoting) {
  const found = [];
  let cells = [];
  let at = 0;
  while (at < content.length) {
    const [cell, end] =
      quoting && content[at] === '"' ? quotedCell(content, at) : plainCell(content, at, delimiter);
    cells.push(cell);
    at = end + 1;
    if (content[end] === delimiter) {
      if (at === content.length) cells.push("");
      continue;
    }
    if (content[end] === "\r" && content[at] === "\n") at += 1;
    if (cells.length > 1 || cells[0] !== "") found.push(cells);
    cells = [];
  }
  if (cells.length) found.push(cells);
  return found;
}

function plainCell(content, start, delimiter) {
  let end = start;
  while (
    end < content.length &&
    content[end] !== delimiter &&
    content[end] !== "\n" &&
    content[end] !== "\r"
  )
    end += 1;
  return [content.slice(start, end), end];
}

function quotedCell(content, start) {
  let end = content.indexOf('"', start + 1);
  while (end !== -1 && content[end + 1] === '"') end = content.indexOf('"', end + 2);
  if (end === -1) end = content.length;
  return [content.slice(start + 1, end).replaceAll('""', '"'), end + 1];
}
