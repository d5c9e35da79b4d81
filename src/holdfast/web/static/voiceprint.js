// The panel about voices: recordings from files or the microphone, enrolled, verified, identified.

import { told } from "./holdfast.js";
import { recordWith } from "./recorder.js";

const ROOT = "/v1/voiceprint";
const LONGEST_MS = 30_000;
const status = document.getElementById("voice-told");
const speaker = document.getElementById("voice-speaker");
const files = document.getElementById("voice-files");
const record = document.getElementById("voice-record");
const scale = document.getElementById("voice-scale");
const figures = document.getElementById("voice-figures");
const spoofing = document.getElementById("voice-spoof");
const reasons = document.getElementById("voice-reasons");
let recorded = null; // stands in for a file until one is chosen

const ACTS = { enroll, verify, identify, spoof };
const ABOUT_SPEAKERS = ["enroll", "verify"];

document.getElementById("voice").addEventListener("submit", (event) => event.preventDefault());
files.addEventListener("change", () => (recorded = null));
recordWith(record, {
  longestMs: LONGEST_MS,
  begun: () => say("Recording: speak for some ten seconds."),
  refused: say,
  done: (heard) => {
    recorded = heard;
    say("Recorded. Enroll, verify or identify it.");
  },
});

for (const button of document.querySelectorAll("button[data-voice]")) {
  button.addEventListener("click", async () => {
    scale.hidden = spoofing.hidden = true;
    reasons.replaceChildren();
    say("");
    const given = recorded ? [recorded] : [...files.files];
    const act = button.dataset.voice;
    if (!given.length) return say("Choose a recording, or record one.");
    if (ABOUT_SPEAKERS.includes(act)) {
      if (!speaker.reportValidity()) return say("This can be no speaker's name.");
      if (!speaker.value) return say("Name the speaker.");
    }
    say("Listening ...");
    button.disabled = true;
    try {
      await ACTS[act](given);
    } catch (error) {
      say(error instanceof Refused ? error.message : "The service does not answer.");
    } finally {
      button.disabled = false;
    }
  });
}

class Refused extends Error {}

function say(text) {
  status.textContent = text;
}

async function ask(method, path, body) {
  const options = { method, body };
  if (typeof body === "string") options.headers = { "Content-Type": "application/json" };
  const answer = await fetch(ROOT + path, options);
  if (!answer.ok) throw new Refused(await told(answer));
  return answer.json();
}

function form(given, fields = {}) {
  const body = new FormData();
  for (const file of given) body.append("file", file, file.name ?? "recorded.webm");
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return body;
}

function own() {
  return `/speakers/${encodeURIComponent(speaker.value)}`;
}

async function enroll(given) {
  const known = await fetch(ROOT + own());
  if (known.status === 404) await ask("PUT", own(), "{}");
  const found = await ask("POST", `${own()}/enrollments`, form(given));
  const more = found.needed_s ? `; ${found.needed_s.toFixed(0)} s more are advised` : "";
  say(`${found.accepted} of ${given.length} enrolled; ${found.speech_s.toFixed(1)} s of speech${more}.`);
  show(found.utterances.flatMap((each) => each.reasons));
}

async function verify(given) {
  const found = await ask("POST", "/verify", form(given.slice(0, 1), { speaker_id: speaker.value }));
  say({ accept: "Accepted.", reject: "Rejected.", inconclusive: "Inconclusive.",
    not_enrolled: "Nobody to compare with." }[found.decision]);
  if (found.score !== null) draw(found);
  judge(found.spoof);
  show(found.reasons);
}

async function spoof(given) {
  const found = await ask("POST", "/spoof", form(given.slice(0, 1)));
  say({ bona_fide: "Taken for a person's own speech.", spoof: "Taken for a spoof.",
    not_evaluated: "Not evaluated." }[found.decision]);
  judge(found);
}

async function identify(given) {
  const found = await ask("POST", "/identify", form(given.slice(0, 1)));
  const named = found.candidates.map(who);
  say(named.length ? `It sounds like ${named.join(", ")}.` : "Nobody who is enrolled.");
  if (found.candidates.length) draw({ ...found, ...found.candidates[0] });
  judge(found.spoof);
  show(found.reasons);
}

/** Name a candidate by the id, which is one person's only, and by the name, which may be anybody's. */
function who({ display_name: name, speaker_id: id, score }) {
  return `${id} (${name && name !== id ? `${name}, ` : ""}${score.toFixed(2)})`;
}

/** Show a score on a scale with its threshold, and what the threshold's errors are. */
function draw({ score, threshold, reject_below: below, llr, operating_point: point, quality }) {
  // Cosines lie between -1 and 1; a normalised score counts standard deviations, without an end.
  const [low, high] = point.normalised
    ? [Math.floor(Math.min(-2, score)), Math.ceil(Math.max(2 * threshold, score))]
    : [-1, 1];
  const at = (value) => `${(100 * (value - low)) / (high - low)}%`;
  scale.querySelector(".reject").style.width = at(below);
  scale.querySelector(".accept").style.left = at(threshold);
  scale.querySelector(".threshold").style.left = at(threshold);
  scale.querySelector(".score").style.left = at(score);
  document.getElementById("voice-low").textContent = `${low}, rejected`;
  document.getElementById("voice-high").textContent = `accepted, ${high}`;
  const ratio = llr === null ? "not calibrated" : `log-likelihood ratio ${llr.toFixed(1)}`;
  const errors = point.false_accept_rate === null
    ? "error rates not measured"
    : `${(100 * point.false_accept_rate).toFixed(1)} % of others were accepted there, and ` +
      `${(100 * point.false_reject_rate).toFixed(1)} % of the speaker's own were not, on ${point.data}`;
  const snr = quality.snr_db === null ? "" : `, ${quality.snr_db} dB above the background`;
  figures.textContent = `Score ${score.toFixed(3)}, accepted from ${threshold.toFixed(3)} (${errors}); ` +
    `${ratio}; ${quality.speech_s} s of speech${snr}.`;
  scale.hidden = false;
}

/** Say what the detector of spoofing made of it. */
function judge({ decision, score, threshold, reason }) {
  const odds = score === null ? "" : `log-odds ${score.toFixed(2)} for a person's own speech, an attack below ${threshold.toFixed(2)}`;
  spoofing.textContent = {
    bona_fide: `Spoofing: none found (${odds}).`,
    spoof: `Spoofing: synthetic, converted or replayed (${odds}).`,
    not_evaluated: `Spoofing was not evaluated: ${reason}.`,
  }[decision];
  spoofing.hidden = false;
}

function show(found) {
  reasons.replaceChildren(
    ...found.map(({ code, message }) => {
      const item = document.createElement("li");
      item.className = "warning";
      item.textContent = `${code}: ${message}`;
      return item;
    }),
  );
}
