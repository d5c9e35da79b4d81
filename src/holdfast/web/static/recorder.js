// Records from the microphone with one button: pressed, it begins; pressed again, it ends.

/**
 * @param button the button
 * @param longestMs it ends by itself after so long
 * @param begun called when it has begun
 * @param done called with what was recorded, a Blob
 * @param refused called with the reason when there is no microphone to be had
 */
export function recordWith(button, { longestMs, begun, done, refused }) {
  const idle = button.textContent;
  let recorder = null;

  async function begin() {
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      return refused("The microphone cannot be used: allow it in the browser, or choose a file.");
    }
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    recorder.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      const recorded = new Blob(parts, { type: recorder.mimeType });
      recorder = null;
      show(idle, false);
      done(recorded);
    });
    recorder.start();
    const mine = recorder;
    setTimeout(() => recorder === mine && mine.stop(), longestMs);
    show("Stop", true);
    begun();
  }

  function show(text, pressed) {
    button.textContent = text;
    button.setAttribute("aria-pressed", String(pressed));
  }

  button.addEventListener("click", () => (recorder ? recorder.stop() : begin()));
}
