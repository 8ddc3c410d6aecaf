// Export, and the address of an assignment.

import { element } from "./knobs.js";
import { text } from "./texts.js";

const find = (id) => document.getElementById(id);
const PICTURES = ["regions", "twin-regions", "network", "twin", "curves", "histogram"];

// All pictures below each other, as they are shown.
function picture() {
  const shown = PICTURES.map(find).filter((canvas) => !canvas.hidden && canvas.width);
  const all = element("canvas", { width: Math.max(...shown.map((canvas) => canvas.width)) + 40,
    height: shown.reduce((sum, canvas) => sum + canvas.height + 20, 20) });
  const g = all.getContext("2d");
  g.fillStyle = getComputedStyle(document.body).backgroundColor;
  g.fillRect(0, 0, all.width, all.height);
  let top = 20;
  for (const canvas of shown) {
    g.drawImage(canvas, 20, top);
    top += canvas.height + 20;
  }
  return all;
}

export function makeShare({ send, address, say, alarm, locked }) {
  async function copy(content, shown) {
    try {
      await navigator.clipboard.writeText(content);
      say("copied");
    } catch { // without permission the text is selected, to be copied by hand
      getSelection().selectAllChildren(shown);
      shown.select?.();
    }
  }

  function offer(file, link) {
    Object.assign(find("download"), { hidden: false, download: file, href: link,
      textContent: text("export.download", { file }) });
  }

  async function write(what) {
    find("code").hidden = find("copy-code").hidden = find("download").hidden = true;
    if (what === "picture") {
      picture().toBlob((blob) => offer("playground.png", URL.createObjectURL(blob)));
      return;
    }
    const reply = await send({ do: "export", what });
    if (reply.error) return alarm(reply.error.message);
    if (reply.base64) {
      offer(reply.file, `data:application/octet-stream;base64,${reply.base64}`);
      return;
    }
    find("code").textContent = reply.text;
    find("code").hidden = find("copy-code").hidden = false;
    offer(reply.file, URL.createObjectURL(new Blob([reply.text], { type: "text/x-python" })));
  }

  for (const button of find("export").querySelectorAll("[data-what]")) {
    button.onclick = () => write(button.dataset.what);
  }
  find("copy-code").onclick = () => copy(find("code").textContent, find("code"));
  find("assignment").ontoggle = () => {
    document.body.classList.toggle("editing", find("assignment").open);
  };
  find("copy-address").onclick = async () => {
    const hash = await address({ locked: locked(), question: find("question-text").value });
    if (!hash) return alarm(text("status.gone"));
    find("address").value = window.location.href.split("#")[0] + hash;
    return copy(find("address").value, find("address"));
  };
  return {
    reset() { // an export of another run is out of date
      find("code").hidden = find("copy-code").hidden = find("download").hidden = true;
    },
  };
}
