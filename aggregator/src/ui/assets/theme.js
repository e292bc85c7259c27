// Before anything is drawn: the colours that were chosen here before. Without a choice they are the system's.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("conclave.theme"); } catch { /* Storage is switched off: then nothing is kept. */ }
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
})();
