// js/src → llama_nb/static/panel.js and panel.css, each one file. The bundle travels with every panel: it has a limit.

import { readFileSync, statSync } from "node:fs";
import { build } from "esbuild";

const LIMIT = 120_000;
const OUT = "llama_nb/static";

// What markdown-it brings and we do not use, or the browser has: a link finder (18 kB), the names of the HTML entities
// (22 kB), and punycode (2 kB).
const inPlaceOf = {
  "linkify-it": "export class LinkifyIt {}",
  "punycode.js": "const same = (host) => host; export default { toASCII: same, toUnicode: same };",
  // What comes is one entity, `&name;`. DOMParser makes a document that neither runs nor loads anything; the x keeps
  // white space from being skipped.
  entities: `
    const known = new Map();
    export function decodeHTMLStrict(entity) {
      if (!known.has(entity)) {
        const page = new DOMParser().parseFromString("<p>x" + entity, "text/html");
        known.set(entity, page.documentElement.textContent.slice(1));
      }
      return known.get(entity);
    }`,
};
const smaller = {
  name: "smaller",
  setup(builder) {
    const filter = new RegExp(`^(${Object.keys(inPlaceOf).join("|")})$`);
    builder.onResolve({ filter }, ({ path }) => ({ path, namespace: "smaller" }));
    builder.onLoad({ filter: /.*/, namespace: "smaller" }, ({ path }) => ({ contents: inPlaceOf[path] }));
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
    js: "/* llama_nb's panel. Contains markdown-it, mdurl and uc.micro (MIT). */",
  },
  plugins: [smaller],
});
await build({ entryPoints: ["js/src/panel.css"], outdir: OUT, bundle: true, minify: true, charset: "utf8" });

const sizes = ["panel.js", "panel.css"].map((name) => [name, statSync(`${OUT}/${name}`).size]);
const total = sizes.reduce((sum, [, size]) => sum + size, 0);
console.log(`${sizes.map(([name, size]) => `${name} ${size}`).join(" + ")} = ${total} bytes of ${LIMIT}`);
if (total > LIMIT) throw new Error("The bundle is over its limit.");
if (/\beval\(|new Function\(/.test(readFileSync(`${OUT}/panel.js`, "utf8"))) throw new Error("The bundle calls eval.");
