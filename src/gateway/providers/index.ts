export { isPrivateAddress, PrivateAddressError, publicLookup, upstreamConnector } from "./address.ts";
export { createProviderAdmin, type ProviderAdmin } from "./admin.ts";
export { createCatalog, type Candidate, type Catalog, type UpstreamProvider, type UpstreamTimeouts } from "./catalog.ts";
export { providerRoutes } from "./routes.ts";
