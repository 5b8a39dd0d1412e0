/* What the browser side says, in the language that ComfyUI is set to. The English stands where it is used; the other
 * languages are in locales/<language>/main.json, which `dev.py locales` keeps in line with it. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

let translated = {};
let words = {};

/* To be awaited once, before anything is shown. */
export async function loadTexts() {
  const language = app.extensionManager?.setting?.get("Comfy.Locale") ?? app.ui.settings.getSettingValue("Comfy.Locale");
  if (!language || language === "en") return;
  const answer = await api.fetchApi("/i18n");
  if (!answer.ok) return;
  const { maskDetailer, maskDetailerWords } = (await answer.json())[language] ?? {};
  translated = maskDetailer ?? {};
  words = maskDetailerWords ?? {};
}

/* With %names% of values in it, which the translations have too. */
export function text(key, english, values = {}) {
  return (translated[key] ?? english).replace(/%(\w+)%/g, (_, name) => values[name]);
}

/* A word that the server's nodes say, such as on a toggle. */
export function word(english) {
  return words[english] ?? english;
}
