// Reads the value under the pointer. Without scripts a click into the map does the same.
const map = document.querySelector("input.sky");
const told = document.getElementById("value");
let waiting = 0;
let last = 0;
map?.addEventListener("pointermove", (event) => {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const box = map.getBoundingClientRect();
    const asked = new URLSearchParams(new FormData(map.form));
    asked.set("at.x", (event.clientX - box.left) / box.width * map.width);
    asked.set("at.y", (event.clientY - box.top) / box.height * map.height);
    const mine = (last += 1);
    const answer = await fetch(`${map.dataset.values}?${asked}`);
    if (!answer.ok || mine !== last) return;
    const { at } = await answer.json();
    told.textContent = at ? `RA ${at.ra.toFixed(2)}°, Dec ${at.dec.toFixed(2)}°: ${at.value === null ? "nothing is searched here" : at.value.toPrecision(4)}` : "";
  }, 150);
});
