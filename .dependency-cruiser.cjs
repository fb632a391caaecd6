/** The directions of the design: routes → services → repositories; workflows are pure; platform knows no domain. */
const DOMAINS = "identity|ledger|pricing|payments|gateway|usage|quotas|wallet|notify|admin|http";
module.exports = {
  forbidden: [
    {
      name: "workflows-import-no-io",
      comment: "Workflow code is deterministic: it may import @temporalio/workflow, @temporalio/common, types and pure code next to it.",
      severity: "error",
      from: { path: "^workflows/" },
      to: { pathNot: ["^workflows/", "^node_modules/@temporalio/(workflow|common)/"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "platform-knows-no-domain",
      severity: "error",
      from: { path: "^src/(platform|config)/" },
      to: { path: `^src/(${DOMAINS}|main)/` },
    },
    {
      name: "a-domain-never-imports-anothers-inside",
      comment: "Between domains only index.ts (the service) is used; http offers its declaration files to every domain's routes.",
      severity: "error",
      from: { path: `^src/(${DOMAINS})/` },
      to: { path: `^src/(${DOMAINS})/`, pathNot: ["^src/$1/", "^src/[^/]+/index\\.ts$", "^src/http/", "^src/admin/audit\\.ts$", "^src/gateway/providers/index\\.ts$"] },
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
    { name: "product-imports-no-development-helper", severity: "error", from: { path: "^(src|workflows|activities)/" }, to: { path: "^(dev|test|bench)/" } },
    { name: "no-circular", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    { name: "no-unlisted-package", severity: "error", from: {}, to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] } },
    { name: "not-resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|dist-[^/]+|\\.data)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"], extensions: [".ts", ".js", ".json"] },
  },
};
