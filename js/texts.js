/* What the browser side says, in the language that ComfyUI is set to. The English stands where it is used; the other
 * languages are in locales/<language>/main.json, which `dev.py locales` keeps in line with it. */
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

let translated = {};

/* To be awaited once, before anything is shown. */
export async function loadTexts() {
  const language = app.ui.settings.getSettingValue("Comfy.Locale");
  if (!language || language === "en") return;
  const answer = await api.fetchApi("/i18n");
  if (answer.ok) translated = (await answer.json())[language]?.maskDetailer ?? {};
}

/* With %names% of values in it, which the translations have too. */
export function text(key, english, values = {}) {
  return (translated[key] ?? english).replace(/%(\w+)%/g, (_, name) => values[name]);
}
