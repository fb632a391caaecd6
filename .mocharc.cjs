/** Tests run compiled; the helpers come from the folder that the given tests were compiled to (dist unless told otherwise). */
const [, build = "dist"] =
  process.argv.map((word) => /^(?:\.\/)?([^*]+)\/test\//.exec(word)).find((match) => match && !match[1].includes("node_modules")) ?? [];

module.exports = {
  require: [`./${build}/test/support/hooks.js`],
  reporter: `./${build}/test/support/reporter.js`,
  timeout: 60_000,
  exit: true,
};
