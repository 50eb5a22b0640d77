// js/src → llama_nb/static/panel.js and panel.css, each one file. The bundle travels with every panel: it has a limit.

import { readFileSync, statSync } from "node:fs";
import { build } from "esbuild";

const LIMIT = 120_000;
const OUT = "llama_nb/static";

// markdown-it brings a link finder of 18 kB that we do not use: an address becomes a link when it is written as one.
const withoutLinkify = {
  name: "without-linkify",
  setup(builder) {
    builder.onResolve({ filter: /^linkify-it$/ }, () => ({ path: "linkify-it", namespace: "left-out" }));
    builder.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({ contents: "export class LinkifyIt {}" }));
  },
};

await build({
  entryPoints: { panel: "js/src/widget.ts" },
  outdir: OUT,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: {
    js: "/* llama_nb's panel. Contains markdown-it, mdurl, uc.micro, punycode.js (MIT) and entities (BSD-2). */",
  },
  plugins: [withoutLinkify],
});
await build({ entryPoints: ["js/src/panel.css"], outdir: OUT, bundle: true, minify: true, charset: "utf8" });

const sizes = ["panel.js", "panel.css"].map((name) => [name, statSync(`${OUT}/${name}`).size]);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
console.log(`${sizes.map(([name, size]) => `${name} ${size}`).join(" + ")} = ${total} bytes of ${LIMIT}`);
if (total > LIMIT) throw new Error("The bundle is over its limit.");
if (/\beval\(|new Function\(/.test(readFileSync(`${OUT}/panel.js`, "utf8"))) throw new Error("The bundle calls eval.");
