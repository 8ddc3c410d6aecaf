// The two engines behind one function: nnreg's local server, or Pyodide in a worker.

export async function connect(progress = () => {}) {
  const files = globalThis.NNREG_FILES; // of a page in a single file
  const transport = files ? await startWorker(files, progress) : callServer();
  let last = Promise.resolve();
  return {
    kind: files ? "pyodide" : "server",
    send(message) { // one message at a time
      const reply = last.then(() => transport(message));
      last = reply.catch(() => {});
      return reply;
    },
  };
}

function callServer() {
  const headers = { "Content-Type": "application/json", "X-Session": crypto.randomUUID() };
  return async (message) => {
    const reply = await fetch("api", { method: "POST", headers, body: JSON.stringify(message) });
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  };
}

async function startWorker(files, progress) {
  // a blob: address would do, but not on a page that was opened from a disk
  const script = encodeURIComponent(new TextDecoder().decode(files["worker.js"]));
  const worker = new Worker(`data:text/javascript,${script}`, { type: "module" });
  let settle;
  const answer = () => new Promise((resolve, reject) => { settle = { resolve, reject }; });
  worker.onmessage = ({ data }) => {
    if (data.progress) progress(data.progress);
    else if (data.failed) settle.reject(new Error(data.failed));
    else settle.resolve(data.reply && JSON.parse(data.reply));
  };
  worker.onerror = (event) => settle.reject(new Error(event.message || "the worker failed"));
  const started = answer();
  worker.postMessage({ files });
  await started;
  return (message) => {
    const reply = answer();
    worker.postMessage({ message: JSON.stringify(message) });
    return reply;
  };
}

const ARRAYS = { f32: Float32Array, u8: Uint8Array };

// {f32: base64} or {u8: base64} as a typed array
export function decode(field) {
  const [[kind, text]] = Object.entries(field);
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return new ARRAYS[kind](bytes.buffer);
}
