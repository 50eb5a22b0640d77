// The Markdown rendering of the installed JupyterLab, outside of a browser: its own `removeMath`, each `marked` that
// it ships, its own `replaceMath`. Reads a JSON list of texts from stdin, writes a list of lists of HTML to stdout.
// Argument: the folder share/jupyter/lab/static.

const fs = require("node:fs");
const path = require("node:path");

const folder = process.argv[2];
globalThis.self = globalThis;
globalThis.navigator ??= { appName: "" };

/** The modules of a file of the bundle, by id; they are functions that were not called yet. */
function modulesOf(file) {
  const name = Object.keys(globalThis).find((key) => /^(rs|web)packChunk/.test(key));
  if (name) globalThis[name] = [];
  (0, eval)(fs.readFileSync(path.join(folder, file), "utf8"));
  const chunks = globalThis[Object.keys(globalThis).find((key) => /^(rs|web)packChunk/.test(key))];
  return Object.assign({}, ...chunks.map(([, modules]) => modules));
}

function load(module) {
  const loaded = { exports: {} };
  const need = (id) => {
    throw new Error(`the module needs ${id}`);
  };
  need.d = (exports, getters) => {
    for (const name in getters) Object.defineProperty(exports, name, { get: getters[name], enumerable: true });
  };
  need.r = () => {};
  module(loaded, loaded.exports, need);
  return loaded.exports;
}

function findModules(word) {
  const files = fs.readdirSync(folder).filter((file) => file.endsWith(".js"));
  const holding = files.filter((file) => fs.readFileSync(path.join(folder, file), "utf8").includes(word));
  return holding.flatMap((file) => Object.values(modulesOf(file)).filter((module) => module.toString().includes(word)));
}

const parsers = findModules("pedantic:!1").map(load).filter((exports) => exports.Marked && exports.Lexer);
const math = Object.values(load(findModules('"~D"')[0]));
const removeMath = math.find((candidate) => candidate.length === 1);
const replaceMath = math.find((candidate) => candidate.length === 2);

function render(text, { Marked }) {
  const { text: words, math } = removeMath(text);
  return replaceMath(new Marked({ gfm: true }).parse(words), math);
}

const texts = JSON.parse(fs.readFileSync(0, "utf8"));
if (!parsers.length) throw new Error("no marked in JupyterLab's bundle");
process.stdout.write(JSON.stringify(texts.map((text) => parsers.map((parser) => render(text, parser)))));
