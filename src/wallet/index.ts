export { walletRoutes, type WalletRouteDeps } from "./routes.ts";
