const path = require("node:path");

/** Tests run compiled; the helpers come from the folder that the given tests were compiled to (dist unless told otherwise). */
const given = process.argv.slice(2).map((word) => /^(.*?dist[^/*]*)\/test\//.exec(word)?.[1]);
const build = path.resolve(__dirname, given.find(Boolean) ?? "dist");

module.exports = {
  require: [path.join(build, "test/support/hooks.js")],
  reporter: path.join(build, "test/support/reporter.js"),
  timeout: 60_000,
  exit: true,
};
