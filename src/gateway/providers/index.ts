export { createProviderAdmin } from "./admin.ts";
export { createCatalog, type Candidate, type Catalog, type UpstreamProvider, type UpstreamTimeouts } from "./catalog.ts";
export type { UpstreamPrices } from "./cost.ts";
export type { ProviderKey } from "./key.ts";
export { providerRoutes } from "./routes.ts";
export { shapeBytes, upstreamAuth, upstreamUrl } from "./speak.ts";
