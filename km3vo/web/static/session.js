// Nothing that was shown to somebody who has signed in is shown again afterwards: not in another tab, nor by Back.
const told = new BroadcastChannel("km3vo.session");
if (document.getElementById("out")) told.postMessage("out");
else told.addEventListener("message", () => location.reload());
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
