// Read: a recording, from a file or the microphone, becomes text whose words light up as it plays.

import { told } from "./holdfast.js";
import { recordWith } from "./recorder.js";
import { nameOf } from "./say.js";
import { srtOf, textOf, vttOf } from "./subtitles.js";
import { light, show as showText } from "./transcript.js";
import { draw, soundOf, wavOf } from "./waveform.js";

const LONGEST_MS = 300_000;
const form = document.getElementById("listen");
const file = document.getElementById("listen-file");
const language = document.getElementById("listen-language");
const speakers = document.getElementById("listen-speakers");
const status = document.getElementById("listen-told");
const result = document.getElementById("listen-result");
const wave = document.getElementById("listen-wave");
const audio = document.getElementById("listen-audio");
const list = document.getElementById("listen-regions");
const words = document.getElementById("listen-text");
const files = document.getElementById("listen-files");
const buttons = { read: document.getElementById("listen-read"), find: document.getElementById("listen-find") };
let model = null;
let busy = false;
let recording = null; // {content, name}
let drawn = null; // {sound, regions}

/** Offer the languages of the model that reads; null where there is none. */
export function offerLanguages(found) {
  model = found;
  free();
  buttons.read.title = found ? "" : "No model here reads speech.";
  const chosen = language.value;
  const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });
  const known = (found?.about?.languages ?? []).map((code) => [nameOf(names, code), code]);
  known.sort(([one], [other]) => one.localeCompare(other));
  language.replaceChildren(new Option("found out", ""), ...known.map((each) => new Option(...each)));
  language.value = chosen;
  if (language.selectedIndex < 0) language.value = "";
}

function free() {
  buttons.read.disabled = busy || !model;
  buttons.find.disabled = busy;
}

file.addEventListener("change", () => file.files.length && choose(file.files[0], file.files[0].name));
recordWith(document.getElementById("listen-record"), {
  longestMs: LONGEST_MS,
  begun: () => say("Recording: speak."),
  refused: say,
  done: async (recorded) => {
    // What browsers record does not say how long it is, and cannot be played from everywhere.
    const sound = await soundOf(recorded);
    choose(sound ? wavOf(sound) : recorded, sound ? "recorded.wav" : "recorded.webm");
    file.value = "";
    say("Recorded. Read it, or find where somebody speaks.");
  },
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("over", kind === "dragover");
    const [dropped] = event.dataTransfer.files;
    if (kind !== "drop" || !dropped) return;
    file.value = "";
    choose(dropped, dropped.name);
    say(`${dropped.name} is here. Read it, or find where somebody speaks.`);
  });
}

function choose(content, name) {
  recording = { content, name };
  result.hidden = true;
  showText(words, audio, [], []); // finding speech in the same recording leaves what was read of it
  files.hidden = true;
  say("");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  work(`Reading ${recording?.name} ...`, async (given) => {
    const [text, regions] = await Promise.allSettled([read(given), find(given)]);
    if (text.status === "rejected") throw text.reason;
    await play(given, regions.value ?? []);
    showFound(text.value);
    if (regions.status === "rejected") say(`${status.textContent} ${reason(regions.reason)}`);
  });
});
buttons.find.addEventListener("click", () => {
  work(`Looking for speech in ${recording?.name} ...`, async (given) => {
    const regions = await find(given);
    await play(given, regions);
    const spoken = regions.reduce((sum, { start, end }) => sum + end - start, 0);
    say(regions.length
      ? `${regions.length} segment(s), ${(spoken / 1000).toFixed(2)} s of speech.`
      : "Nobody speaks in it.");
  });
});

/** Do something with the recording, and say what becomes of it. */
async function work(saying, act) {
  if (!recording) return say("Choose a recording, drop one here, or record one.");
  result.hidden = true;
  say(saying);
  busy = true;
  free();
  try {
    await act(recording);
  } catch (error) {
    say(reason(error));
  } finally {
    busy = false;
    free();
  }
}

class Refused extends Error {}

function reason(error) {
  return error instanceof Refused ? error.message : "The service does not answer.";
}

async function ask(path, { content, name }, fields = []) {
  const body = new FormData();
  body.append("file", content, name);
  for (const [field, value] of fields) body.append(field, value);
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body });
  } catch {
    throw new Refused("The service does not answer, or the recording cannot be read any more.");
  }
  if (!answer.ok) throw new Refused(await told(answer));
  return answer.json();
}

function find(given) {
  return ask("/v1/audio/speech/timestamps", given);
}

function read(given) {
  const fields = [["model", model.id]];
  if (language.value) fields.push(["language", language.value]);
  if (speakers.checked) {
    fields.push(["response_format", "diarized_json"], ["chunking_strategy", "auto"]);
  } else {
    fields.push(["response_format", "verbose_json"]);
  }
  for (const each of ["word", "segment"]) fields.push(["timestamp_granularities[]", each]);
  return ask("/v1/audio/transcriptions", given, fields);
}

/** Put the recording into the player, and its waveform above. */
async function play(given, regions) {
  list.replaceChildren(...regions.map(line));
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(given.content);
  const sound = await soundOf(given.content);
  drawn = sound && { sound, regions };
  wave.parentElement.hidden = !drawn;
  result.hidden = false;
  paint();
}

function paint() {
  if (drawn) draw(wave, drawn.sound, drawn.regions);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

function line({ start, end }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.className = "plain";
  button.type = "button";
  button.textContent = `${(start / 1000).toFixed(2)} to ${(end / 1000).toFixed(2)} s`;
  button.addEventListener("click", () => {
    audio.currentTime = start / 1000;
    audio.play();
  });
  item.append(button);
  return item;
}

function showFound(found) {
  const segments = found.segments?.length
    ? found.segments
    : [{ start: 0, end: found.duration, text: found.text }].filter(({ text }) => text);
  showText(words, audio, segments, found.words ?? []);
  offer("listen-as-text", textOf(segments), "text/plain", "txt");
  offer("listen-as-srt", srtOf(segments), "application/x-subrip", "srt");
  offer("listen-as-vtt", vttOf(segments), "text/vtt", "vtt");
  files.hidden = !segments.length;
  const spoken = found.language ? `, ${found.language}` : "";
  const counted = found.text.split(/\s+/).filter(Boolean).length;
  say(counted ? `${counted} word(s) in ${found.duration.toFixed(2)} s${spoken}.` : "No words were heard in it.");
}

function offer(id, content, type, ending) {
  const link = document.getElementById(id);
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  link.download = `${recording.name.replace(/\.[^.]*$/, "")}.${ending}`;
}

const at = document.getElementById("listen-at");
let frame = 0;

/** Show where it is: in the text, and over the waveform. */
function follow() {
  light(audio.currentTime);
  at.style.left = `${(100 * audio.currentTime) / (drawn?.sound.duration || 1)}%`;
  cancelAnimationFrame(frame); // one round of this goes on at a time, whoever began another
  if (!audio.paused) frame = requestAnimationFrame(follow);
}
for (const kind of ["play", "pause", "seeked", "emptied"]) audio.addEventListener(kind, follow);
wave.addEventListener("click", (event) => {
  audio.currentTime = (event.offsetX / wave.clientWidth) * drawn.sound.duration;
});

function say(what) {
  status.textContent = what;
}
