// The panel that finds speech in a recording, and draws it over the waveform.

import { told } from "./holdfast.js";

const form = document.getElementById("vad");
const status = document.getElementById("vad-told");
const result = document.getElementById("vad-result");
const canvas = document.getElementById("vad-wave");
const audio = document.getElementById("vad-audio");
const list = document.getElementById("vad-segments");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = document.getElementById("vad-file").files[0];
  const button = form.querySelector("button");
  button.disabled = true;
  result.hidden = true;
  status.textContent = `Looking for speech in ${file.name} ...`;
  try {
    const body = new FormData();
    body.append("file", file);
    const answer = await fetch("/v1/audio/speech/timestamps", { method: "POST", body });
    if (answer.ok) await show(file, await answer.json());
    else status.textContent = await told(answer);
  } catch {
    status.textContent = "The service does not answer.";
  } finally {
    button.disabled = false;
  }
});

async function show(file, segments) {
  const spoken = segments.reduce((sum, { start, end }) => sum + end - start, 0);
  status.textContent = segments.length
    ? `${segments.length} segment(s), ${(spoken / 1000).toFixed(2)} s of speech.`
    : "Nobody speaks in it.";
  list.replaceChildren(...segments.map(line));
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(file);
  result.hidden = false;
  canvas.hidden = !(await draw(file, segments));
}

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

/** Draw the waveform and mark speech in it; return whether this browser can read the recording. */
async function draw(file, segments) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await file.arrayBuffer());
  } catch {
    return false;
  }
  const samples = sound.getChannelData(0);
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.globalAlpha = 0.3;
  for (const { start, end } of segments) {
    const scale = width / (sound.duration * 1000);
    pen.fillRect(start * scale, 0, (end - start) * scale, height);
  }
  pen.globalAlpha = 1;
  pen.fillStyle = getComputedStyle(document.body).color;
  const step = samples.length / width;
  for (let x = 0; x < width; x++) {
    let most = 0;
    for (let i = Math.floor(x * step); i < (x + 1) * step; i++) most = Math.max(most, Math.abs(samples[i]));
    pen.fillRect(x, (height / 2) * (1 - most), 1, Math.max(1, height * most));
  }
  return true;
}
