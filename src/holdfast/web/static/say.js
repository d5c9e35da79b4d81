// Type and listen: a text becomes speech, to be heard and kept.

import { told } from "./holdfast.js";
import { withLengths } from "./waveform.js";

const form = document.getElementById("say");
const text = document.getElementById("say-text");
const voice = document.getElementById("say-voice");
const speed = document.getElementById("say-speed");
const shape = document.getElementById("say-form");
const status = document.getElementById("say-told");
const result = document.getElementById("say-result");
const audio = document.getElementById("say-audio");
const keep = document.getElementById("say-keep");
const button = form.querySelector("button");
let model = null;
let busy = false;

/** Offer the voices of the model that speaks; null where there is none. */
export function offerVoices(found) {
  model = found;
  free();
  if (!found) return say("No model here speaks.");
  const chosen = voice.value;
  const languages = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });
  voice.replaceChildren(
    new Option("the model's own", "default"),
    ...(found.about?.voices ?? []).map(({ id, language }) =>
      new Option(language ? `${id} (${nameOf(languages, language)})` : id, id)),
  );
  voice.value = chosen;
  if (voice.selectedIndex < 0) voice.value = "default";
}

function free() {
  button.disabled = busy || !model;
}

/** Return a language's name; models may call it by what is no code of one. */
export function nameOf(languages, code) {
  try {
    return languages.of(code.replaceAll("_", "-"));
  } catch {
    return code;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!text.value.trim()) return say("Type what is to be said.");
  busy = true;
  free();
  say("Speaking ...");
  const ending = shape.value;
  const asked = {
    model: model.id, input: text.value, voice: voice.value, response_format: ending,
    speed: Number(speed.value),
  };
  try {
    const began = performance.now();
    const answer = await fetch("/v1/audio/speech", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked),
    });
    if (answer.ok) await hear(await withLengths(await answer.blob()), ending, performance.now() - began);
    else say(await told(answer));
  } catch {
    say("The service does not answer.");
  } finally {
    busy = false;
    free();
  }
});

async function hear(sound, ending, tookMs) {
  URL.revokeObjectURL(audio.src);
  audio.src = keep.href = URL.createObjectURL(sound);
  keep.download = `speech.${ending}`;
  result.hidden = false;
  say(`Made in ${(tookMs / 1000).toFixed(2)} s.`);
  try {
    await audio.play();
  } catch {
    say("It was made; this browser plays it when you say so, if it can.");
  }
}

function say(what) {
  status.textContent = what;
}
