// A transcript whose words play from where they are said, and light up as they are.

let timed = []; // {start, end, element}, in order
let lit = null;

/** Show segments in `place`, each in a line with its time and who says it. */
export function show(place, audio, segments, words) {
  const said = [];
  const rest = [...words];
  place.replaceChildren(
    ...segments.map((segment, i) => {
      const item = document.createElement("li");
      const time = document.createElement("time");
      time.textContent = clock(segment.start);
      item.append(time, " ");
      if (segment.speaker) {
        const who = document.createElement("strong");
        who.textContent = `${segment.speaker}: `;
        item.append(who);
      }
      // A word belongs to the segment that it begins in.
      const next = segments[i + 1]?.start ?? Infinity;
      const own = [];
      while (rest.length && rest[0].start < next) own.push(rest.shift());
      item.append(...parts(segment, own, (start, end, text) => {
        const element = button(text);
        said.push({ start, end, element });
        element.addEventListener("click", () => {
          audio.currentTime = start;
          audio.play();
        });
        return element;
      }));
      return item;
    }),
  );
  // One stop for the tabulator, and arrows from there: a recording has thousands of words.
  if (said.length) said[0].element.tabIndex = 0;
  timed = said;
  lit = null;
}

/** Return a segment's text with its words made buttons, and what is between them left as it is. */
function parts(segment, words, made) {
  const text = segment.text.trim();
  if (!words.length) return [made(segment.start, segment.end, text)];
  const found = [];
  let from = 0;
  for (const { word, start, end } of words) {
    const plain = word.trim();
    if (!plain) continue;
    const at = text.indexOf(plain, from);
    found.push(at < 0 ? " " : text.slice(from, at), made(start, end, plain));
    if (at >= 0) from = at + plain.length;
  }
  return [...found, text.slice(from)];
}

function button(text) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "word";
  element.tabIndex = -1;
  element.textContent = text;
  return element;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Light up the word that is said `now`, in seconds. */
export function light(now) {
  let low = 0;
  let high = timed.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timed[middle].start <= now) low = middle + 1;
    else high = middle;
  }
  const word = timed[low - 1];
  const current = word && now < word.end ? word.element : null;
  if (current === lit) return;
  lit?.removeAttribute("aria-current");
  current?.setAttribute("aria-current", "true");
  lit = current;
}

document.getElementById("listen-text").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const at = timed.findIndex(({ element }) => element === event.target);
  const next = timed[at + step]?.element;
  if (!step || at < 0 || !next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
