/** Example reviews. */

import { element } from "./dom.js";

const EXAMPLES = {
  Praise:
    "What a wonderful film. The story is simple and told with great patience, the two leads are " +
    "excellent, and the last scene is one of the best I have seen this year.",
  Complaint:
    "Two hours of my life that I will never get back. The plot makes no sense, the dialogue is " +
    "awful, and even the music is boring.",
  Mixed:
    "The photography is beautiful and the first half is a joy to watch. Unfortunately the script " +
    "runs out of ideas, and the ending is a predictable mess.",
  Negation:
    "Not bad at all. I did not expect to enjoy it, and nobody could call it dull: there was not a " +
    "single moment when I wanted to leave.",
  Irony:
    "Brilliant, another film in which a great detective forgets to look behind the door. If you " +
    "love being told everything twice, this masterpiece is for you.",
};

/** Return a button for each example, which gives its text to `pick`. */
export function exampleButtons(pick) {
  return Object.entries(EXAMPLES).map(([name, text]) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => pick(text));
    return button;
  });
}
