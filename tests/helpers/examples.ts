import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { packages, root } from "../../scripts/workspace.mjs";

// The examples of the documentation as modules that run. A block that starts with `// browser only` is not run in Node,
// and `statement; // => text` asserts what it prints, or, where it prints nothing, its value as `console.log` shows it.

export interface Example {
  /** Where it stands, `packages/core/src/rng.ts:37`. */
  readonly place: string;
  readonly code: string;
  readonly browserOnly: boolean;
}

export interface PublicExport {
  /** `@parapet/core createRng (packages/core/src/rng.ts:46)` */
  readonly title: string;
  /** A value exists when the program runs; a type does not. */
  readonly isValue: boolean;
  readonly documented: boolean;
  readonly examples: readonly Example[];
}

/** The `ts` blocks of a text whose first line is line `first` of `file`. */
function blocksOf(text: string, file: string, first: number): Example[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => {
    const code = match[1] as string;
    const line = first + text.slice(0, match.index).split("\n").length;
    return { place: `${file}:${line}`, code, browserOnly: code.startsWith("// browser only") };
  });
}

/** The examples in README.md of the root and of every package. */
export function readmeExamples(): Example[] {
  return ["README.md", ...packages.map(({ name }) => `packages/${name}/README.md`)].flatMap((file) =>
    existsSync(join(root, file)) ? blocksOf(readFileSync(join(root, file), "utf8"), file, 1) : [],
  );
}

const compilerOptions: ts.CompilerOptions = {
  ...ts.parseJsonConfigFileContent({ extends: "./tsconfig.base.json" }, ts.sys, root).options,
  noUnusedLocals: false,
  noUnusedParameters: false,
  types: ["node"],
  paths: Object.fromEntries(
    packages.flatMap(({ entries }) => Object.entries(entries)).map(([name, file]) => [name, [file]]),
  ),
};

function describe(name: string, symbol: ts.Symbol): PublicExport {
  const declarations = symbol.declarations ?? [];
  const declaration = declarations[0] as ts.Declaration;
  const source = declaration.getSourceFile();
  const file = relative(root, source.fileName);
  const comments = declarations.flatMap((each) => ts.getJSDocCommentsAndTags(each)).filter(ts.isJSDoc);
  const examples = comments.flatMap((comment) => {
    const text = comment.getText().replace(/^[ \t]*\* ?/gm, "");
    const line = ts.getLineAndCharacterOfPosition(comment.getSourceFile(), comment.getStart()).line + 1;
    return text.includes("@example") ? blocksOf(text, relative(root, comment.getSourceFile().fileName), line) : [];
  });
  const line = ts.getLineAndCharacterOfPosition(source, declaration.getStart()).line + 1;
  return {
    title: `${name} (${file}:${line})`,
    isValue: (symbol.flags & ts.SymbolFlags.Value) !== 0,
    documented: comments.length > 0,
    examples,
  };
}

/** Everything that can be imported from the packages' entries, each once. */
export function publicExports(): PublicExport[] {
  const entries = packages.flatMap(({ entries }) => Object.entries(entries)).filter(([, file]) => existsSync(file));
  const program = ts.createProgram(
    entries.map(([, file]) => file),
    compilerOptions,
  );
  const checker = program.getTypeChecker();
  const seen = new Set<ts.Symbol>();
  const found: PublicExport[] = [];
  for (const [entry, file] of entries) {
    const source = program.getSourceFile(file);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) continue;
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (seen.has(symbol)) continue;
      seen.add(symbol);
      found.push(describe(`${entry} ${exported.name}`, symbol));
    }
  }
  return found;
}

/** The code with each `// => text` made into a call of `example.says(text, value)`; lines keep their numbers. */
export function withChecks({ code, place }: Example): { code: string; checks: number } {
  const source = ts.createSourceFile("example.ts", code, ts.ScriptTarget.ES2022, true);
  const edits: { start: number; end: number; text: string }[] = [];
  const visit = (node: ts.Node): void => {
    const expected = /^[ \t]*\/\/ => (.*)/.exec(code.slice(node.end))?.[1];
    if (ts.isExpressionStatement(node) && expected !== undefined) {
      const call = `example.says(${JSON.stringify(expected.trim())}, ${node.expression.getText()})`;
      const text = `{ example.starts(); ${call}; }`;
      edits.push({ start: node.getStart(), end: node.end, text });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  const marks = code.match(/\/\/ => /g)?.length ?? 0;
  if (marks !== edits.length)
    throw new Error(`${place}: "// =>" expected at the end of an expression statement's line`);
  let checked = code;
  for (const { start, end, text } of edits.reverse()) checked = checked.slice(0, start) + text + checked.slice(end);
  return { code: checked, checks: edits.length };
}

/** Writes every example as a module of its own in a folder of this run, under one that git ignores. */
export function writeExamples(examples: readonly Example[]) {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const folder = mkdtempSync(join(root, ".cache/examples-"));
  const declaration =
    "declare global { var example: { starts(): void; says(text: string, value: unknown): void } } export {};";
  const written = examples.map((example) => {
    const { code, checks } = withChecks(example);
    const file = join(folder, `${example.place.replace(/[^\w.-]+/g, "-").replace(/\.(ts|md)-/, "-")}.ts`);
    writeFileSync(file, `${code}\n${declaration}\n`);
    return { ...example, file, checks };
  });
  return { written, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** What the compiler has to say of these files, one line each. */
export function compile(files: readonly string[]): string[] {
  const program = ts.createProgram([...files], compilerOptions);
  const diagnostics = files.flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)));
  return diagnostics.map(({ file, start, messageText }) => {
    const line = file && start !== undefined ? ts.getLineAndCharacterOfPosition(file, start).line + 1 : 0;
    return `${file ? relative(root, file.fileName) : ""}:${line} ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
  });
}
