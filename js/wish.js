/* What this browser wants of the server, which knows browsers by their client ids. */
import { api } from "../../scripts/api.js";

/* A function that tells the server the wish ``isWanted`` says, under a path of ours, where it doesn't know it yet. */
export function teller(path, isWanted) {
  let told = null;

  function tell() {
    const wish = { client: api.clientId, on: isWanted() ? 1 : 0 };
    const said = JSON.stringify(wish);
    if (!api.clientId || said === told) return;
    told = said;
    api.fetchApi(`/mask_detailer/${path}?${new URLSearchParams(wish)}`).catch(() => (told = null));
  }

  api.addEventListener("status", tell); // comes once there is a client id
  api.addEventListener("reconnected", () => {
    told = null; // it may be another server, which knows nothing of us
    tell();
  });
  return tell;
}
