// The label that follows the pointer over a plot: made of the table behind it.

export function plots(root, signal) {
  for (const plot of root.querySelectorAll("figure[data-plot]")) {
    const frame = plot.querySelector(".frame");
    if (!frame || frame.dataset.follows) continue;
    frame.dataset.follows = "yes";
    const drawing = frame.querySelector("svg");
    const label = document.createElement("div");
    label.className = "label";
    label.hidden = true;
    label.setAttribute("aria-hidden", "true");
    frame.append(label);
    const parts = drawing.viewBox.baseVal.width / 10;
    frame.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const part = Math.floor(((event.clientX - box.left) / box.width) * parts);
      const row = plot.querySelector(`tr[data-at="${part}"]`);
      label.hidden = !row;
      if (!row) return;
      tell(label, plot, row);
      label.classList.toggle("left", event.clientX - box.left > box.width / 2);
    }, { signal });
    frame.addEventListener("pointerleave", () => { label.hidden = true; }, { signal });
  }
}

function tell(label, plot, row) {
  const names = [...plot.querySelectorAll("thead th")].slice(1);
  const lines = [...row.querySelectorAll("td")].map((cell, index) => {
    if (cell.textContent === "0" || cell.textContent === "–") return null;
    const line = document.createElement("span");
    const dot = document.createElement("span");
    dot.className = `dot c${index}`;
    line.append(dot, ` ${names[index].textContent}: `, Object.assign(document.createElement("b"), { textContent: cell.textContent }));
    return line;
  });
  const time = Object.assign(document.createElement("strong"), { textContent: row.querySelector("th").textContent });
  label.replaceChildren(time, ...lines.filter(Boolean));
}
