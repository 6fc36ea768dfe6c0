// Text offsets. The server counts characters, JavaScript counts UTF-16 units; this module converts.

/** The offset in UTF-16 units of character number `place`. */
export function units(text, place) {
  let at = 0;
  for (let count = 0; count < place && at < text.length; count++) at += text.codePointAt(at) > 0xffff ? 2 : 1;
  return at;
}

/** The words and punctuation of a text, with their spans: `{ word, start, end }`. */
function words(text) {
  return [...text.matchAll(/[\p{L}\p{M}\p{N}_’'-]+|\S/gu)].map((found) => ({
    word: found[0],
    start: found.index,
    end: found.index + found[0].length,
  }));
}

/** The differences of two texts, word by word: `[before, after]`, each a list of `[start, end)`. */
export function differences(before, after) {
  const [a, b] = [words(before), words(after)];
  const longest = a.map(() => new Uint16Array(b.length + 1)).concat([new Uint16Array(b.length + 1)]);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i][j] =
        a[i].word === b[j].word ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1]);
    }
  }
  const [gone, come] = [[], []];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i].word === b[j].word) [i, j] = [i + 1, j + 1];
    else if (j === b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) gone.push(a[i++]);
    else come.push(b[j++]);
  }
  return [joined(gone, before), joined(come, after)];
}

/** Adjacent words become one span. */
function joined(found, text) {
  const spans = [];
  for (const { start, end } of found) {
    const last = spans.at(-1);
    if (last && text.slice(last[1], start).trim() === "") last[1] = end;
    else spans.push([start, end]);
  }
  return spans;
}
