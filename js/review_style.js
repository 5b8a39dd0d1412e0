/* How the review looks: dark and grey whatever the page's colours are, since pictures are judged in it. */
export const STYLE = `
.mask-detailer-review { position: fixed; inset: 0; z-index: 3000; display: grid; grid-template-rows: auto 1fr auto;
  background: #1a1a1a; color: #e6e6e6; font: 14px/20px system-ui, sans-serif; outline: none; user-select: none; }
.mask-detailer-review [hidden] { display: none !important; }
.mask-detailer-review button { box-sizing: border-box; border: 1px solid #555; border-radius: 6px; background: #333;
  color: inherit; font: inherit; cursor: pointer; }
.mask-detailer-review button:hover:not(:disabled) { background: #444; }
.mask-detailer-review button:disabled { opacity: 0.4; cursor: default; }
.mask-detailer-review :is(button, textarea, .split):focus-visible { outline: 2px solid #7ab8ff; outline-offset: 1px; }

.mask-detailer-review header { display: flex; align-items: center; gap: 12px; padding: 8px 12px; min-width: 0;
  background: #242424; border-bottom: 1px solid #3a3a3a; }
.mask-detailer-review header strong { flex: none; display: inline-block; font-weight: 600; }
.mask-detailer-review header strong::first-letter { text-transform: uppercase; }
.mask-detailer-review .about { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  color: #b0b0b0; font-variant-numeric: tabular-nums; }
.mask-detailer-review .tools { flex: none; display: flex; align-items: center; gap: 6px; }
.mask-detailer-review .tools button { min-width: 34px; height: 32px; padding: 0 10px; }
.mask-detailer-review output { width: 64px; text-align: center; font-variant-numeric: tabular-nums; }
.mask-detailer-review .close { flex: none; width: 36px; height: 32px; font-size: 20px; line-height: 1; }

.mask-detailer-review main { display: flex; min-height: 0; }
.mask-detailer-review .middle { position: relative; flex: 1; min-width: 0; background: #141414; }
.mask-detailer-review .go { position: absolute; z-index: 2; top: calc(50% - 32px); width: 36px; height: 64px; padding: 0;
  font-size: 28px; line-height: 1; background: rgb(40 40 40 / 80%); }
.mask-detailer-review .stage + .grid + .go { right: 12px; }
.mask-detailer-review .go:first-child { left: 12px; }
.mask-detailer-review .badge { position: absolute; z-index: 2; left: 50%; bottom: 16px; transform: translateX(-50%);
  max-width: 80%; display: flex; align-items: center; gap: 10px; padding: 8px 14px; border-radius: 8px;
  background: rgb(20 60 110 / 92%); font-variant-numeric: tabular-nums; box-shadow: 0 2px 10px rgb(0 0 0 / 50%); }
.mask-detailer-review .badge img { height: 64px; border-radius: 4px; }

.mask-detailer-review .stage { position: absolute; inset: 0; overflow: hidden; touch-action: none; cursor: grab; }
.mask-detailer-review .stage.grabbed { cursor: grabbing; }
.mask-detailer-review .world { position: absolute; left: 0; top: 0; transform-origin: 0 0; }
.mask-detailer-review .world img { position: absolute; inset: 0; width: 100%; height: 100%; }
.mask-detailer-review .world img:not([src]) { display: none; }
.mask-detailer-review [data-sharp="true"] .world img { image-rendering: pixelated; }
.mask-detailer-review .split { position: absolute; z-index: 1; top: 0; bottom: 0; width: 24px; margin-left: -12px;
  cursor: ew-resize; }
.mask-detailer-review .split::before { content: ""; position: absolute; top: 0; bottom: 0; left: 11px; width: 2px;
  background: #fff; box-shadow: 0 0 3px #000; }
.mask-detailer-review .split span { position: absolute; left: -6px; top: calc(50% - 18px); width: 36px; height: 36px;
  box-sizing: border-box; border-radius: 50%; background: #fff; box-shadow: 0 0 5px #000; }
.mask-detailer-review .split span::before { content: "⇔"; display: block; text-align: center; color: #222;
  font: 20px/36px sans-serif; }
.mask-detailer-review .stage .name { position: absolute; top: 12px; padding: 2px 10px; border-radius: 10px;
  background: rgb(0 0 0 / 65%); pointer-events: none; }
.mask-detailer-review .name.left { left: 12px; }
.mask-detailer-review .name.right { right: 12px; }
.mask-detailer-review .stage:not([data-pair="true"]) :is(.split, .name.right),
.mask-detailer-review .stage[data-hides="true"] :is(.split, .name.right) { display: none; }

.mask-detailer-review .grid { position: absolute; inset: 0; display: grid; grid-template-rows: auto 1fr; padding: 12px 60px
  16px; gap: 8px; }
.mask-detailer-review .grid p { margin: 0; text-align: center; color: #b0b0b0; }
.mask-detailer-review .grid .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(42%, 420px), 1fr));
  gap: 12px; min-height: 0; grid-auto-rows: minmax(0, 1fr); }
.mask-detailer-review .candidate { display: grid; grid-template-rows: minmax(0, 1fr) auto; gap: 6px; padding: 6px;
  min-height: 0; background: #202020; }
.mask-detailer-review .candidate img { width: 100%; height: 100%; min-height: 0; object-fit: contain; }
.mask-detailer-review .candidate b { display: inline-block; min-width: 22px; border-radius: 11px; background: #e6e6e6;
  color: #1a1a1a; }

.mask-detailer-review aside { box-sizing: border-box; flex: none; width: 272px; display: flex; flex-direction: column;
  gap: 10px; padding: 14px; overflow: auto; background: #242424; border-left: 1px solid #3a3a3a; }
.mask-detailer-review aside button { min-height: 38px; padding: 7px 12px; text-align: left; }
.mask-detailer-review aside b { display: block; font-weight: 600; }
.mask-detailer-review aside small { display: block; font-size: 12px; line-height: 16px; color: #b8b8b8; overflow-wrap:
  anywhere; }
.mask-detailer-review aside .first { background: #1f5fa8; border-color: #3c83d3; }
.mask-detailer-review aside .first:hover:not(:disabled) { background: #2a70bf; }
.mask-detailer-review aside .first small { color: #d4e6fa; }
.mask-detailer-review aside [aria-pressed="true"] { background: #7a5a1c; border-color: #c99a3b; }
.mask-detailer-review aside [aria-pressed="true"]:hover:not(:disabled) { background: #8c6a26; }
.mask-detailer-review aside .plain { background: none; border-color: transparent; text-decoration: underline; }
.mask-detailer-review aside label { display: flex; flex-direction: column; gap: 4px; margin-top: 6px; }
.mask-detailer-review textarea { box-sizing: border-box; width: 100%; padding: 8px; border: 1px solid #555; border-radius:
  6px; background: #161616; color: inherit; font: inherit; resize: vertical; user-select: text; }
.mask-detailer-review textarea::placeholder { color: #8c8c8c; }
.mask-detailer-review .why { margin: 0; color: #ffb86b; }
.mask-detailer-review .why:empty { display: none; }
.mask-detailer-review .keys { margin: auto 0 0; font-size: 12px; line-height: 18px; color: #9a9a9a; }

.mask-detailer-review footer { display: flex; gap: 6px; padding: 8px 12px; overflow: auto hidden; background: #242424;
  border-top: 1px solid #3a3a3a; scrollbar-width: thin; scrollbar-color: #666 transparent; }
.mask-detailer-review footer button { flex: none; position: relative; height: 72px; min-width: 56px; padding: 0; overflow:
  hidden; border-width: 2px; background: #161616; }
.mask-detailer-review footer img { display: block; height: 100%; min-width: 52px; object-fit: cover; }
.mask-detailer-review footer span { position: absolute; left: 0; bottom: 0; padding: 0 6px; border-radius: 0 5px 0 0;
  background: rgb(0 0 0 / 70%); font-size: 12px; line-height: 18px; }
.mask-detailer-review footer [data-state="done"] { border-color: #3f9b5f; }
.mask-detailer-review footer [data-state="kept"] { border-color: #c99a3b; }
.mask-detailer-review footer [data-state="working"] { border-color: #4a9eff; }
.mask-detailer-review footer :is([data-state="waiting"], [data-state="skipped"], [data-state="stopped"]) img { opacity: 0.45; }
.mask-detailer-review footer [aria-current="true"] { border-color: #fff; box-shadow: 0 0 0 1px #fff; }
`;
