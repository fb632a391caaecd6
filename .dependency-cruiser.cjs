/**
 * The directions of the design. Two passes, because types are erased: the sources, where a type counts as an import (boundaries
 * between domains), and the compiled program, where only what runs is left (purity of workflows, circles).
 *   depcruise --config .dependency-cruiser.cjs src …        boundaries
 *   DEPCRUISE_COMPILED=1 depcruise --config … dist/src …    what runs
 */
const DOMAINS = "(?!platform|config|main)[^/]+";

const boundaries = [
  {
    name: "platform-knows-no-domain",
    severity: "error",
    from: { path: "^src/(platform|config)/" },
    to: { path: `^src/(${DOMAINS}|main)/` },
  },
  {
    name: "a-domain-never-imports-anothers-inside",
    comment:
      "Between domains only index.ts (the service) is used, never a repository; http offers its declaration files to every domain's routes.",
    severity: "error",
    from: { path: `^src/(${DOMAINS})/` },
    to: {
      path: `^src/(${DOMAINS})/`,
      pathNot: [
        "^src/$1/",
        "^src/[^/]+/index\\.ts$",
        "^src/http/",
        "^src/admin/audit\\.ts$",
        "^src/admin/settings/index\\.ts$",
        "^src/gateway/providers/index\\.ts$",
      ],
    },
  },
  {
    name: "activities-call-services",
    severity: "error",
    from: { path: "^(activities|temporal)/" },
    to: { path: "^src/", pathNot: ["^src/[^/]+/index\\.ts$", "^src/(platform|config|main)/"] },
  },
  {
    name: "nothing-imports-main",
    severity: "error",
    from: { path: "^(src/(?!main)|workflows|activities)" },
    to: { path: "^src/main/" },
  },
  {
    name: "development-helpers-share-no-code-with-the-product",
    comment: "The sandbox signs with its own code: signer and verifier must not share a bug.",
    severity: "error",
    from: { path: "^dev/" },
    to: { path: "^(src|workflows|activities)/" },
  },
  {
    name: "clients-stand-alone",
    comment: "They are copied into other people's programs.",
    severity: "error",
    from: { path: "^clients/" },
    to: { path: "^(?!clients/)" },
  },
  {
    name: "product-imports-no-development-helper",
    severity: "error",
    from: { path: "^(src|workflows|activities)/" },
    to: { path: "^(dev|test|bench)/" },
  },
  { name: "no-unlisted-package", severity: "error", from: {}, to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] } },
  { name: "not-resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
];

const whatRuns = [
  {
    name: "workflows-import-no-io",
    comment:
      "Workflow code is deterministic: @temporalio/workflow, @temporalio/common and pure code next to it, and the table of a task's states, which has one place.",
    severity: "error",
    from: { path: "^dist/workflows/" },
    to: { pathNot: ["^dist/workflows/", "^dist/src/render/states\\.js$", "^node_modules/@temporalio/(workflow|common)/"] },
  },
  { name: "no-circular", severity: "error", from: { path: "^dist/" }, to: { circular: true } },
];

const compiled = process.env.DEPCRUISE_COMPILED === "1";

module.exports = {
  forbidden: compiled ? whatRuns : boundaries,
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist-[^/]+|\\.data)/" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      extensions: [".ts", ".js", ".json"],
    },
  },
};
