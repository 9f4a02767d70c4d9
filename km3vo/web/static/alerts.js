// Says that there are new alerts. They are shown on a click, so that nothing moves under the reader's hand.
const place = document.getElementById("new");
let count = 0;
if (place && window.EventSource) {
  const stream = new EventSource(place.dataset.stream);
  stream.addEventListener("open", () => { place.dataset.following = "1"; });
  stream.addEventListener("alert", () => {
    count += 1;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Show";
    button.addEventListener("click", () => location.reload());
    place.replaceChildren(count === 1 ? "There is a new alert, or a revision of one. " : `There are ${count} new alerts or revisions. `, button);
  });
  addEventListener("pagehide", () => stream.close());
}
