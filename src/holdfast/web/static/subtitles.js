// What was read, as files: plain text, SubRip, WebVTT.

/** Return the text of segments, a line each. */
export function textOf(segments) {
  return segments.map((each) => `${named(each)}${oneLine(each.text)}\n`).join("");
}

export function srtOf(segments) {
  return cues(segments, ",", (each) => named(each) + oneLine(each.text), (number) => `${number}\n`);
}

export function vttOf(segments) {
  // Angle brackets are markup, and an arrow would be a line of times.
  const safe = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const voice = (each) => (each.speaker ? `<v ${safe(oneLine(each.speaker))}>` : "");
  return `WEBVTT\n\n${cues(segments, ".", (each) => voice(each) + safe(oneLine(each.text)), () => "")}`;
}

function cues(segments, point, textOfCue, head) {
  const shown = segments.filter(({ text }) => text.trim());
  return shown
    .map((each, i) => {
      const start = milliseconds(each.start);
      const next = i + 1 < shown.length ? Math.max(milliseconds(shown[i + 1].start), start + 1) : Infinity;
      // Players drop a cue that takes no time, and show two at once that overlap.
      const end = Math.max(Math.min(milliseconds(each.end), next), start + 1);
      return `${head(i + 1)}${time(start, point)} --> ${time(end, point)}\n${textOfCue(each)}\n`;
    })
    .join("\n");
}

function named({ speaker }) {
  return speaker ? `${oneLine(speaker)}: ` : "";
}

function oneLine(text) {
  return text.trim().replaceAll(/\s+/g, " ");
}

function milliseconds(seconds) {
  return Math.max(0, Math.round(seconds * 1000));
}

function time(ms, point) {
  const part = (value, digits = 2) => String(Math.floor(value)).padStart(digits, "0");
  return `${part(ms / 3_600_000)}:${part((ms / 60_000) % 60)}:${part((ms / 1000) % 60)}${point}${part(ms % 1000, 3)}`;
}
