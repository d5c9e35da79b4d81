// The panel about speech: what the models can do is asked of the service when somebody comes.

import { offerLanguages } from "./listen.js";
import { offerVoices } from "./say.js";

const SPEAKS = ["text-to-speech"];
const READS = ["automatic-speech-recognition", "speech-to-text"];

let offered = "";

async function offer() {
  try {
    const answer = await fetch("/models", { cache: "no-store" });
    if (!answer.ok) return;
    const { models } = await answer.json();
    const first = (tasks) => models.find(({ task }) => tasks.includes(task)) ?? null;
    const found = [first(SPEAKS), first(READS)];
    // What has not changed is left alone, and so is what was chosen of it.
    const now = JSON.stringify(found.map((model) => model && [model.id, model.about]));
    if (now === offered) return;
    offered = now;
    offerVoices(found[0]);
    offerLanguages(found[1]);
  } catch {
    // The page says itself when the service does not answer, and whoever comes again asks again.
  }
}

for (const id of ["say", "listen"]) {
  const form = document.getElementById(id);
  // Not while a list is open: only when somebody comes from elsewhere.
  form.addEventListener("focusin", ({ relatedTarget }) => form.contains(relatedTarget) || offer());
}
offer();
