// nnreg in Pyodide. Every file comes from the page; nothing is loaded from the network.

let handle;

async function start(files) {
  const say = (progress) => postMessage({ progress });
  const script = (name) => {
    const text = new TextDecoder().decode(files[name]);
    return import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  };
  globalThis.fetch = async (request) => {
    const name = String(request.url ?? request).split("/").pop();
    if (!files[name]) throw new Error(`${name} is not a file of this page`);
    const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
    return new Response(files[name], { headers: { "Content-Type": type } });
  };
  say("Python");
  const { loadPyodide } = await script("pyodide.mjs");
  const address = "https://nnreg.invalid/";
  const pyodide = await loadPyodide({
    indexURL: address,
    packageBaseUrl: address,
    lockFileContents: new TextDecoder().decode(files["pyodide-lock.json"]),
    createPyodideModule: (await script("pyodide.asm.mjs")).default,
  });
  say("NumPy");
  await pyodide.loadPackage(["numpy", "threadpoolctl"], { messageCallback() {} });
  say("nnreg");
  pyodide.unpackArchive(files["nnreg.zip"], "zip", { extractDir: "/home/pyodide" });
  handle = pyodide.runPython(`
import json
from nnreg.playground import Session
session = Session()
lambda text: json.dumps(session.handle(json.loads(text)))
`);
}

onmessage = async ({ data }) => {
  try {
    if (data.files) await start(data.files);
    postMessage({ reply: data.files ? null : handle(data.message) });
  } catch (error) {
    postMessage({ failed: String(error.message ?? error) });
  }
};
