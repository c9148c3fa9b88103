/** Numbers as people read them. */

const COUNT = new Intl.NumberFormat("en");

/** Return a share as percent: "93.1 %". Only 0 and 1 themselves are "0.0 %" and "100.0 %". */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "< 0.1\u00a0%";
  if (share < 1 && share >= 0.9995) return "> 99.9\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** Return a count with separators: "25,000". */
export function count(number) {
  return COUNT.format(number);
}

/** Return a number with its sign: "+0.412". */
export function signed(number) {
  return `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(3)}`;
}

/** Return "1 row" or "2 rows". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
