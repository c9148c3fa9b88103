/** Elements from values. Every value becomes text or an attribute, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** Return the element of the page with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Return a new HTML element. Children are nodes or texts. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return a new SVG element. Children are nodes or texts. */
export function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Return an option of a select for each name; `labels` are shown in place of the names. */
export function options(names, labels = names) {
  return names.map((name, index) => element("option", { value: name }, labels[index]));
}

/**
 * Return a table. `columns` are the texts of its head; a row is a list of texts or nodes, of which
 * the first is the row's heading. All columns but the first hold numbers, unless `textual`.
 */
export function table(caption, columns, rows, textual = false) {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  const body = rows.map(([name, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", dir: "auto" }, name),
      ...cells.map((cell) => element("td", { dir: "auto" }, cell)),
    ),
  );
  return element(
    "table",
    { class: textual ? "textual" : "numbers" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body),
  );
}

/** Wrap a table that may be wider than a phone. It can be scrolled with the keyboard. */
export function scrollable(wide) {
  const label = wide.querySelector("caption").textContent;
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    wide,
  );
}
