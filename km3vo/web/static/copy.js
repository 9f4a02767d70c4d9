// Buttons that copy an address or a query. Without scripts, or without a clipboard, there are none, and nothing is lost.
if (navigator.clipboard) {
  for (const place of document.querySelectorAll(".copyable")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy " + (place.dataset.what || "this"));
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(place.firstElementChild.textContent.trim());
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    place.append(button);
  }
}
