// Sound in the browser's memory: read from a recording, drawn, written as a WAV file.

const RATE_HZ = 16_000;
// An hour takes 230 MB once it is decoded: longer ones are played, and not drawn.
const MOST_BYTES = 40_000_000;

/** Return a recording's sound, or null where this browser cannot read it, or not in its memory. */
export async function soundOf(recording) {
  if (recording.size > MOST_BYTES) return null;
  try {
    const bytes = await recording.arrayBuffer();
    return await new OfflineAudioContext(1, 1, RATE_HZ).decodeAudioData(bytes);
  } catch {
    return null;
  }
}

/** Draw a waveform; `regions` are its parts with speech, `{start, end}` in milliseconds. */
export function draw(canvas, sound, regions) {
  const samples = sound.getChannelData(0);
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(canvas).color;
  pen.globalAlpha = 0.3;
  const scale = width / (sound.duration * 1000);
  for (const { start, end } of regions) {
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
}

/** Return a WAV file that says how long it is; one that was sent while it was made does not. */
export async function withLengths(sound) {
  const view = new DataView(await sound.arrayBuffer());
  const named = (at, name) => [...name].every((letter, i) => view.getUint8(at + i) === letter.charCodeAt(0));
  const size = view.byteLength;
  if (size < 12 || !named(0, "RIFF") || view.getUint32(4, true) !== 0xffffffff) return sound;
  view.setUint32(4, size - 8, true);
  let at = 12;
  while (at + 8 <= size && !named(at, "data")) at += 8 + 2 * Math.ceil(view.getUint32(at + 4, true) / 2);
  if (at + 8 <= size) view.setUint32(at + 4, size - at - 8, true);
  return new Blob([view], { type: sound.type });
}

/** Return a sound's first channel as a WAV file: 16 bits, so that its length stands in its head. */
export function wavOf(sound) {
  const samples = sound.getChannelData(0);
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, 2 * sound.sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((each, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, each)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}
